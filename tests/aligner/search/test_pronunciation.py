"""The choice of pronunciations, under emissions that say which one was spoken.

"." is a frame of pause, every letter a frame of that phone; "ab|b" a word with two pronunciations.
"""

from dataclasses import replace

import pytest
from stub_encoder import StubEncoder, emissions_of, features_of, transcript_of
from torch import Tensor

from aligner.errors import AlignerError
from aligner.search import choose_pronunciations, pronunciation
from aligner.text.packed import PackedTexts
from aligner.text.transcript import Tokens, Transcript
from aligner.text.vocabulary import Vocabulary

Choice = tuple[int, ...]  # for each word of an utterance the index of its pronunciation

VOCABULARY = Vocabulary(["sil", *"abcwxyz"])


def choose(
    spoken: list[str], transcripts: list[Transcript], encoder: StubEncoder | None = None
) -> list[Choice]:
    emissions = emissions_of(VOCABULARY, "".join(spoken))
    return chosen_of(emissions, [len(frames) for frames in spoken], transcripts, encoder or StubEncoder())


def chosen_of(
    emissions: Tensor, n_frames: list[int], transcripts: list[Transcript], encoder: StubEncoder
) -> list[Choice]:
    texts = PackedTexts.of(VOCABULARY, [f"u{number}" for number in range(len(transcripts))], transcripts)
    return texts.variants_of(choose_pronunciations(encoder, emissions, features_of(*n_frames), texts))


@pytest.mark.parametrize(
    ("spoken", "chosen"),
    [(".xaabby.", 0), ("xx.bba.yy", 1), (".x.c.y...", 2), ("xaaccy", 3), ("x..aabbccy", 0)],
)
def test_the_pronunciation_that_was_spoken_is_chosen(spoken: str, chosen: int) -> None:
    assert choose([spoken], [transcript_of("x", "ab|ba|c|ac", "y")]) == [(0, chosen, 0)]


def test_every_word_of_every_utterance_has_its_own_choice() -> None:
    transcripts = [
        transcript_of("a|b", "c", "ab|ba", "x"),
        transcript_of("c"),
        transcript_of("y|z", "a|b|x"),
    ]
    assert choose([".bb.ccbbaax.", "cc", ".yyy..xx."], transcripts) == [(1, 0, 1, 0), (0,), (0, 2)]


def test_pauses_between_words_do_not_matter() -> None:
    transcript = transcript_of("ab|ba", "ca|cb", "x")
    for spoken in ("...bbaa....ccbb..xx.", "baccbxxxx", "bbaa.ccbb.x..."):
        assert choose([spoken], [transcript]) == [(1, 1, 0)]


@pytest.mark.parametrize("word", ["a|b|c", "b|c|a"])
def test_of_equally_likely_pronunciations_the_earlier_is_chosen(word: str) -> None:
    assert choose([".xxxx."], [transcript_of(word)]) == [(0,)]
    assert choose([".xxxx."], [transcript_of(f"x{word.replace('|', '|x')}|x")]) == [(3,)]


def test_the_lexicons_probability_decides_between_equally_likely_ones() -> None:
    transcript = transcript_of("x", "ab|ba", "y")
    x, word, y = transcript.words
    for priors, chosen in (((-0.1, -3.0), 0), ((-3.0, -0.1), 1), ((), 0)):
        weighed = replace(transcript, words=(x, replace(word, log_priors=priors), y))
        assert choose(["xxcccyy"], [weighed]) == [(0, chosen, 0)]
    sure = replace(transcript, words=(x, replace(word, log_priors=(-3.0, 0.0)), y))
    assert choose(["xxaaaabbbbyy"], [sure]) == [(0, 0, 0)]  # the audio outweighs it


def test_of_equally_likely_better_ones_the_earlier_is_chosen() -> None:
    """A later one that is better than the first, and no better than the second, is not taken."""
    assert choose([".aaxx."], [transcript_of("bc|ab|ac|aw")]) == [(1,)]


def test_one_with_more_phones_than_frames_is_not_chosen() -> None:
    transcript = transcript_of("a|bbbb|bbb|b")
    assert choose(["bbb"], [transcript]) == [(2,)]
    assert choose(["bb"], [transcript]) == [(3,)]
    assert choose(["bbbb"], [transcript_of("a|bcbcb")]) == [(0,)]


def test_states_of_a_phone_count_against_the_frames() -> None:
    """The stub needs a frame for each of two states a phone."""
    emissions = emissions_of(VOCABULARY, "...").repeat(1, 2)[:, : 1 + 2 * 7]
    chosen = chosen_of(emissions, [3], [transcript_of("a|bc|b")], StubEncoder(states=2))
    assert chosen == [(0,)]


def test_fixed_tokens_keep_the_first() -> None:
    transcript = replace(transcript_of("a|b", "a|b"), fixed=Tokens(("a", "a"), (0, 1), (False, False)))
    assert choose([".bbb.", ".bbb."], [transcript, transcript_of("a|b")]) == [(0, 0), (1,)]


def test_a_second_round_takes_up_what_neighbours_have_become(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside "p" (x for short) the second word best begins with w, a poor y; beside "xy" it need not."""
    transcript = transcript_of("b|xy", "wz|z")
    spoken = "xxyyzz"
    emissions = emissions_of(VOCABULARY, spoken)
    emissions[2:4, VOCABULARY.index["w"]] = -0.5

    def chosen() -> list[Choice]:
        return chosen_of(emissions, [6], [transcript], StubEncoder())

    assert chosen() == [(1, 1)]
    monkeypatch.setattr(pronunciation, "_ROUNDS", 1)
    assert chosen() == [(1, 0)]


@pytest.mark.parametrize("word", ["q|a", "a|aq", "a|b|q"])
def test_an_unknown_symbol_in_any_variant_names_the_utterance(word: str) -> None:
    transcripts = [transcript_of("a|b"), transcript_of("b", word)]
    with pytest.raises(AlignerError, match="^u1: the aligner has not learnt q;"):
        choose(["aaa", ".baa."], transcripts)


def test_more_tokens_than_frames_name_the_utterance() -> None:
    with pytest.raises(AlignerError, match="^u1: 3 tokens in 2 frames"):
        choose(["aaa", "ab"], [transcript_of("a|b"), transcript_of("abc")])


def test_a_text_that_fits_only_in_its_shortest_form_is_aligned() -> None:
    assert choose(["cc"], [transcript_of("abc|c")]) == [(1,)]
    assert choose(["cbb"], [transcript_of("abc|c", "abc|b|bb")]) == [(1, 1)]


def test_neighbours_that_grow_together_still_fit() -> None:
    """Each of the two could take three of the four frames; together they cannot."""
    transcript = transcript_of("a|wxy", "b|xyz")
    emissions = emissions_of(VOCABULARY, "wxyz")
    (found,) = chosen_of(emissions, [4], [transcript], StubEncoder())
    tokens = transcript.tokens(found)
    assert len(tokens) - sum(tokens.skippable) <= 4
