"""Common words that a text lacks, against every way through small utterances."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from stub_encoder import StubEncoder

from aligner.search.missing_words import (
    _MORE_WORDS,
    _WORD,
    CommonWords,
    MissingWord,
    _before,
    _with_a_word,
    _with_any_phones,
    pronunciations_beside,
)
from aligner.search.word_states import WordStates
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", *"abcdef"])


def ways(n_frames: int, states: Sequence[int]) -> Iterator[list[int]]:
    """Every way through states, each of which takes a frame or more."""
    if not states or n_frames < len(states):
        yield from [[]] if n_frames == len(states) == 0 else []
        return
    for cuts in itertools.combinations(range(1, n_frames), len(states) - 1):
        edges = (0, *cuts, n_frames)
        yield [state for state, a, b in zip(states, edges, edges[1:], strict=False) for _ in range(b - a)]


def best(emissions: np.ndarray, pause: np.ndarray, words: Sequence[Sequence[int]]) -> float:
    """The best score of words with a pause, or none, at every junction."""
    scores = np.column_stack([emissions, pause])
    silent, found = scores.shape[1] - 1, -np.inf
    for paused in itertools.product((False, True), repeat=len(words) + 1):
        states: list[int] = [silent] * paused[0]
        for word, after in zip(words, paused[1:], strict=True):
            states += [*word, *[silent] * after]
        for way in ways(len(emissions), states):
            found = max(found, scores[np.arange(len(way)), way].sum())
    return float(found)


def of(*words: Sequence[Sequence[int]]) -> WordStates:
    """Words with these pronunciations, each as its states; a phone has one."""
    variants = [own for word in words for own in word]
    states = np.array([state for own in variants for state in own])
    first, of_word = np.cumsum([0, *map(len, variants)]), np.cumsum([0, *map(len, words)])
    return WordStates(states, first, of_word, np.arange(len(states)), states, np.zeros(len(variants)))


@pytest.mark.parametrize("seed", range(20))
def test_the_score_before_a_junction_is_that_of_the_best_way(seed: int) -> None:
    draw = np.random.default_rng(seed)
    emissions = draw.integers(-6, 3, (5, 5)).astype(np.float32)
    pause = draw.integers(-6, 3, 5).astype(float)
    words = of([[1, 2], [2]], [[3]], [[4], [1, 1]])
    log_priors = np.array([0.0, -1.0, -2.0, 0.0, -3.0])
    found = _before(emissions, pause, words.states, words.first, words.variants, log_priors)
    choices = [
        (one, -1.0 * (one == [2]) - 2.0 - 3.0 * (other == [1, 1]), other)
        for one, other in itertools.product([[1, 2], [2]], [[4], [1, 1]])
    ]
    for junction, frame in itertools.product(range(4), range(6)):
        expected = max(
            best(emissions[:frame], pause[:frame], [one, [3], other][:junction])
            + [0.0, -1.0 * (one == [2]), -1.0 * (one == [2]) - 2.0, prior][junction]
            for one, prior, other in choices
        )
        assert found[junction, frame] == expected or (expected == -np.inf and found[junction, frame] < -1e29)


@pytest.mark.parametrize("seed", range(20))
def test_a_word_and_any_phones_are_where_they_fit_best(seed: int) -> None:
    draw = np.random.default_rng(seed)
    emissions = draw.integers(-6, 3, (6, 5)).astype(np.float32)
    before, after = draw.integers(-9, 0, 7).astype(float), draw.integers(-9, 0, 7).astype(float)
    words, priors = ([1, 2], [3]), np.array([-1.0, -3.0])
    ends = [(a, b) for a, b in itertools.combinations(range(7), 2)]
    expected = max(
        before[a] + after[b] + prior + emissions[np.arange(a, b), way].sum()
        for a, b in ends
        for word, prior in zip(words, priors, strict=True)
        for way in ways(b - a, word)
    )
    score, start, end, chosen = _with_a_word(
        emissions, before, after, np.array([1, 2, 3]), np.array([0, 2, 3]), priors
    )
    assert score == expected
    assert score == max(
        before[start] + after[end] + priors[chosen] + emissions[np.arange(start, end), way].sum()
        for way in ways(end - start, words[chosen])
    )
    sums = np.append(0.0, np.cumsum(emissions.max(1)))
    scores, starts, stops = _with_any_phones(before[None], after[None], sums)
    assert scores[0] == max(before[a] + after[b] + sums[b] - sums[a] for a in range(7) for b in range(a, 7))
    assert scores[0] == before[starts[0]] + after[stops[0]] + sums[stops[0]] - sums[starts[0]]


def missing(spoken: str, scale: float = 1.0, n_words: int = 2, alike: str = "") -> list[MissingWord]:
    """Where "ef" and "fe" are missing from a text "ab" "cd"; a letter a frame is spoken.

    One letter may be a bit more alike to all others than these are to each other.
    """
    words = CommonWords.of(StubEncoder(), VOCABULARY, [(("e", "f"), -1.0), (("f", "e"), -2.0)])
    emissions = np.full((len(spoken), 7), -40.0, np.float32)
    emissions[:, ["abcdef".index(letter) + 1 for letter in alike]] = -35.0
    emissions[np.arange(len(spoken)), [" abcdef".index(letter) for letter in spoken]] = 0.0
    any_phones = np.zeros(len(spoken))
    pause, likeliest = emissions[:, 0].astype(float), emissions.max(1).astype(float)
    text = of([[1, 2]], [[3, 4]])
    return words.missing(emissions, pause, any_phones, likeliest, text, scale, n_words)


def test_a_missing_word_is_found_at_its_junction_and_its_frames() -> None:
    assert missing("aabbccdd") == []
    assert missing("aabbeeffccdd") == [MissingWord(1, 4, 8, 0)]
    assert missing("ffeeaabbccdd") == [MissingWord(0, 0, 4, 1)]
    assert missing("aabbccddeeff") == [MissingWord(2, 8, 12, 0)]
    assert missing("eeffaabbffeeccddffee") == [
        MissingWord(0, 0, 4, 0),
        MissingWord(1, 8, 12, 1),
        MissingWord(2, 16, 20, 1),
    ]


def test_a_sound_instead_of_a_phone_beside_is_no_missing_word() -> None:
    """If it were, one frame would be left for the phone, and that one sounds unlike it."""
    assert missing("aabbeeffdd", alike="c") == []
    assert missing("aaeeffccdd", alike="b") == []
    assert missing("aabbeeffcdd", alike="c") == [MissingWord(1, 4, 8, 0)]  # one frame that sounds like it


def test_what_a_word_must_gain_grows_with_the_text_and_the_scale() -> None:
    gained = 4 * 40.0 - 3.0 * 1.0  # four frames, and three times the log prior
    enough = 10 * np.exp((gained - _WORD) / _MORE_WORDS)
    assert missing("aabbeeffccdd", n_words=int(0.99 * enough))
    assert not missing("aabbeeffccdd", n_words=int(1.01 * enough))
    assert missing("aabbeeffccdd", scale=0.99 * 160.0 / (_WORD + 3.0))
    assert not missing("aabbeeffccdd", scale=1.01 * 160.0 / (_WORD + 3.0))


def test_without_common_words_none_is_missing() -> None:
    words = CommonWords.of(StubEncoder(), VOCABULARY, ())
    emissions, pause = np.zeros((4, 5), np.float32), np.zeros(4)
    assert words.missing(emissions, pause, pause, pause, of([[1]]), 1.0, 1) == []


def test_words_have_the_encoders_states() -> None:
    words = CommonWords.of(StubEncoder(states=2), VOCABULARY, [(("b", "a"), -1.0), (("c",), -2.0)])
    assert words.states.tolist() == [3, 4, 1, 2, 5, 6]
    assert words.first.tolist() == [0, 4, 6]
    assert words.log_priors.tolist() == [-1.0, -2.0]
    assert words.phones == ((2, 1), (3,))


def test_words_beside_missing_ones_are_said_as_they_sound_there() -> None:
    """ "ab" or "ac", a missing word, "cd" or "d"."""
    emissions = np.full((12, 7), -40.0, np.float32)
    emissions[np.arange(12), [" abcdef".index(letter) for letter in "aaacceeeffdd"]] = 0.0
    words = of([[1, 2], [1, 3]], [[3, 4], [4]])
    silence, likeliest = emissions[:, 0].astype(float), emissions.max(1).astype(float)
    chosen = pronunciations_beside([MissingWord(1, 5, 10, 0)], emissions, silence, likeliest, words)
    assert chosen.tolist() == [1, 3]
    assert [words.pronunciation(variant) for variant in chosen.tolist()] == [(1, 3), (4,)]


@pytest.mark.parametrize(("spoken", "heard"), [("ef", (5, 6)), ("fe", (6, 5)), ("ff", ()), ("ee", ())])
def test_what_the_text_lacks_is_a_common_word_if_it_is_as_likely_as_any_phones(
    spoken: str, heard: tuple[int, ...]
) -> None:
    words = CommonWords.of(StubEncoder(), VOCABULARY, [(("e", "f"), -1.0), (("f", "e"), -2.0)])
    letters = "aabb" + "".join(2 * letter for letter in spoken) + "ccdd"
    emissions = np.full((len(letters), 7), -40.0, np.float32)
    emissions[np.arange(len(letters)), [" abcdef".index(letter) for letter in letters]] = 0.0
    silence, any_phones = emissions[:, 0].astype(float), np.full(len(letters), -1.0)
    text = of([[1, 2]], [[3, 4]])
    assert words.heard(1, emissions, silence, any_phones, text, 1.0) == heard
    none = CommonWords.of(StubEncoder(), VOCABULARY, ())
    assert none.heard(1, emissions, silence, any_phones, text, 1.0) == ()
