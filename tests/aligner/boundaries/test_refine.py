"""Boundaries beside changes of the spectrum whose place is known, in made-up changes and in tones.

N samples, T text tokens.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stub_encoder import packed
from torch import Tensor

from aligner.boundaries import BoundaryRefiner
from aligner.boundaries.placement import Placement
from aligner.text.manners import MANNERS, SymbolManners
from aligner.text.packed import PackedTokens
from aligner.text.transcript import PAUSE, Tokens

RATE_HZ = 16000
STEP_S = 0.0025  # from one fine frame to the next; a boundary may be at each second one
TIMES_S = (np.arange(242) - 0.5) * STEP_S  # between the fine frames of 0.6 s
N_FEATURES, SIZE, SQUARE = 16, 0, 15  # the log of the change over 20 ms, and less the distance squared
UNIT_S = 0.015  # of distances


def placement(certain: float = 10.0) -> Placement:
    """Where the change is fastest, nearby: its log less half the squared distance, times a certainty."""
    weights = np.zeros((len(MANNERS), len(MANNERS), N_FEATURES), np.float32)
    weights[..., SIZE], weights[..., SQUARE] = certain, certain / 2
    return Placement(weights)


def refiner_of(rate_hz: int = RATE_HZ) -> BoundaryRefiner:
    refiner = BoundaryRefiner(rate_hz, SymbolManners([]))
    refiner.placement = placement()
    return refiner


def tokens_of(symbols: str) -> PackedTokens:
    """Tokens of one letter each; "." is an optional pause."""
    names = tuple(PAUSE if letter == "." else letter for letter in symbols)
    return packed(Tokens(names, tuple(range(len(names))), tuple(name == PAUSE for name in names)))


class KnownChange(BoundaryRefiner):
    """A refiner that is told how fast the spectrum changes: 1, and faster for 5 ms around these times.

    Args:
        fast: Times in seconds, and how fast.
        own: Its weights.
    """

    def __init__(self, fast: dict[float, float], own: Placement) -> None:
        super().__init__(RATE_HZ, SymbolManners(["sil", "a", "t"]))
        self._fast, self.placement = fast, own

    def change(self, audio: Tensor, audio_lengths: Tensor) -> Tensor:
        change = torch.zeros(1, len(TIMES_S), N_FEATURES - 2)
        for time_s, value in self._fast.items():
            change[0, np.abs(TIMES_S - time_s) < 1.1 * STEP_S, SIZE] = float(np.log(value))
        return change


def refined(symbols: str, boundaries_s: list[float], refiner: BoundaryRefiner, audio: Tensor) -> list[float]:
    before = np.array(boundaries_s)
    kept = before.copy()
    placed = refiner.refine(tokens_of(symbols), before, audio[None], torch.tensor([len(audio)]))
    after = placed.times_s
    assert (before == kept).all()
    assert (np.diff(after) >= 0).all()
    return after.tolist()


def known(
    symbols: str, boundaries_s: list[float], fast: dict[float, float], own: Placement | None = None
) -> list[float]:
    return refined(symbols, boundaries_s, KnownChange(fast, own or placement()), torch.zeros(9600))


NEAR_S = STEP_S + 1e-6


@pytest.mark.parametrize("off_s", [-0.028, -0.013, -0.001, 0.0, 0.001, 0.013, 0.028])
def test_a_boundary_moves_to_the_fastest_change(off_s: float) -> None:
    change_s = 0.30125
    assert known("ab", [0, change_s + off_s, 0.6], {change_s: 50}) == [
        0,
        pytest.approx(change_s, abs=NEAR_S),
        0.6,
    ]


def test_every_boundary_moves_to_its_own_change() -> None:
    found = known("abcd", [0, 0.16, 0.285, 0.435, 0.6], {0.15125: 50, 0.30125: 50, 0.42125: 50})
    assert found == pytest.approx([0, 0.15125, 0.30125, 0.42125, 0.6], abs=NEAR_S)


@pytest.mark.parametrize("sign", [-1, 1])
def test_no_boundary_moves_more_than_60_ms(sign: int) -> None:
    edge_s = 0.30125
    near, far = edge_s + sign * 0.060, edge_s + sign * 0.065
    assert known("ab", [0, edge_s, 0.6], {near: 1e5})[1] == pytest.approx(near, abs=NEAR_S)
    assert known("ab", [0, edge_s, 0.6], {far: 1e5})[1] == pytest.approx(edge_s, abs=NEAR_S)


@pytest.mark.parametrize(("away_s", "moves"), [(0.020, True), (0.025, False)])
def test_distance_weighs_against_speed(away_s: float, moves: bool) -> None:
    """A change e times as fast outweighs sqrt(2) * 15 ms = 21.2 ms."""
    for sign in (-1, 1):
        far = 0.30125 + sign * away_s
        found = known("ab", [0, 0.30125, 0.6], {0.30125: 10, far: 10 * np.e}, placement(40.0))
        assert found[1] == pytest.approx(far if moves else 0.30125, abs=2 * NEAR_S)


def test_an_unsure_boundary_is_put_between() -> None:
    found = known("ab", [0, 0.30125, 0.6], {0.28125: 5, 0.32125: 5}, placement(0.5))
    assert found[1] == pytest.approx(0.30125, abs=NEAR_S)


def test_no_boundary_moves_past_the_middle_of_a_phone() -> None:
    first, second = known("abc", [0, 0.28, 0.30, 0.6], {0.29125: 1e4})[1:3]  # the middle of b is 0.29
    assert 0.28 - NEAR_S <= first <= 0.29
    assert second == pytest.approx(0.29125, abs=NEAR_S)
    first, second = known("abc", [0, 0.30, 0.32, 0.6], {0.30875: 1e4})[1:3]  # 0.31
    assert first == pytest.approx(0.30875, abs=NEAR_S)
    assert 0.31 <= second <= 0.32 + NEAR_S


def test_a_phone_too_short_for_a_fine_frame_is_left_alone() -> None:
    boundaries_s = [0, 0.3001, 0.3005, 0.3009, 0.6]  # no middle of two fine frames within b and c
    found = known("abcd", boundaries_s, {0.28125: 500, 0.32125: 500})
    assert found[2] == 0.3005
    assert found[1] == pytest.approx(0.28125, abs=NEAR_S)
    assert found[3] == pytest.approx(0.32125, abs=NEAR_S)


def test_weights_are_those_of_the_phones_on_either_side() -> None:
    """With weights of a vowel before a stop alone, only such a boundary moves."""
    tokens = PackedTokens(
        ("a",), np.array([1, 2, 1, 99]), np.zeros(4, bool), np.zeros(4, np.int64), np.array([4])
    )
    weights = np.zeros((len(MANNERS), len(MANNERS), N_FEATURES), np.float32)
    weights[..., SQUARE] = 1e4
    weights[MANNERS.index("vowel"), MANNERS.index("voiceless stop")] = placement().weights[0, 0]
    refiner = KnownChange({0.14125: 50, 0.29125: 50, 0.44125: 50}, Placement(weights))
    found = refiner.refine(
        tokens, np.array([0, 0.15125, 0.30125, 0.45125, 0.6]), torch.zeros(1, 9600), torch.tensor([9600])
    )
    assert found.times_s == pytest.approx([0, 0.14125, 0.30125, 0.45125, 0.6], abs=NEAR_S)
    assert np.isnan(found.deviations_s[[0, -1]]).all()
    assert (found.deviations_s[1:-1] < 0.001).all()


def test_boundaries_at_pauses_stay() -> None:
    fast = {0.30125: 1e4, 0.41: 1e4}
    for symbols in (".b", "a."):
        assert known(symbols, [0, 0.31, 0.6], fast) == [0, 0.31, 0.6]
    assert known("a.b", [0, 0.31, 0.4, 0.6], fast) == [0, 0.31, 0.4, 0.6]


def test_a_pause_without_extent_moves_with_the_boundary() -> None:
    found = known("a.b", [0, 0.31, 0.31, 0.6], {0.30125: 50})
    assert found == pytest.approx([0, 0.30125, 0.30125, 0.6], abs=NEAR_S)
    assert found[1] == found[2]


def change_of(refiner: BoundaryRefiner, audio: Tensor) -> NDArray[np.float32]:
    """`[S + 1, 14]`."""
    return refiner.change(audio[None], torch.tensor([len(audio)]))[0].numpy()


def two_chords(change_s: float, rate_hz: int) -> Tensor:
    """0.6 s of eight tones: half of them are loud before the change, the others after it."""
    time_s = np.arange(round(0.6 * rate_hz)) / rate_hz
    audio = np.random.default_rng(0).normal(0, 0.01, len(time_s))
    for number, hz in enumerate((300, 700, 1200, 1900, 2900, 4100, 5600, 7000)):
        loud = (time_s < change_s) == (number % 2 == 0)
        audio += np.where(loud, 0.05, 0.01) * np.sin(2 * np.pi * hz * time_s + number)
    return torch.from_numpy(audio).float()


@pytest.mark.parametrize("rate_hz", [16000, 22050])
@pytest.mark.parametrize("change_s", [0.3, 0.3111, 0.2876])
def test_change_is_greatest_where_the_chord_changes(change_s: float, rate_hz: int) -> None:
    refiner, audio = refiner_of(rate_hz), two_chords(change_s, rate_hz)
    change = np.exp(change_of(refiner, audio)[:, SIZE])
    hop_s = round(STEP_S * rate_hz) / rate_hz
    times_s = (np.arange(len(change)) - 0.5) * hop_s
    assert times_s[-1] == pytest.approx(0.6, abs=hop_s)
    assert times_s[change.argmax()] == pytest.approx(change_s, abs=STEP_S)
    inside = (abs(times_s - change_s) > 0.035) & (times_s > 0.03) & (times_s < 0.57)
    assert change[inside].max() < 0.4 * change.max()
    kept = refined("ab", [0, change_s, 0.6], refiner, audio)
    assert kept == [0, pytest.approx(change_s, abs=2 * STEP_S), 0.6]


@pytest.mark.parametrize("rate_hz", [16000, 22050])
@pytest.mark.parametrize("off_s", [-0.02, -0.01, 0.01, 0.02])
def test_a_boundary_near_a_change_of_chord_moves_towards_it(off_s: float, rate_hz: int) -> None:
    """By at least half the way: what is found counts as well."""
    for change_s in (0.3, 0.3111, 0.2876):
        audio = two_chords(change_s, rate_hz)
        found = refined("ab", [0, change_s + off_s, 0.6], refiner_of(rate_hz), audio)
        assert abs(found[1] - change_s) < 0.55 * abs(off_s)


def test_bands_say_which_way_the_spectrum_changes() -> None:
    """A low tone before a high one: the lowest band falls, the highest rises."""
    time_s = np.arange(9600) / RATE_HZ
    tone = np.where(time_s < 0.3, np.sin(2 * np.pi * 200 * time_s), np.sin(2 * np.pi * 6000 * time_s))
    noise = np.random.default_rng(0).normal(0, 1e-3, len(time_s))
    change = change_of(refiner_of(), torch.from_numpy(0.1 * tone + noise).float())
    at = np.abs(TIMES_S - 0.3).argmin()
    assert change[at, 2] < -0.5
    assert change[at, 5] > 0.5


def test_levels_are_those_before_and_after() -> None:
    """Noise that grows ten times as loud: by log(100) in every band, whose unit is 3."""
    noise = np.random.default_rng(0).normal(0, 1, 9600) * np.where(np.arange(9600) < 4800, 1e-3, 1e-2)
    change = change_of(refiner_of(), torch.from_numpy(noise).float())
    step = np.log(100) / 3
    quiet, loud = (np.abs(TIMES_S - time_s) < 0.1 for time_s in (0.15, 0.45))
    after, before = change[:, 6:10], change[:, 10:14]
    for level in (after, before):
        assert level[loud].mean(0) - level[quiet].mean(0) == pytest.approx(np.full(4, step), abs=0.15)
    at = np.abs(TIMES_S - 0.3).argmin()
    assert (after[at] - before[at] > 0.3).all()


def test_what_lies_beyond_a_recording_does_not_matter() -> None:
    audio = two_chords(0.3, RATE_HZ)
    longer = torch.cat([audio, torch.full((800,), 0.5)])
    alone = change_of(refiner_of(), audio)
    padded = refiner_of().change(longer[None], torch.tensor([len(audio)]))[0, : len(alone)].numpy()
    assert padded == pytest.approx(alone, abs=1e-4)


def test_a_recording_of_30_ms_is_no_error() -> None:
    audio = two_chords(0.3, RATE_HZ)[:480]
    assert refined("ab", [0, 0.015, 0.03], refiner_of(), audio)[1] == pytest.approx(0.015, abs=0.0075)
