"""Re-gridding: frames per token on any consumer's grid."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aligner.alignment import Alignment, FrameGrid, FrameRule, Interval, is_pause
from aligner.errors import AlignerError

GRIDS = [
    FrameGrid(80, 16000, "center"),  # 5 ms
    FrameGrid(80, 16000, "same"),
    FrameGrid(256, 22050, "center"),
    FrameGrid(256, 22050, "same"),
    FrameGrid(300, 24000, "center"),
    FrameGrid(300, 24000, "same"),
    FrameGrid(512, 44100, "center"),
    FrameGrid(512, 44100, "same"),
]


def alignment(boundaries_s: Sequence[float] | NDArray[np.float64], id: str = "u") -> Alignment:
    symbols = [f"p{t}" for t in range(len(boundaries_s) - 1)]
    return Alignment.from_boundaries(id, symbols, [-1] * len(symbols), [], boundaries_s, boundaries_s[-1])


@st.composite
def alignments(draw: st.DrawFn) -> Alignment:
    """Tokens of 0.1 ms to 0.5 s, many of them shorter than any frame."""
    lengths = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
    return alignment(np.concatenate([[0], np.cumsum(lengths)]) / 10000)


def frame_centres_s(grid: FrameGrid, frames: int) -> NDArray[np.float64]:
    """Written from the reading rule, not from the code."""
    offset = {"center": 0.0, "same": 0.5}[grid.rule]
    return (np.arange(frames) + offset) * grid.hop_samples / grid.sample_rate_hz


def test_center_frames_are_centred_on_multiples_of_the_hop() -> None:
    # centres 0, 100, 200, 300, 400: of these 0..200 lie before sample 250
    durations = alignment([0, 0.25, 0.49]).durations(100, 1000, frame_rule="center")
    assert durations.tolist() == [3, 2]
    assert durations.dtype == np.int64


def test_same_frames_are_centred_between_multiples_of_the_hop() -> None:
    # centres 50, 150, 250, 350: of these 50 and 150 lie before sample 250, on which a centre lies
    assert alignment([0, 0.25, 0.49]).durations(100, 1000, frame_rule="same").tolist() == [2, 2]


def test_without_a_rule_frames_are_those_of_center() -> None:
    assert alignment([0, 0.25, 0.49]).durations(100, 1000).tolist() == [3, 2]


@pytest.mark.parametrize("rule", ["centred", "centred_floor", "tiled", "centered"])
def test_an_unknown_rule_names_those_there_are(rule: FrameRule) -> None:
    with pytest.raises(AlignerError, match=f"'{rule}': use one of center, center_drop_last, same"):
        alignment([0, 0.25, 0.49]).durations(100, 1000, frame_rule=rule)


@pytest.mark.parametrize(("rule", "frames"), [("center", 862), ("center_drop_last", 861), ("same", 861)])
def test_frame_counts_are_the_consumers_own(rule: FrameRule, frames: int) -> None:
    n_samples = 220500  # 10 s
    grid = FrameGrid(256, 22050, rule)
    assert grid.frame_count(n_samples) == frames
    assert grid.frame_count(torch.tensor([n_samples, 256])).tolist() == [frames, 2 if rule == "center" else 1]


@pytest.mark.parametrize(("rule", "first_s"), [("center", 0.0), ("center_drop_last", 0.0), ("same", 0.05)])
def test_centres_and_boundaries_lie_half_a_frame_apart(rule: FrameRule, first_s: float) -> None:
    grid = FrameGrid(100, 1000, rule)
    assert grid.centre_s(0) == first_s
    assert grid.centre_s(0.5) == pytest.approx(first_s + 0.05)
    frames = np.arange(5)
    np.testing.assert_allclose(grid.centre_s(frames.astype(float)), first_s + 0.1 * frames)
    np.testing.assert_allclose(grid.centre_s(torch.arange(5).double()), first_s + 0.1 * frames)
    np.testing.assert_allclose(grid.boundary_s(frames), first_s + 0.1 * frames - 0.05, atol=1e-12)
    assert grid.first_frame_after(grid.centre_s(frames.astype(float))).tolist() == frames.tolist()


@pytest.mark.parametrize(
    "grid", [*GRIDS, FrameGrid(81, 16000, "same"), FrameGrid(80, 16000, "center_drop_last")]
)
@pytest.mark.parametrize("window", [81, 320, 400, 1024])
def test_padding_centres_each_window_on_its_frame(grid: FrameGrid, window: int) -> None:
    left, right = grid.padding(window)
    middle = -left + (window - 1) / 2  # of frame 0's window, in samples of the recording
    assert abs(middle - grid.centre_s(0) * grid.sample_rate_hz) <= 1
    for n_samples in (0, 1, grid.hop_samples - 1, grid.hop_samples, 5 * grid.hop_samples + 3):
        needed = (grid.frame_count(n_samples) - 1) * grid.hop_samples + window
        assert left + n_samples + right >= needed


@given(alignments(), st.sampled_from(GRIDS))
def test_a_frame_belongs_to_the_token_its_centre_lies_in(one: Alignment, grid: FrameGrid) -> None:
    frames = grid.frame_count(grid.sample_count(one.duration_s))
    starts = np.array([token.start_s for token in one.tokens])
    centres = frame_centres_s(grid, frames)
    distance = np.abs(centres[:, None] - starts).min(1)
    owner = np.searchsorted(starts, centres, side="right") - 1
    counts = np.bincount(owner, minlength=len(starts))
    if (counts > 0).all() and (
        distance > 1e-6
    ).all():  # a centre within rounding of a boundary may go either way
        assert one.durations_on(grid).tolist() == counts.tolist()


@given(alignments(), st.sampled_from(GRIDS), st.integers(0, 40))
def test_sums_are_exact_and_every_token_keeps_a_frame(one: Alignment, grid: FrameGrid, more: int) -> None:
    frames = len(one.tokens) + more
    durations = one.durations_on(grid, frames)
    assert durations.sum() == frames
    assert durations.min() >= 1
    assert len(durations) == len(one.tokens)


@given(alignments(), st.sampled_from(GRIDS))
def test_boundaries_move_no_further_than_they_must(one: Alignment, grid: FrameGrid) -> None:
    frames = grid.frame_count(grid.sample_count(one.duration_s))
    if len(one.tokens) > frames:
        return
    wanted = grid.first_frame_after(np.array([token.start_s for token in one.tokens[1:]]))
    moved = np.abs(np.cumsum(one.durations_on(grid))[:-1] - wanted).max(initial=0)
    # The least that any answer must move some boundary: two boundaries i < j that lie too close share the
    # rest, and each must leave room for the tokens before and after it.
    n = len(wanted)
    index = np.arange(n)
    crowding = np.triu((index[None, :] - index[:, None]) - (wanted[None, :] - wanted[:, None]), 1)
    least = -(-crowding.max(initial=0) // 2)
    least = max(least, (index + 1 - wanted).max(initial=0), (wanted - (frames - n + index)).max(initial=0))
    assert moved == least


def from_durations(
    symbols: list[str], durations: list[int] | NDArray[np.int64], grid: FrameGrid, duration_s: float
) -> Alignment:
    edges_s = grid.boundary_s(np.concatenate([[0], np.cumsum(durations)]))
    return Alignment.from_boundaries("u", symbols, [-1] * len(symbols), [], edges_s, duration_s)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.sampled_from(GRIDS), st.integers(0, 255))
def test_durations_survive_seconds_and_back(durations: list[int], grid: FrameGrid, rest: int) -> None:
    n_samples = sum(durations) * grid.hop_samples
    n_samples += rest % grid.hop_samples - (grid.rule == "center") * grid.hop_samples
    duration_s = n_samples / grid.sample_rate_hz
    if duration_s <= 0:
        return
    symbols = ["a"] * len(durations)
    one = from_durations(symbols, durations, grid, duration_s)
    if len(one.tokens) == len(durations):  # of a few samples past a centre, the last token may have no extent
        assert one.durations_on(grid).tolist() == durations


@settings(max_examples=60)
@given(alignments(), st.sampled_from(GRIDS), st.sampled_from(GRIDS))
def test_a_finer_grid_in_between_loses_nothing_but_its_own_frame(
    one: Alignment, first: FrameGrid, second: FrameGrid
) -> None:
    frames = first.frame_count(first.sample_count(one.duration_s))
    if len(one.tokens) > frames:
        return
    durations = one.durations_on(first)
    symbols = [token.symbol for token in one.tokens]
    again = from_durations(symbols, durations, first, one.duration_s)
    count = second.frame_count(second.sample_count(one.duration_s))
    if len(again.tokens) == len(symbols) <= count:
        regridded = again.durations_on(second)
        assert regridded.sum() == count
        assert regridded.min() >= 1


@given(st.lists(st.integers(3, 40), min_size=1, max_size=30), st.sampled_from(GRIDS), st.sampled_from(GRIDS))
def test_from_grid_to_grid_boundaries_move_half_a_frame_at_most(
    durations: list[int], first: FrameGrid, second: FrameGrid
) -> None:
    duration_s = sum(durations) * first.hop_samples / first.sample_rate_hz
    symbols = ["a"] * len(durations)
    one = from_durations(symbols, durations, first, duration_s)
    count = second.frame_count(second.sample_count(duration_s))
    regridded = one.durations_on(second)
    assert regridded.sum() == count
    edges = regridded.cumsum()[:-1]
    half_s = second.hop_samples / second.sample_rate_hz / 2
    moved_s = second.boundary_s(edges) - [token.start_s for token in one.tokens[1:]]
    inside = edges < count - 1  # the last token keeps the last frame, however late it begins
    assert np.abs(moved_s[inside]).max(initial=0) <= half_s + 1e-6
    if 4 * half_s < first.hop_samples / first.sample_rate_hz:  # fine enough to find the way back
        back = from_durations(symbols, regridded, second, duration_s)
        assert (
            back.durations_on(first).cumsum()[:-1].tolist() == one.durations_on(first).cumsum()[:-1].tolist()
        )


@given(alignments(), st.data(), st.sampled_from(GRIDS))
def test_what_is_spoken_later_never_gets_an_earlier_frame(
    one: Alignment, data: st.DataObject, grid: FrameGrid
) -> None:
    later_s = [
        data.draw(st.floats(token.start_s, token.end_s)) for token in one.tokens
    ]  # each boundary anywhere up to the next one: still in order
    later = alignment([0.0, *later_s[1:], one.duration_s])
    frames = max(len(one.tokens), grid.frame_count(grid.sample_count(one.duration_s)))
    if len(later.tokens) == len(one.tokens):
        before, after = one.durations_on(grid, frames).cumsum(), later.durations_on(grid, frames).cumsum()
        assert (after >= before).all()


def test_more_tokens_than_frames_names_the_utterance() -> None:
    with pytest.raises(AlignerError, match=r"LJ001-0001: 3 tokens do not fit 2 frames"):
        alignment([0, 0.1, 0.2, 0.3], id="LJ001-0001").durations(256, 22050, frames=2)


def test_crowded_tokens_take_frames_from_both_sides() -> None:
    # Three tokens of no length between two long ones, at frame 5 of 10
    one = alignment([0, 0.5, 0.5001, 0.5002, 0.5003, 1.0])
    assert one.durations(100, 1000, frames=10, frame_rule="same").tolist() == [3, 1, 1, 1, 4]


@pytest.mark.parametrize("grid", [(0, 22050, "same"), (256, -1, "same"), (256, 22050, "middle")])
def test_senseless_grids_are_refused(grid: tuple[int, int, FrameRule]) -> None:
    with pytest.raises(AlignerError):
        alignment([0, 1.0]).durations(grid[0], grid[1], frame_rule=grid[2])


def test_from_boundaries_drops_unspoken_pauses_and_spans_words() -> None:
    one = Alignment.from_boundaries(
        "u",
        ["sil", "HH", "AY", "sil", "DH", "EH", "R"],
        [-1, 0, 0, -1, 1, 1, 1],
        ["hi", "there"],
        [-0.01, 0.1, 0.2, 0.4, 0.4, 0.5, 0.6, 0.71],
        0.7,
        scores=[0.5, 0.3, 0.9, 0.1, 0.8, 0.8, 0.8],
    )
    assert [token.symbol for token in one.tokens] == ["sil", "HH", "AY", "DH", "EH", "R"]
    assert (one.tokens[0].start_s, one.tokens[-1].end_s) == (0.0, 0.7)
    assert [(w.symbol, w.start_s, w.end_s) for w in one.words] == [("hi", 0.1, 0.4), ("there", 0.4, 0.7)]
    assert one.words[0].score == pytest.approx((0.3 * 0.1 + 0.9 * 0.2) / 0.3)


def test_from_boundaries_refuses_what_makes_no_alignment() -> None:
    with pytest.raises(AlignerError, match="1 tokens need 2 boundaries"):
        Alignment.from_boundaries("u", ["a"], [0], ["a"], [0, 0.5, 1], 1.0)
    with pytest.raises(AlignerError, match="not in order"):
        Alignment.from_boundaries("u", ["a", "b", "c"], [0, 0, 0], ["a"], [0, 0.6, 0.5, 1], 1.0)
    with pytest.raises(AlignerError, match="not in order"):
        Alignment.from_boundaries("u", ["a", "b"], [0, 0], ["a"], [0, float("nan"), 1], 1.0)
    with pytest.raises(AlignerError, match="word 1 .'b'. has no token"):
        Alignment.from_boundaries("u", ["a"], [0], ["a", "b"], [0, 1], 1.0)


@pytest.mark.parametrize(
    "symbol", ["sil", "SIL", "", " ", "sp", "h#", "pau", "epi", "_", ",", "...", "<eps>", "—"]
)
def test_pauses(symbol: str) -> None:
    assert is_pause(symbol)


@pytest.mark.parametrize("symbol", ["AH0", "spn", "ː", "ˈ", "ʔ", "q", "s", "p", "@", "{", "ʼ"])
def test_not_pauses(symbol: str) -> None:
    assert not is_pause(symbol)


def test_intervals_are_values() -> None:
    assert Interval("a", 0, 1) == Interval("a", 0, 1)
