"""Pauses beside sounds whose edges are known to the millisecond.

T text tokens, P loudness values.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stub_encoder import packed
from torch import Tensor

from aligner.boundaries.loudness import Levels, loudness_db
from aligner.boundaries.pauses import drop_short_pauses, fit_pauses_to_loudness
from aligner.text.packed import PackedTokens
from aligner.text.transcript import PAUSE, Tokens

RATE_HZ = 16000
FRACTION, DECAY_FRACTION = 0.3, 0.45
QUIET_DB, LOUD_DB = -60.0, -10.0


def tokens_of(symbols: str, optional: bool = True) -> PackedTokens:
    """Tokens of one letter each; "." is a pause, every phone a word."""
    names = tuple(PAUSE if letter == "." else letter for letter in symbols)
    words = tuple(-1 if letter == "." else place for place, letter in enumerate(symbols))
    return packed(Tokens(names, words, tuple(optional and letter == "." for letter in symbols)))


def loudness(total_ms: int, *loud_ms: tuple[int, int]) -> Tensor:
    """`[P]`: -10 dB from one millisecond to another (both included), -60 dB elsewhere."""
    result = torch.full((total_ms,), -60.0)
    for first, last in loud_ms:
        result[first : last + 1] = -10.0
    return result


def fitted(tokens: PackedTokens, boundaries_s: NDArray[np.float64], loud: Tensor) -> NDArray[np.float64]:
    levels = Levels(loud[None].numpy(), np.array([len(loud)]), np.array([QUIET_DB]), np.array([LOUD_DB]))
    return fit_pauses_to_loudness(tokens, boundaries_s, levels, FRACTION, DECAY_FRACTION)


def loudness_of(audio: Tensor) -> Tensor:
    return loudness_db(audio[None], torch.tensor([len(audio)]), RATE_HZ)[0][0]


def fitted_ms(symbols: str, boundaries_ms: list[float], loud: Tensor) -> list[float]:
    """Boundaries in milliseconds before and after, to a thousandth."""
    before = np.array(boundaries_ms) / 1000
    kept = before.copy()
    after = fitted(tokens_of(symbols), before, loud)
    assert (before == kept).all()
    assert (np.diff(after) >= 0).all()
    return [round(float(time), 3) for time in after * 1000]


def test_pauses_grow_to_where_it_becomes_loud_on_both_sides() -> None:
    loud = loudness(401, (120, 280))
    assert fitted_ms(".a.", [0, 100, 300, 400], loud) == [0, 120, 280, 400]
    assert fitted_ms(".a.", [0, 119, 281, 400], loud) == [0, 120, 280, 400]
    assert fitted_ms(".a.", [0, 60.4, 339.6, 400], loud) == [0, 120.4, 279.6, 400]


@pytest.mark.parametrize("noise_db", [-45, -30])
def test_noise_in_a_pause_says_itself_what_is_quiet_beside_it(noise_db: float) -> None:
    """It is louder than the threshold that the utterance's own silence gives."""
    loud = loudness(401, (120, 280))
    loud[281:] = noise_db
    assert fitted_ms(".a.", [0, 100, 300, 400], loud) == [0, 120, 280, 400]


def test_a_pause_quieter_than_the_utterance_changes_nothing() -> None:
    """Zeros beside the room's own noise, which is the pause's, too."""
    loud = loudness(401, (120, 280))
    loud[320:] = -90
    assert fitted_ms(".a.", [0, 100, 320, 400], loud) == [0, 120, 280, 400]


def test_a_pause_between_words_grows_both_ways() -> None:
    loud = loudness(501, (20, 190), (310, 480))
    assert fitted_ms("a.b", [0, 220, 290, 500], loud) == [0, 190, 310, 500]


def test_a_phone_grows_over_the_loud_part_of_the_pause_beside_it() -> None:
    loud = loudness(401, (60, 340))
    assert fitted_ms(".a.", [0, 100, 300, 400], loud) == [0, 60, 340, 400]


def test_the_dying_away_of_a_word_is_its_own_down_to_a_fraction() -> None:
    loud = loudness(601, (100, 300))
    loud[301:401] = torch.linspace(-10, -60, 100)  # 2 ms a dB; 0.45 of the way is at -37.5 dB
    found = fitted_ms(".a.", [0, 100, 310, 600], loud)
    assert found == [0, 100, pytest.approx(356, abs=2), 600]
    # As loud before a word, it is the word's down to the fraction that makes pauses quiet.
    found = fitted_ms(".a.", [0, 290, 500, 600], loud.flip(0))
    assert found == [0, pytest.approx(230, abs=2), 500, 600]


def test_a_word_grows_by_at_most_a_fifth_of_a_second_and_leaves_a_pause_inside() -> None:
    loud = loudness(1001, (0, 1000))
    assert fitted_ms(".a.", [0, 400, 600, 1000], loud) == [0, 200, 800, 1000]
    assert fitted_ms("a.b", [0, 400, 600, 1000], loud) == [0, 475, 525, 1000]
    assert fitted_ms("a.b", [0, 400, 440, 1000], loud) == [0, 400, 440, 1000]


def test_only_the_phone_beside_a_pause_is_grown_over() -> None:
    loud = loudness(601, (0, 90), (310, 600))
    assert fitted_ms("ab.cd", [0, 50, 150, 250, 350, 600], loud) == [0, 50, 90, 310, 350, 600]


def test_boundaries_between_two_phones_and_between_two_pauses_stay() -> None:
    """Also where it is quiet: the closure of a stop."""
    loud = loudness(601, (0, 80), (140, 400), (550, 600))
    assert fitted_ms("abc", [0, 100, 300, 600], loud) == [0, 100, 300, 600]
    assert fitted_ms("a..b", [0, 420, 480, 530, 600], loud) == [0, 400, 480, 550, 600]


@pytest.mark.parametrize(("kept_ms", "grows"), [(14, False), (16, True)])
def test_fifteen_milliseconds_of_a_phone_stay(kept_ms: int, grows: bool) -> None:
    """A pause that would leave less is not grown at all: what is so quiet is no dying away."""
    edge = 200 - kept_ms
    found = fitted_ms(".ab", [0, 100, 200, 400], loudness(401, (edge, 400)))
    assert found == [0, edge if grows else 100, 200, 400]
    edge = 200 + kept_ms
    found = fitted_ms("ba.", [0, 200, 300, 400], loudness(401, (0, edge)))
    assert found == [0, 200, edge if grows else 300, 400]


def test_a_phone_as_quiet_as_the_pauses_keeps_its_place() -> None:
    loud = loudness(901, (0, 300), (600, 900))
    assert fitted_ms("a.b.c", [0, 310, 400, 500, 590, 900], loud) == [0, 300, 400, 500, 600, 900]


def test_a_phone_shorter_than_what_must_stay_is_left_alone() -> None:
    loud = loudness(401, (110, 400))
    assert fitted_ms(".ab", [0, 100, 112, 400], loud) == [0, 100, 112, 400]


def test_boundaries_of_tokens_without_extent_move_along() -> None:
    """The optional pause of 0 s between a and b is not beside the pause, and no phone is lost in it."""
    loud = loudness(401, (120, 280))
    assert fitted_ms("..a..", [0, 100, 100, 300, 300, 400], loud) == [0, 120, 120, 280, 280, 400]
    assert fitted_ms("a.b", [0, 200, 200, 400], loud) == [0, 200, 200, 400]


def test_a_boundary_beyond_the_last_loudness_value_is_no_error() -> None:
    """Rounding can put it there."""
    found = fitted_ms("a.", [0, 399.9, 401], loudness(400, (0, 300)))
    assert found == [0, pytest.approx(299.9, abs=1), 401]


def recording(silent_ms: int, loud_ms: int, total_ms: int) -> Tensor:
    """Noise between two silences, each sample's level known."""
    samples = RATE_HZ // 1000
    generator = torch.Generator().manual_seed(0)
    audio = 1e-4 * torch.randn(total_ms * samples, generator=generator)
    inside = slice(silent_ms * samples, (silent_ms + loud_ms) * samples)
    audio[inside] = 0.2 * torch.randn(loud_ms * samples, generator=generator)
    return audio


def test_a_pause_grows_to_the_onset_in_a_recording() -> None:
    """To within half of loudness' window."""
    audio = recording(130, 150, 400)
    boundaries_s = np.array([0, 0.1, 0.31, 0.4])
    found = fitted(tokens_of(".a."), boundaries_s, loudness_of(audio))
    assert found[1] == pytest.approx(0.130, abs=0.005)
    assert found[2] == pytest.approx(0.280, abs=0.005)


@pytest.mark.parametrize(("silent_ms", "loud_ms"), [(130, 150), (125, 171), (112, 180)])
def test_a_mirrored_recording_has_mirrored_boundaries(silent_ms: int, loud_ms: int) -> None:
    audio, tokens = recording(silent_ms, loud_ms, 400), tokens_of(".a.")
    boundaries_s = np.array([0, 0.1, 0.31, 0.4])
    there = fitted(tokens, boundaries_s, loudness_of(audio))
    mirrored_s = (0.4 - boundaries_s)[::-1].copy()
    back = fitted(tokens, mirrored_s, loudness_of(audio.flip(0)))
    assert (there[1:3] != boundaries_s[1:3]).all()
    assert (0.4 - back[::-1]).tolist() == pytest.approx(there.tolist(), abs=0.00101)


def test_short_pauses_are_given_to_the_next_word() -> None:
    tokens, before = tokens_of("a.b.c"), np.array([0, 0.10, 0.14, 0.30, 0.36, 0.5])
    assert drop_short_pauses(tokens, before, 0.05).tolist() == [0, 0.10, 0.10, 0.30, 0.36, 0.5]
    assert drop_short_pauses(tokens, before, 0.07).tolist() == [0, 0.10, 0.10, 0.30, 0.30, 0.5]
    assert drop_short_pauses(tokens, before, 0.0).tolist() == before.tolist()
    assert before[2] == 0.14


def test_a_pause_of_just_the_shortest_length_is_kept() -> None:
    found = drop_short_pauses(tokens_of("a.b"), np.array([0, 0.25, 0.5, 1.0]), 0.25)
    assert found.tolist() == [0, 0.25, 0.5, 1.0]


def test_short_pauses_at_the_edges_and_the_users_own_are_kept() -> None:
    before = np.array([0, 0.01, 0.2, 0.21, 0.4, 0.41])
    assert drop_short_pauses(tokens_of(".a.b."), before, 0.05).tolist() == [0, 0.01, 0.2, 0.2, 0.4, 0.41]
    own = tokens_of(".a.b.", optional=False)
    assert drop_short_pauses(own, before, 0.05).tolist() == before.tolist()


def test_each_pause_is_measured_by_itself() -> None:
    """A minute of digital silence on one side, loud noise on the other: neither moves the other's edge."""
    loud = loudness(501, (120, 280))
    loud[300:] = -25.0  # noise after the word: louder than the quiet part of the first pause
    plain = fitted_ms(".a.", [0, 100, 320, 500], loud)
    assert plain == [0, 120, 280, 500]
    silent = torch.cat([torch.full((60_000,), -90.0), loud])
    found = fitted_ms(".a.", [0, 60_100, 60_320, 60_500], silent)
    assert found == [0, 60_120, 60_280, 60_500]
