"""From frames to seconds with every correction: which ones run, and in which order.

N samples, T text tokens.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stub_encoder import packed
from torch import Tensor

from aligner.alignment import FrameGrid
from aligner.boundaries import BoundaryCorrection
from aligner.boundaries.correction import DECAY_FRACTION, convention
from aligner.boundaries.loudness import Levels, loudness_db, typical_levels_db, without_surplus
from aligner.boundaries.pause_edges import PauseEdges
from aligner.boundaries.pauses import drop_short_pauses, fit_pauses_to_loudness
from aligner.boundaries.placement import PlacedBoundaries
from aligner.boundaries.refine import BoundaryRefiner
from aligner.frontends.surplus_silence import surplus_silence
from aligner.text.manners import SymbolManners
from aligner.text.packed import PackedTokens
from aligner.text.transcript import PAUSE, Tokens

RATE_HZ = 16000
GRID = FrameGrid(160, RATE_HZ, "center")  # frames of 10 ms, boundaries 5 ms before their centres
LOW_HZ, HIGH_HZ = (300, 1200, 2900, 5600), (700, 1900, 4100, 7000)


def recording(*parts: tuple[tuple[int, ...], float]) -> Tensor:
    """Tones over faint noise, each part up to its own time in seconds; no tones are a pause."""
    time_s = np.arange(round(parts[-1][1] * RATE_HZ)) / RATE_HZ
    audio = np.random.default_rng(0).normal(0, 1e-3, len(time_s))
    start_s = 0.0
    for tones_hz, end_s in parts:
        inside = (time_s >= start_s) & (time_s < end_s)
        for hz in tones_hz:
            audio[inside] += 0.05 * np.sin(2 * np.pi * hz * time_s[inside])
        start_s = end_s
    return torch.from_numpy(audio).float()


def letters(symbols: str) -> Tokens:
    """Tokens of one letter each; "." is an optional pause."""
    names = tuple(PAUSE if letter == "." else letter for letter in symbols)
    return Tokens(names, tuple(range(len(names))), tuple(name == PAUSE for name in names))


def tokens_of(symbols: str) -> PackedTokens:
    return packed(letters(symbols))


def corrected(
    symbols: str,
    edges: list[float],
    audio: Tensor,
    duration_s: float,
    shortest_pause_s: float = 0.0,
    pause_fraction: float = 0.0,
    refine: bool = False,
    grid: FrameGrid = GRID,
) -> NDArray[np.float64]:
    correction = BoundaryCorrection(grid, shortest_pause_s, pause_fraction, refine)
    surplus = surplus_in(*batch_of(audio), grid)
    found = correction.correct(
        tokens_of(symbols), np.array(edges, np.float64), *batch_of(audio), surplus, np.array([duration_s])
    )
    return found.times_s


def surplus_in(audio: Tensor, audio_lengths: Tensor, grid: FrameGrid) -> Tensor:
    """The frames of surplus silence, of one utterance after the other."""
    surplus = surplus_silence(audio, audio_lengths, grid)
    lengths = grid.frame_count(audio_lengths).tolist()
    return torch.cat([own[:n] for own, n in zip(surplus, lengths, strict=True)])


def batch_of(audio: Tensor) -> tuple[Tensor, Tensor]:
    return audio[None], torch.tensor([len(audio)])


AUDIO = recording(((), 0.13), (LOW_HZ, 0.3), (HIGH_HZ, 0.47), ((), 0.6))
EDGES = [0.0, 10.0, 31.5, 50.0, 61.0]


def test_without_corrections_frames_become_seconds() -> None:
    found = corrected(".ab.", EDGES, AUDIO, 0.6)
    assert found.tolist() == pytest.approx([0, 0.095, 0.31, 0.495, 0.6])


def test_frames_become_seconds_by_the_grids_own_rule() -> None:
    for rule, expected in (
        ("same", [0, 0.1, 0.315, 0.5, 0.6]),
        ("center_drop_last", [0, 0.095, 0.31, 0.495, 0.6]),
    ):
        grid = FrameGrid(160, RATE_HZ, rule)  # type: ignore[arg-type]
        found = corrected(".ab.", [*EDGES[:-1], 60.0], AUDIO, 0.6, grid=grid)
        assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("duration_s", [0.5957, 0.6, 0.6049, 0.49])
@pytest.mark.parametrize(("pause_fraction", "refine"), [(0.0, False), (0.3, True)])
def test_the_first_is_0_and_the_last_the_duration(
    duration_s: float, pause_fraction: float, refine: bool
) -> None:
    """Also where the frames end later than the recording."""
    found = corrected(".ab.", EDGES, AUDIO, duration_s, 0.05, pause_fraction, refine)
    assert (found[0], found[-1]) == (0.0, duration_s)
    assert (np.diff(found) >= 0).all()


def test_pause_fraction_grows_pauses_alone() -> None:
    found = corrected(".ab.", EDGES, AUDIO, 0.6, pause_fraction=0.3)
    assert found[[1, 3]].tolist() == pytest.approx([0.13, 0.47], abs=0.005)
    assert found[[0, 2, 4]].tolist() == pytest.approx([0, 0.31, 0.6])


def test_without_a_pause_fraction_pauses_stay_however_quiet_it_is() -> None:
    audio = AUDIO.clone()
    audio[round(0.080 * RATE_HZ) : round(0.110 * RATE_HZ)] = 0.0  # quieter than anything else
    found = corrected(".ab.", EDGES, audio, 0.6)
    assert found[1] == pytest.approx(0.095)


def test_refine_moves_boundaries_between_phones_alone() -> None:
    plain = corrected(".ab.", EDGES, AUDIO, 0.6)
    found = corrected(".ab.", EDGES, AUDIO, 0.6, refine=True)
    assert found[[0, 1, 3, 4]].tolist() == plain[[0, 1, 3, 4]].tolist()
    assert 0.297 < found[2] < 0.307


def test_all_corrections_together() -> None:
    found = corrected(".ab.", EDGES, AUDIO, 0.6, 0.05, 0.3, True)
    assert found.tolist() == [
        0,
        pytest.approx(0.13, abs=0.005),
        pytest.approx(0.302, abs=0.005),
        pytest.approx(0.47, abs=0.005),
        0.6,
    ]


def test_short_pauses_are_dropped_before_boundaries_are_refined() -> None:
    """Where the pause was, two phones meet, and their boundary moves."""
    audio = recording((LOW_HZ, 0.3), (HIGH_HZ, 0.6))
    edges = [0.0, 29.0, 32.0, 61.0]
    kept = corrected("a.b", edges, audio, 0.6, 0.0, refine=True)
    assert kept.tolist() == pytest.approx([0, 0.285, 0.315, 0.6])
    dropped = corrected("a.b", edges, audio, 0.6, 0.05)
    assert dropped.tolist() == pytest.approx([0, 0.285, 0.285, 0.6])
    refined = corrected("a.b", edges, audio, 0.6, 0.05, refine=True)
    assert refined[1] == refined[2]
    assert 0.290 < refined[1] < 0.305


def test_pauses_grow_after_boundaries_were_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone from 115 to 140 ms leaves a pause up to 130 ms no room; it does once it lasts to 159 ms."""
    monkeypatch.setattr(
        BoundaryRefiner,
        "refine",
        lambda self, tokens, boundaries_s, *audio: PlacedBoundaries.at(
            np.where(boundaries_s == 0.14, 0.15875, boundaries_s)
        ),
    )
    monkeypatch.setattr(PauseEdges, "place", lambda self, tokens, found_s, boundaries, *others: boundaries)
    edges = [0.0, 12.0, 14.5, 61.0]
    refined = corrected(".ab", edges, AUDIO, 0.6, refine=True)
    assert refined.tolist() == pytest.approx([0, 0.115, 0.15875, 0.6])
    grown = corrected(".ab", edges, AUDIO, 0.6, pause_fraction=0.3)
    assert grown.tolist() == pytest.approx([0, 0.115, 0.14, 0.6])
    both = corrected(".ab", edges, AUDIO, 0.6, pause_fraction=0.3, refine=True)
    assert both.tolist() == [0, pytest.approx(0.13, abs=0.005), pytest.approx(0.15875), 0.6]
    assert both[1] > 0.12


def test_a_correction_is_its_four_steps_one_after_the_other() -> None:
    symbols, edges = ".a.b.c.", np.array([0, 10, 20, 22, 31.5, 31.5, 50, 61], np.float64)
    tokens, boundaries_s = tokens_of(symbols), GRID.boundary_s(edges)
    boundaries_s[[0, -1]] = 0.0, 0.6
    expected = drop_short_pauses(tokens, boundaries_s, 0.05)
    refined = BoundaryRefiner(RATE_HZ, SymbolManners([])).refine(tokens, expected, *batch_of(AUDIO))
    loudness, n_values = loudness_db(*batch_of(AUDIO), RATE_HZ)
    surplus, n_frames = surplus_in(*batch_of(AUDIO), GRID), GRID.frame_count(batch_of(AUDIO)[1])
    counted = without_surplus(loudness, n_values, surplus, n_frames, GRID.hop_s)
    typical = (level[:, 0].numpy() for level in typical_levels_db(loudness, counted))
    levels = Levels(loudness.numpy(), n_values.numpy(), *typical)
    expected = fit_pauses_to_loudness(tokens, refined.times_s, levels, 0.3, DECAY_FRACTION)
    edges_at_pauses, own = PauseEdges(SymbolManners([])), convention(DECAY_FRACTION)
    by_rule = replace(refined, times_s=expected)
    expected = edges_at_pauses.place(tokens, refined.times_s, by_rule, levels, own).times_s
    found = corrected(symbols, edges.tolist(), AUDIO, 0.6, 0.05, 0.3, True)
    assert found.tolist() == expected.tolist()
    assert edges.tolist() == [0, 10, 20, 22, 31.5, 31.5, 50, 61]  # not written to


def test_a_batch_has_the_times_of_its_utterances_one_by_one() -> None:
    parts: list[tuple[str, list[float], Tensor, float]] = [
        (".ab.", EDGES, AUDIO, 0.6),
        ("a.b", [0.0, 29.0, 32.0, 61.0], recording((LOW_HZ, 0.3), (HIGH_HZ, 0.6)), 0.599),
        (
            ".a.b.",
            [0, 3, 14, 15, 38, 41],
            recording(((), 0.05), (HIGH_HZ, 0.13), (LOW_HZ, 0.37), ((), 0.4)),
            0.4,
        ),
        ("a", [0.0, 4.0], AUDIO[4000:4600], 0.0375),
    ]
    alone = [corrected(symbols, edges, audio, s, 0.05, 0.3, True) for symbols, edges, audio, s in parts]
    tokens = packed(*(letters(symbols) for symbols, *_ in parts))
    audio = torch.full((4, 9600), 0.5)  # what lies beyond an utterance's end does not matter
    for row, (_, _, own, _) in zip(audio, parts, strict=True):
        row[: len(own)] = own
    lengths = torch.tensor([len(own) for _, _, own, _ in parts])
    edges = np.concatenate([np.array(own, np.float64) for _, own, _, _ in parts])
    together = BoundaryCorrection(GRID, 0.05, 0.3, True).correct(
        tokens, edges, audio, lengths, surplus_in(audio, lengths, GRID), np.array([s for *_, s in parts])
    )
    assert together.times_s.tolist() == pytest.approx(np.concatenate(alone).tolist(), abs=1e-9)
