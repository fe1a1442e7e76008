"""The search over packed emissions against `mas.search` item by item, and against every path.

B items, F packed frames, S speech frames, T states of an item, M states of the model.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

import mas
from aligner.encoders.base import PackedStates
from aligner.search.viterbi import StatePaths, best_paths

M = 9


@dataclass
class Items:
    emissions: Tensor
    starts: list[int]
    lengths: list[int]
    states: list[list[int]]
    skippable: list[list[bool]]

    def best_paths(self) -> StatePaths:
        return best_paths(
            self.emissions,
            np.array(self.starts),
            np.array(self.lengths),
            packed_states(self.states, self.skippable),
        )

    def own_scores(self, item: int) -> Tensor:
        """`[S, T]` of one item."""
        start = self.starts[item]
        return self.emissions[start : start + self.lengths[item]][:, self.states[item]]


def packed_states(states: list[list[int]], skippable: list[list[bool]]) -> PackedStates:
    lengths = np.array([len(own) for own in states])
    flags = np.concatenate([np.array(own) for own in skippable])
    return PackedStates(np.concatenate(states).astype(np.int64), flags, np.arange(lengths.sum()), lengths)


def draw(seed: int, n_items: int = 7, n_frames: int = 40, longest: int = 20, most_states: int = 8) -> Items:
    """Ragged items anywhere in the emissions, so that many overlap; two lie at the very ends."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, n_items).tolist()
    starts = [int(generator.integers(0, n_frames - length + 1)) for length in lengths]
    starts[0], starts[-1] = 0, n_frames - lengths[-1]
    states, skippable = [], []
    for length in lengths:
        optional = generator.random(generator.integers(1, most_states + 1)) < 0.4
        optional[1:] &= ~optional[:-1]  # no two neighbours
        while (~optional).sum() > length:
            optional = optional[:-1]
        optional[-1] &= len(optional) > 1
        states.append(generator.integers(0, M, len(optional)).tolist())
        skippable.append(optional.tolist())
    emissions = torch.from_numpy(generator.normal(0, 2, (n_frames, M))).float()
    return Items(emissions, starts, lengths, states, skippable)


@pytest.mark.parametrize("seed", range(8))
def test_a_batch_equals_its_items_one_by_one(seed: int) -> None:
    items = draw(seed)
    found = items.best_paths()
    assert found.durations.shape == (7, max(len(states) for states in items.states))
    for b, states in enumerate(items.states):
        alone = mas.search(
            items.own_scores(b)[None],
            torch.tensor([len(states)]),
            torch.tensor([items.lengths[b]]),
            layout="BST",
            skippable=torch.tensor([items.skippable[b]]),
        )
        assert torch.equal(found.durations[b, : len(states)], alone[0])
        assert not found.durations[b, len(states) :].any()


@pytest.mark.parametrize("seed", range(8))
def test_state_and_log_likelihood_of_frames_follow_durations(seed: int) -> None:
    items = draw(seed)
    found = items.best_paths()
    assert len(found.state_of_frame) == len(found.log_likelihood) == sum(items.lengths)
    states = found.state_of_frame.split(items.lengths)
    log_likelihoods = found.log_likelihood.split(items.lengths)
    for b, own in enumerate(items.states):
        expected = torch.tensor(own).repeat_interleave(found.durations[b, : len(own)])
        assert torch.equal(states[b], expected)
        frames = items.emissions[items.starts[b] : items.starts[b] + items.lengths[b]]
        assert torch.equal(log_likelihoods[b], frames.gather(1, expected[:, None])[:, 0])


@pytest.mark.parametrize("seed", range(8))
def test_no_path_is_better(seed: int) -> None:
    items = draw(seed, n_items=5, n_frames=12, longest=7, most_states=4)
    found = items.best_paths()
    totals = [own.sum().item() for own in found.log_likelihood.split(items.lengths)]
    for b, length in enumerate(items.lengths):
        scores = items.own_scores(b).double().numpy()
        every = {
            durations: scores[np.arange(length), np.repeat(np.arange(len(durations)), durations)].sum()
            for durations in itertools.product(range(length + 1), repeat=scores.shape[1])
            if sum(durations) == length
            and all(n or may_skip for n, may_skip in zip(durations, items.skippable[b], strict=True))
        }
        best = max(every, key=lambda durations, every=every: every[durations])  # type: ignore[misc]
        assert tuple(found.durations[b, : len(best)].tolist()) == best
        assert totals[b] == pytest.approx(every[best], abs=1e-5)


def test_a_known_path_is_found() -> None:
    emissions = torch.full((6, 3), -4.0)
    emissions[range(6), [2, 2, 0, 1, 1, 1]] = torch.arange(6.0)
    states = packed_states([[2, 0, 1], [0, 2, 1]], [[False] * 3] * 2)
    found = best_paths(emissions, np.array([0, 2]), np.array([6, 4]), states)
    assert found.durations.tolist() == [[2, 1, 3], [1, 1, 2]]
    assert found.state_of_frame.tolist() == [2, 2, 0, 1, 1, 1, 0, 2, 1, 1]
    assert found.log_likelihood.tolist() == [0, 1, 2, 3, 4, 5, 2, -4, 4, 5]


def test_more_states_than_frames_are_an_error() -> None:
    states = packed_states([[0, 1, 2]] * 2, [[False] * 3] * 2)
    with pytest.raises(ValueError, match="3"):
        best_paths(torch.zeros(5, 3), np.array([0, 3]), np.array([3, 2]), states)


def test_without_a_check_items_without_a_path_are_told_apart() -> None:
    items = draw(3)
    expected = items.best_paths()
    assert expected.found.all()
    start, length = items.starts[2], items.lengths[2]
    items.emissions[start : start + length, items.states[2]] = torch.nan
    states = packed_states(items.states, items.skippable)
    paths = best_paths(items.emissions, np.array(items.starts), np.array(items.lengths), states, check=False)
    assert not paths.found[2]
    assert paths.durations.sum(1).tolist() == items.lengths
    assert paths.durations[2].tolist() == [length, *[0] * (paths.durations.shape[1] - 1)]
    apart = [
        b
        for b, (first, own) in enumerate(zip(items.starts, items.lengths, strict=True))
        if first + own <= start or start + length <= first
    ]
    assert paths.found[apart].all()
    assert torch.equal(paths.durations[apart], expected.durations[apart])
