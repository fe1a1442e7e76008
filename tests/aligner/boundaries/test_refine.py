"""Boundaries beside changes of the spectrum whose place is known, in made-up changes and in tones.

N samples, T text tokens.
"""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stub_encoder import packed
from torch import Tensor

from aligner.boundaries import BoundaryRefiner
from aligner.text.packed import PackedTokens
from aligner.text.transcript import PAUSE, Tokens

RATE_HZ = 16000
LATE_S = 0.0045  # of what the search finds, on the mean
STEP_S = 0.0025  # from one fine frame to the next
TIMES_S = (np.arange(242) - 0.5) * STEP_S  # between the fine frames of 0.6 s


def tokens_of(symbols: str) -> PackedTokens:
    """Tokens of one letter each; "." is an optional pause."""
    names = tuple(PAUSE if letter == "." else letter for letter in symbols)
    return packed(Tokens(names, tuple(range(len(names))), tuple(name == PAUSE for name in names)))


class KnownChange(BoundaryRefiner):
    """A refiner that is told how fast the spectrum changes: 1, and faster at these times.

    Args:
        fast: Times in seconds, and how fast.
    """

    def __init__(self, fast: dict[float, float]) -> None:
        super().__init__(RATE_HZ)
        self._fast = fast

    def change(self, audio: Tensor, audio_lengths: Tensor) -> Tensor:
        change = np.ones(len(TIMES_S))
        for time_s, value in self._fast.items():
            change[np.abs(TIMES_S - time_s).argmin()] = value
        return torch.from_numpy(change)[None]


def refined(symbols: str, boundaries_s: list[float], refiner: BoundaryRefiner, audio: Tensor) -> list[float]:
    before = np.array(boundaries_s)
    kept = before.copy()
    after = refiner.refine(tokens_of(symbols), before, audio[None], torch.tensor([len(audio)]))
    assert (before == kept).all()
    assert (np.diff(after) >= 0).all()
    return after.tolist()


def known(symbols: str, boundaries_s: list[float], fast: dict[float, float]) -> list[float]:
    return refined(symbols, boundaries_s, KnownChange(fast), torch.zeros(9600))


@pytest.mark.parametrize("off_s", [-0.028, -0.013, -0.001, 0.0, 0.001, 0.013, 0.028])
def test_a_boundary_moves_to_the_fastest_change(off_s: float) -> None:
    change_s = 0.30125
    assert known("ab", [0, change_s + off_s, 0.6], {change_s: 50}) == [0, pytest.approx(change_s), 0.6]


def test_every_boundary_moves_to_its_own_change() -> None:
    found = known("abcd", [0, 0.16, 0.285, 0.435, 0.6], {0.15125: 50, 0.30125: 50, 0.42125: 50})
    assert found == pytest.approx([0, 0.15125, 0.30125, 0.42125, 0.6])


@pytest.mark.parametrize("sign", [-1, 1])
def test_no_boundary_moves_more_than_30_ms(sign: int) -> None:
    edge_s = 0.30125 + sign * 0.001
    near, far = edge_s + sign * 0.029, edge_s + sign * 0.0315
    assert known("ab", [0, edge_s, 0.6], {near: 1e4})[1] == pytest.approx(near, abs=STEP_S / 2)
    assert known("ab", [0, edge_s, 0.6], {far: 1e4})[1] == pytest.approx(edge_s - LATE_S, abs=STEP_S / 2)


@pytest.mark.parametrize(("away_s", "moves"), [(0.020, True), (0.0225, False)])
def test_distance_weighs_against_speed(away_s: float, moves: bool) -> None:
    """A change e times as fast outweighs sqrt(2) * 15 ms = 21.2 ms."""
    for sign in (-1, 1):
        far = 0.30125 + sign * away_s
        found = known("ab", [0, 0.30125 + LATE_S, 0.6], {0.30125: 10, far: 10 * math.e})
        assert found[1] == pytest.approx(far if moves else 0.30125)


def test_no_boundary_moves_past_the_middle_of_a_phone() -> None:
    fast = {0.29125: 1e4, 0.30875: 1e4}
    first, second = known("abc", [0, 0.28, 0.30, 0.6], {0.29125: 1e4})[1:3]  # the middle of b is 0.29
    assert first == pytest.approx(0.28 - LATE_S, abs=STEP_S / 2)
    assert second == pytest.approx(0.29125)
    first, second = known("abc", [0, 0.30, 0.32, 0.6], {0.30875: 1e4})[1:3]  # 0.31
    assert first == pytest.approx(0.30875)
    assert second == pytest.approx(0.32 - LATE_S, abs=STEP_S / 2)
    first, second = known("abc", [0, 0.29, 0.31, 0.6], fast)[1:3]  # 0.30: each has its own
    assert (first, second) == (pytest.approx(0.29125), pytest.approx(0.30875))


def test_a_phone_too_short_for_a_fine_frame_is_left_alone() -> None:
    boundaries_s = [0, 0.3001, 0.3005, 0.3009, 0.6]  # no middle of two fine frames within b and c
    found = known("abcd", boundaries_s, {0.28125: 50, 0.32125: 50})
    assert found[2] == 0.3005
    assert found[1] == pytest.approx(0.28125)
    assert found[3] == pytest.approx(0.32125)


def test_boundaries_at_pauses_stay() -> None:
    fast = {0.30125: 1e4, 0.41: 1e4}
    for symbols in (".b", "a."):
        assert known(symbols, [0, 0.31, 0.6], fast) == [0, 0.31, 0.6]
    assert known("a.b", [0, 0.31, 0.4, 0.6], fast) == [0, 0.31, 0.4, 0.6]


def test_a_pause_without_extent_moves_with_the_boundary() -> None:
    found = known("a.b", [0, 0.31, 0.31, 0.6], {0.30125: 50})
    assert found == [0, pytest.approx(0.30125), pytest.approx(0.30125), 0.6]
    assert found[1] == found[2]


def change_of(refiner: BoundaryRefiner, audio: Tensor) -> NDArray[np.float64]:
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
    refiner, audio = BoundaryRefiner(rate_hz), two_chords(change_s, rate_hz)
    change = change_of(refiner, audio)
    hop_s = round(STEP_S * rate_hz) / rate_hz
    times_s = (np.arange(len(change)) - 0.5) * hop_s
    assert times_s[-1] == pytest.approx(0.6, abs=hop_s)
    assert times_s[change.argmax()] == pytest.approx(change_s, abs=STEP_S)
    assert change[np.abs(times_s - change_s) > 0.035].max() < 0.4 * change.max()
    assert not change[:8].any()  # fewer than 20 ms before them
    assert not change[-8:].any()
    kept = refined("ab", [0, change_s, 0.6], refiner, audio)
    assert kept == [0, pytest.approx(change_s, abs=STEP_S), 0.6]


@pytest.mark.parametrize("rate_hz", [16000, 22050])
@pytest.mark.parametrize("off_s", [-0.02, -0.01, 0.01, 0.02])
def test_a_boundary_near_a_change_of_chord_moves_towards_it(off_s: float, rate_hz: int) -> None:
    """By at least half the way: what is found counts as well."""
    for change_s in (0.3, 0.3111, 0.2876):
        audio = two_chords(change_s, rate_hz)
        found = refined("ab", [0, change_s + off_s + LATE_S, 0.6], BoundaryRefiner(rate_hz), audio)
        assert 0 < (found[1] - change_s) / off_s < 0.55


def test_a_recording_of_30_ms_is_no_error() -> None:
    audio = two_chords(0.3, RATE_HZ)[:480]
    refiner = BoundaryRefiner(RATE_HZ)
    assert not change_of(refiner, audio).any()
    assert refined("ab", [0, 0.015, 0.03], refiner, audio)[1] == pytest.approx(0.015 - LATE_S, abs=STEP_S)
