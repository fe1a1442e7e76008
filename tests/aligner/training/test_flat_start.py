"""The flat start on recordings whose quiet edges are known.

N samples, S speech frames.
"""

import itertools

import pytest
import torch
from torch import Tensor

from aligner.training.flat_start import flat_states

RATE_HZ = 16000
FRAME_SAMPLES = 160


def recording(*parts: tuple[int, float]) -> tuple[Tensor, int]:
    """A tone in parts of so many frames and so loud; the audio `[N]` and S."""
    frames = torch.tensor([n for n, _ in parts])
    level = torch.tensor([level for _, level in parts]).repeat_interleave(frames * FRAME_SAMPLES)
    tone = torch.sin(2 * torch.pi * 1000 / RATE_HZ * torch.arange(len(level)))
    return tone * level, int(frames.sum())


def counts(states: Tensor) -> list[tuple[int, int]]:
    """Each run of equal states with its length."""
    return [(state, len(list(run))) for state, run in itertools.groupby(states.tolist())]


def flat(
    audio: Tensor, n_frames: int, states: list[int], skippable: list[bool] | None = None
) -> list[tuple[int, int]]:
    optional = [state == 0 for state in states] if skippable is None else skippable
    found = flat_states(states, optional, n_frames, audio, RATE_HZ)
    assert found.shape == (n_frames,)
    assert found.dtype == torch.int64
    return counts(found)


def test_quiet_edges_are_pauses_and_the_rest_is_shared_evenly() -> None:
    audio, n_frames = recording((20, 1e-4), (60, 0.3), (15, 1e-4))
    (first, *spoken, last) = flat(audio, n_frames, [0, 4, 5, 6, 0])
    assert first == (0, pytest.approx(20, abs=1))
    assert last == (0, pytest.approx(15, abs=1))
    assert [state for state, _ in spoken] == [4, 5, 6]
    lengths = [length for _, length in spoken]
    assert max(lengths) - min(lengths) <= 1
    assert sum(lengths) == n_frames - first[1] - last[1]


def test_edges_are_found_to_a_frame() -> None:
    for lead, tail in itertools.product((3, 10, 25), (4, 12, 20)):
        audio, n_frames = recording((lead, 1e-4), (60, 0.3), (tail, 1e-4))
        found = flat(audio, n_frames, [0, 1, 0])
        assert found[0] == (0, pytest.approx(lead, abs=1))
        assert found[-1] == (0, pytest.approx(tail, abs=1))


def test_an_edge_takes_at_most_a_third() -> None:
    audio, n_frames = recording((60, 1e-4), (20, 0.3), (10, 1e-4))
    assert flat(audio, n_frames, [0, 1, 0])[0] == (0, 90 // 3)
    audio, n_frames = recording((10, 1e-4), (20, 0.3), (60, 1e-4))
    assert flat(audio, n_frames, [0, 1, 0])[-1] == (0, 90 // 3)
    audio, n_frames = recording((40, 1e-4), (10, 0.3), (40, 1e-4))
    assert flat(audio, n_frames, [0, 1, 0]) == [(0, 30), (1, 30), (0, 30)]


def test_quiet_edges_of_a_text_without_pauses_there_are_spoken() -> None:
    audio, n_frames = recording((20, 1e-4), (40, 0.3), (20, 1e-4))
    assert flat(audio, n_frames, [1, 2, 3]) == [(1, 27), (2, 27), (3, 26)]
    first, *_, last = flat(audio, n_frames, [0, 1, 2])
    assert first == (0, pytest.approx(20, abs=1))
    assert last[0] == 2
    first, *_, last = flat(audio, n_frames, [1, 2, 0])
    assert first[0] == 1
    assert last == (0, pytest.approx(20, abs=1))


def test_pauses_inside_get_no_frames_unless_they_must() -> None:
    audio, n_frames = recording((60, 0.3), (40, 1e-4), (60, 0.3))  # quiet, but no edge
    assert flat(audio, n_frames, [0, 1, 0, 2, 0]) == [(1, 80), (2, 80)]
    own = flat(audio, n_frames, [1, 0, 2], [False] * 3)
    assert own == [(1, 54), (0, 53), (2, 53)]


def test_evenly_means_to_a_frame_and_in_order() -> None:
    audio, n_frames = recording((100, 0.3))
    states = list(range(1, 13))
    found = flat(audio, n_frames, states)
    assert [state for state, _ in found] == states
    assert {length for _, length in found} == {8, 9}


def test_an_utterance_too_short_for_its_edges_ignores_them() -> None:
    audio, n_frames = recording((10, 1e-4), (10, 0.3), (10, 1e-4))
    edges = flat(audio, n_frames, [0, *range(1, 11), 0])
    assert edges[0][0] == edges[-1][0] == 0
    states = list(range(1, 16))
    found = flat(audio, n_frames, [0, *states, 0])
    assert [state for state, _ in found] == states
    assert sum(length for _, length in found) == 30
    assert {length for _, length in found} == {2}


def test_edges_stay_while_the_rest_has_a_frame_for_each_state() -> None:
    audio, n_frames = recording((10, 1e-4), (10, 0.3), (10, 1e-4))
    lead, (_, between), tail = flat(audio, n_frames, [0, 1, 0])
    states = list(range(1, between + 1))
    assert flat(audio, n_frames, [0, *states, 0]) == [lead, *((state, 1) for state in states), tail]
    states.append(between + 1)
    assert flat(audio, n_frames, [0, *states, 0])[0][0] == 1


def test_as_many_states_as_frames_get_one_each() -> None:
    audio, n_frames = recording((3, 1e-4), (7, 0.3))
    states = list(range(1, 11))
    assert flat(audio, n_frames, [0, *states]) == [(state, 1) for state in states]


@pytest.mark.parametrize("n_frames", [40, 81, 160])
def test_frames_of_any_length_find_the_same_edges(n_frames: int) -> None:
    audio, _ = recording((20, 1e-4), (40, 0.3), (20, 1e-4))
    found = flat(audio, n_frames, [0, 1, 0])
    assert found[0] == (0, pytest.approx(n_frames / 4, abs=2))
    assert found[-1] == (0, pytest.approx(n_frames / 4, abs=2))
