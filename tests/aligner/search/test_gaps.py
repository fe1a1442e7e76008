"""Gaps in made-up emissions: words that are not said, and speech that the text lacks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from stub_encoder import StubEncoder, emissions_of, features_of, tokens_of, transcript_of
from torch import Tensor

from aligner.encoders.base import Emissions
from aligner.frontends.packed import PackedFeatures
from aligner.search import (
    CommonWords,
    Gaps,
    TokenDurations,
    align_with_gaps,
    find_gaps,
    forced_alignment,
)
from aligner.search.gap_alignment import Stretch, stretches_around
from aligner.search.gap_parts import _losing
from aligner.search.gaps import GapPlace, _around_gaps
from aligner.text.common_words import CommonWord
from aligner.text.packed import PackedTexts, PackedTokens
from aligner.text.transcript import Transcript
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", *"abcdefgh"])
UNLIKELY = -50.0
GAP = len(VOCABULARY)


def gaps_in(
    emissions: Tensor,
    features: PackedFeatures,
    transcripts: Sequence[Transcript],
    wanted: Sequence[int],
    words: Sequence[CommonWord] = (),
) -> dict[int, Gaps]:
    """After a search that takes the texts as said, with the first pronunciations."""
    joint = Emissions(emissions[None])
    texts = PackedTexts.of(VOCABULARY, [f"u{n}" for n, _ in enumerate(transcripts, 1)], transcripts)
    tokens = texts.tokens()
    durations = forced_alignment(StubEncoder(), joint, features, tokens, edges=False)
    common = CommonWords.of(StubEncoder(), VOCABULARY, words)
    looked_at = {row: transcripts[row] for row in wanted}
    return find_gaps(
        StubEncoder(), emissions, features, texts, tokens, durations, looked_at, len(VOCABULARY), common
    )


def text_of(words: str) -> Transcript:
    """Words in which every letter is two phones: a word that is not said needs some frames to be missed."""
    return transcript_of(*("".join(2 * letter for letter in word) for word in words.split()))


def guessed(text: Transcript, *words: int) -> Transcript:
    """A text of which the pronunciations of some words were guessed."""
    return replace(
        text,
        words=tuple(replace(word, source="g2p") if n in words else word for n, word in enumerate(text.words)),
    )


def found(*spoken_and_words: tuple[str, str]) -> dict[int, Gaps]:
    """The gaps of utterances in which a letter a frame is spoken, and whose texts have these words."""
    spoken, words = zip(*spoken_and_words, strict=True)
    emissions = torch.cat([emissions_of(VOCABULARY, own, UNLIKELY) for own in spoken])
    texts = [text_of(own) for own in words]
    return gaps_in(emissions, features_of(*map(len, spoken)), texts, range(len(spoken_and_words)))


def long(letters: str) -> str:
    """Eight frames of each letter."""
    return "".join(8 * letter for letter in letters)


@pytest.mark.parametrize(
    ("spoken", "text", "unsaid", "extra"),
    [
        ("abcdef", "ab cd ef", [], []),
        (".ab.cd..ef.", "ab cd ef", [], []),
        ("abef", "ab cd ef", [1], []),
        ("ab.ef", "ab cdgh ef", [1], []),
        ("cdef", "ab cd ef", [0], []),
        ("abcd", "ab cd ef", [2], []),
        ("abef", "ab cd gh ef", [1, 2], []),
        ("abcdef", "ab ef", [], [1]),
        ("ab.cd.ef", "ab ef", [], [1]),
        ("ghabef", "ab ef", [], [0]),
        ("abefgh", "ab ef", [], [2]),
        ("abcdghef", "ab ef", [], [1]),
        ("abghef", "ab cd ef", [1], [1]),
    ],
)
def test_what_is_not_said_and_what_the_text_lacks_is_found(
    spoken: str, text: str, unsaid: list[int], extra: list[int]
) -> None:
    gaps = found((long(spoken), text))
    if not unsaid and not extra:
        assert gaps == {}
        return
    own = gaps[0]
    assert sorted(own.unsaid) == unsaid
    places = list(own.places(len(text.split())))
    assert [place.before for place in places if place.extra] == extra


def test_each_utterance_of_a_batch_has_its_own_and_the_others_have_none() -> None:
    clean = (long("abcdef"), "ab cd ef")
    gaps = found(clean, (long("abef"), "ab cd ef"), clean, (long("abcdef"), "ab ef"))
    assert sorted(gaps) == [1, 3]
    assert gaps[1].unsaid == {1}
    assert not gaps[1].extra
    assert gaps[3].extra == {1}


def test_only_wanted_utterances_are_looked_at() -> None:
    emissions = emissions_of(VOCABULARY, 2 * long("abef"), UNLIKELY)
    texts = 2 * [text_of("ab cd ef")]
    features = features_of(32, 32)
    assert sorted(gaps_in(emissions, features, texts, [1])) == [1]
    assert gaps_in(emissions, features, texts, []) == {}


def test_a_text_of_which_nothing_is_said_is_left_as_it_is() -> None:
    assert found((long("cdgh"), "ab")) == {}


def test_in_a_voice_that_is_not_known_more_must_differ() -> None:
    """Where all phones are far from the likeliest states, a word that is as far is there."""
    worse = emissions_of(VOCABULARY, long("abcdef"), UNLIKELY)
    worse[:, -1] = 11.0  # what nobody says is likelier throughout
    assert gaps_in(worse, features_of(48), [text_of("ab cd ef")], [0]) == {}


def test_a_phone_that_is_said_otherwise_however_badly_is_no_word_that_is_not_said() -> None:
    """A few frames of another phone: what each of them says against a state has its limit."""
    emissions = 20 * emissions_of(VOCABULARY, long("ab") + "cccg" + long("ef"), UNLIKELY)
    text = transcript_of("ab", "cd", "ef")
    assert gaps_in(emissions, features_of(len(emissions)), [text], [0]) == {}


@pytest.mark.parametrize(("longer", "is_unsaid"), [(0, True), (10, False)])
def test_a_word_that_keeps_more_frames_than_it_must_is_said(longer: int, is_unsaid: bool) -> None:
    """A word of seven phones of which only the last two are heard: to pass over it gains 60 in both cases."""
    n = 2 + longer
    emissions = emissions_of(VOCABULARY, long("ab") + n * "d" + long("ef"), UNLIKELY)
    emissions[16 : 16 + n, VOCABULARY.index["b"]] = -40 / n
    text = transcript_of("ab", "cccccdd", "ef")
    gaps = gaps_in(emissions, features_of(len(emissions)), [text], [0])
    assert [sorted(own.unsaid) for own in gaps.values()] == ([[1]] if is_unsaid else [])


def test_a_word_whose_pronunciation_was_guessed_may_sound_like_anything() -> None:
    emissions = emissions_of(VOCABULARY, long("abghef"), UNLIKELY)
    text = text_of("ab cd ef")
    assert gaps_in(emissions, features_of(48), [guessed(text, 1)], [0]) == {}
    assert gaps_in(emissions, features_of(48), [guessed(text, 0)], [0]) != {}


def test_a_word_that_was_guessed_may_be_missing() -> None:
    emissions = emissions_of(VOCABULARY, long("abef"), UNLIKELY)
    text = guessed(text_of("ab cdgh ef"), 1)
    assert gaps_in(emissions, features_of(32), [text], [0])[0].unsaid == {1}


def test_places_of_gaps_are_counted_in_the_words_that_are_said() -> None:
    gaps = Gaps(frozenset({1, 2, 4}), frozenset({0, 3}), 6.0, ((0, 5),))
    assert list(gaps.places(5)) == [
        GapPlace(0, (), True),
        GapPlace(1, (1, 2), True),
        GapPlace(2, (4,), False),
    ]
    assert gaps.said(list("abcde")) == ["a", "d"]


def aligned(
    spoken: Sequence[str], texts: Sequence[str], gaps: dict[int, Gaps]
) -> tuple[PackedTokens, TokenDurations, PackedTokens, TokenDurations]:
    """Tokens and durations of utterances with these gaps, before they were looked for and after."""
    emissions = Emissions(torch.cat([emissions_of(VOCABULARY, own, UNLIKELY) for own in spoken])[None])
    features = features_of(*map(len, spoken))
    tokens = tokens_of(VOCABULARY, *(transcript_of(*own.split()) for own in texts))
    durations = forced_alignment(StubEncoder(), emissions, features, tokens)
    found = align_with_gaps(StubEncoder(), emissions, features, tokens, durations, gaps, GAP)
    return tokens, durations, *found


def test_tokens_are_those_of_the_words_that_are_said_and_one_for_speech_the_text_lacks() -> None:
    gaps = {1: Gaps(frozenset({1}), frozenset({3}), 6.0, ((0, 4),))}
    before, _, tokens, durations = aligned([long("ab"), long("abde.gh.f")], ["ab", "ab c de f"], gaps)
    assert tokens.ids == ("u1", "u2")
    other, spoken = tokens.unpack((*VOCABULARY.symbols, "spn"))
    assert other == before.unpack(VOCABULARY.symbols)[0]
    assert spoken.symbols == ("sil", "a", "b", "sil", "d", "e", "sil", "spn", "sil", "f", "sil")
    assert spoken.words == (-1, 0, 0, -1, 1, 1, -1, -1, -1, 2, -1)
    assert [s for s, skippable in zip(spoken.symbols, spoken.skippable, strict=True) if not skippable] == [
        "a", "b", "d", "e", "spn", "f",
    ]  # fmt: skip
    assert durations.joint.tolist() == [0, 8, 8, 0, 0, 8, 8, 0, 8, 8, 8, 16, 8, 8, 0]
    assert durations.edges[0][5:].tolist() == [0, 0, 8, 16, 16, 24, 32, 40, 56, 64, 72, 72]


def test_phones_of_what_is_heard_are_one_token_where_these_are() -> None:
    """Frames of the gap that are as likely as its price are the word's that follows; "g" "h" are not."""
    spoken = long("ab") + 4 * "g" + 4 * "h" + long("de") + long("ab")
    none = Gaps(frozenset(), frozenset({1}), 60.0, ((0, 2),))  # that price: any frame of it is as bad as all
    _, _, tokens, durations = aligned([spoken, spoken], 2 * ["ab de ab"], {0: none, 1: none})
    gap = tokens.token_ids == GAP
    assert durations.joint[gap].tolist() != [8, 8]
    heard = replace(none, heard={1: (VOCABULARY.index["g"], VOCABULARY.index["h"])})
    before, was, tokens, durations = aligned([spoken, spoken], 2 * ["ab de ab"], {0: heard, 1: none})
    assert tokens.lengths.tolist() == [n + 2 for n in before.lengths]  # a gap, and a pause after it
    gap = tokens.token_ids == GAP
    assert durations.joint[gap].tolist()[0] == 8
    assert not tokens.skippable[gap].any()
    (edges,) = durations.edges
    assert len(edges) == len(tokens) + 2
    of_first = edges[: tokens.lengths[0] + 1]
    place = int(np.flatnonzero(gap)[0])
    assert of_first[[place, place + 1]].tolist() == [16, 24]
    assert (np.diff(of_first) >= 0).all()
    assert durations.joint.sum() == 2 * len(spoken)


def test_only_what_is_near_a_gap_is_aligned_anew() -> None:
    """A word that is not said, and long pauses around it: what is beyond these is as it was."""
    spoken = "".join(n * letter for n, letter in zip(_FRAMES, "a.b.cd.e.f", strict=True))
    gaps = {0: Gaps(frozenset({3}), frozenset(), 6.0, ((2, 4),))}
    before, was, tokens, durations = aligned([spoken], ["a b cd gh e f"], gaps)
    assert stretches_around(gaps, before, was) == {0: [Stretch(1, 5, 2, 13, 230, 1821)]}
    assert tokens.words.tolist() == [-1, 0, -1, 1, -1, 2, 2, -1, 3, -1, 4, -1]
    assert durations.joint.tolist() == [0, *_FRAMES, 0]
    (edges,), (old,) = durations.edges, was.edges
    assert edges[:3].tolist() == old[:3].tolist()
    assert edges[-3:].tolist() == old[-3:].tolist()


@pytest.mark.parametrize("pause", [0, 1, 40])
def test_what_is_aligned_anew_and_what_is_not_meet_in_order(pause: int) -> None:
    """Whether there are pauses to cut in or none, everything is as if all had been aligned anew."""
    words = 12 * "abcdefgh"
    spoken = ("." * pause).join(15 * letter for letter in words[:50] + words[51:])
    gaps = {0: Gaps(frozenset({50}), frozenset(), 6.0, ((47, 54),))}
    before, was, tokens, durations = aligned([spoken], [" ".join(words)], gaps)
    ((stretch,),) = stretches_around(gaps, before, was).values()
    assert 0 < stretch.first_frame < stretch.end_frame < len(spoken)
    assert durations.joint[tokens.words >= 0].tolist() == 95 * [15]
    assert durations.joint[tokens.words < 0].tolist() == [0, *94 * [pause], 0]
    assert all((np.diff(own) >= 0).all() for own in durations.edges)


_FRAMES = [30, 400, 30, 510, 30, 30, 601, 40, 300, 700]


@pytest.mark.parametrize(("least", "stretches"), [(12.0, [[3, 5], [8, 9]]), (16.0, [[8, 9]]), (40.0, [])])
def test_stretches_begin_anew_below_zero_and_in_each_utterance(
    least: float, stretches: list[list[int]]
) -> None:
    lost = np.array([5.0, 5, -20, 4, 4, 4, -1, -9, 9, 9, -30])
    row = np.array([0] * 8 + [1] * 3)
    assert _losing(lost, row, np.array([least, least])).tolist() == stretches


def test_a_stretch_that_lost_much_does_not_last_until_it_is_all_won_back() -> None:
    lost = np.concatenate([np.full(10, 100.0), np.full(300, -1.0), np.full(5, 10.0), np.full(9, -1.0)])
    stretches = _losing(lost, np.zeros(len(lost), np.int64), np.array([40.0]))
    assert stretches.tolist() == [[0, 9], [310, 314]]


def test_speech_that_the_text_lacks_goes_from_pause_to_pause_if_a_word_may_stand_on_either_side() -> None:
    """What is said: ab, cd ef, cd gh. What is written: ab, cd gh. Both "cd" are as good."""
    pause = 12 * "."
    gaps = found((long("ab") + pause + long("cdef") + pause + long("cdgh"), "ab cd gh"))
    assert gaps[0].extra == {1}
    assert not gaps[0].unsaid


def test_what_is_around_a_gap_has_the_words_that_moved_and_one_more() -> None:
    flags = np.arange(9)
    unsaid, extra, moved = flags == 2, np.arange(10) == 9, (flags == 3) | (flags == 6)
    assert list(_around_gaps(unsaid, extra, moved)) == [(1, 9)]
    assert list(_around_gaps(unsaid, extra, flags == 3)) == [(1, 5), (7, 9)]
    assert list(_around_gaps(unsaid & False, np.arange(10) == 0, flags == 6)) == [(0, 2)]


def test_a_short_word_that_the_text_lacks_is_found_if_it_is_a_common_one() -> None:
    """Of any phones it would cost as much as it gains."""
    spoken = "a" * 8 + "b" * 8 + "g" * 3 + "h" * 3 + "c" * 8 + "d" * 8
    emissions, texts = emissions_of(VOCABULARY, spoken, UNLIKELY), [text_of("ab cd")]
    features = features_of(len(spoken))
    assert gaps_in(emissions, features, texts, [0]) == {}
    assert gaps_in(emissions, features, texts, [0], [(("h", "g"), -1.0)]) == {}
    (own,) = gaps_in(emissions, features, texts, [0], [(("h", "g"), -1.0), (("g", "h"), -1.0)]).values()
    assert (own.unsaid, own.extra) == (frozenset(), {1})
    assert own.heard == {1: (VOCABULARY.index["g"], VOCABULARY.index["h"])}


def test_pronunciations_near_a_gap_are_those_of_where_the_words_are() -> None:
    """The second word was taken for the end of the first; it is said after what the text lacks."""
    spoken = long("ab") + long("g") + long("hedfe") + long("cd")
    first = transcript_of("aabb", "eegg|ee", "ccdd")
    gaps = gaps_in(emissions_of(VOCABULARY, spoken, UNLIKELY), features_of(len(spoken)), [first], [0])
    assert gaps[0].extra == {1}
    letters = {word: "".join(VOCABULARY.symbols[id] for id in ids) for word, ids in gaps[0].spoken.items()}
    assert letters == {0: "aabb", 1: "ee", 2: "ccdd"}
    tokens, _, found, durations = aligned([spoken], ["aabb eegg|ee ccdd"], gaps)
    spoken_tokens = [VOCABULARY.symbols[id] for id in found.token_ids if 0 < id < GAP]
    assert spoken_tokens == list("aabbeeccdd")
    assert len(found) == len(tokens) - 2 + 2  # a gap and a pause after it instead of two phones
    assert durations.joint.sum() == len(spoken)


def test_a_sentence_that_the_text_lacks_is_between_sentences() -> None:
    """What is said: ab, cd(ef)3, cd gh. What is written: ab. cd gh, or ab cd. gh. Both "cd" are as good."""
    spoken = long("ab") + long("cd") + 3 * long("ef") + long("cd") + long("gh")
    emissions, features = emissions_of(VOCABULARY, spoken, UNLIKELY), features_of(len(spoken))
    text = text_of("ab cd gh")
    for breaks, junction in ((("", ".", "", "."), 1), (("", "", "?", "!"), 2)):
        (own,) = gaps_in(emissions, features, [replace(text, breaks=breaks)], [0]).values()
        assert (own.unsaid, own.extra) == (frozenset(), {junction})


def test_sentences_that_are_not_said_begin_and_end_where_sentences_do() -> None:
    """The same three words before and after; said: ab cd gh; written: ab. cd ef ab ef. cd gh, or
    ab cd. ef ab ef cd. gh.
    """
    spoken = long("ghfebaabcdghabefhg")
    emissions, features = emissions_of(VOCABULARY, spoken, UNLIKELY), features_of(len(spoken))
    text = text_of("gh fe ba ab cd ef ab ef cd gh ab ef hg")
    for edges, unsaid in (((4, 8), {4, 5, 6, 7}), ((5, 9), {5, 6, 7, 8})):
        breaks = tuple("." if junction in edges else "" for junction in range(14))
        (own,) = gaps_in(emissions, features, [replace(text, breaks=breaks)], [0]).values()
        assert (own.unsaid, own.extra) == (unsaid, frozenset())
