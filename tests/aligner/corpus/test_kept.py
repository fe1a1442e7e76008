"""What a person set is found again among the tokens of a text, or it is said why not."""

from dataclasses import replace
from pathlib import Path

import pytest

from aligner.alignment import Alignment
from aligner.corpus.kept import kept_in
from aligner.corpus.prepared import Utterance
from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE, Tokens, Transcript, Word

TEXT = Transcript((Word("The", (("ð", "ə"), ("ð", "i"))), Word("end.", (("ɛ", "n", "d"),))), ("", "", ""))


def utterance(transcript: Transcript = TEXT, duration_s: float = 0.9) -> Utterance:
    return Utterance("u", Path("u.wav"), 16000, duration_s, "The end.", transcript)


def corrected(*by_hand_s: float, symbols: str = ". ð i . ɛ n d", words: str = "the END") -> Alignment:
    """Tokens of 0.1 s each; the last one goes to 0.9 s."""
    names = [PAUSE if symbol == "." else symbol for symbol in symbols.split()]
    owners = [-1 if name == PAUSE else int(name not in "ði") for name in names]
    edges_s = [0.1 * t for t in range(len(names))] + [0.9]
    texts = words.split()
    made = Alignment.from_boundaries("u", names, owners, texts, edges_s, 0.9)
    return replace(made, by_hand_s=by_hand_s)


def test_boundaries_are_found_among_optional_pauses() -> None:
    transcript, kept = kept_in(utterance(), corrected(0.2, 0.4))
    assert transcript.tokens().symbols == (PAUSE, "ð", "i", PAUSE, "ɛ", "n", "d", PAUSE)
    assert kept.boundaries_s == {2: 0.2, 4: 0.4}
    assert kept.pauses == {3}  # beside the second


def test_where_the_person_saw_no_pause_there_is_none() -> None:
    _, kept = kept_in(utterance(), corrected(0.2, symbols="ð i ɛ n d"))
    assert kept.boundaries_s == {3: 0.2, 4: 0.2}


def test_the_pronunciation_is_the_one_that_was_seen() -> None:
    transcript, _ = kept_in(utterance(), corrected(0.2, symbols=". ð i ɛ n d"))
    assert [word.variants for word in transcript.words] == [(("ð", "i"),), (("ɛ", "n", "d"),)]


def test_a_consumers_own_tokens_stay_its_own() -> None:
    fixed = Tokens.given(("ð", "i", "ɛ", "n", "d"), (0, 0, 1, 1, 1))
    text = replace(TEXT, fixed=fixed)
    transcript, kept = kept_in(utterance(text), corrected(0.1, symbols="ð i ɛ n d"))
    assert transcript.fixed == fixed
    assert kept.boundaries_s == {2: 0.1}
    with pytest.raises(AlignerError, match="its corrections are of the tokens"):
        kept_in(utterance(text), corrected(0.1, symbols="ð i ɛ d"))


def test_marks_alone_leave_the_search_free() -> None:
    transcript, kept = kept_in(utterance(), replace(corrected(), wrong_words=(1,)))
    assert transcript == TEXT
    assert (kept.boundaries_s, kept.wrong_words) == ({}, (1,))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (corrected(0.2, words="the beginning"), "its corrections are of the words 'the beginning'"),
        (corrected(0.25), "0.2500 s was set by hand, but no phone begins there"),
        (replace(corrected(0.2), duration_s=2.0), "its corrections are of a recording of 2.000 s"),
        (replace(corrected(0.2), tokens=()), "its corrections have a word without phones"),
        (corrected(0.2, symbols=". . ð i ɛ n d"), "its corrections are of the tokens"),
    ],
)
def test_what_does_not_fit_is_said(wrong: Alignment, reason: str) -> None:
    with pytest.raises(AlignerError, match=reason.replace(".", r"\.")):
        kept_in(utterance(), wrong)
