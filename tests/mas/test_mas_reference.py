"""The definition against trying every path."""

import torch
from hypothesis import given, settings
from search_cases import Batch, batches, brute_force

from mas.backends import reference


@settings(max_examples=300, deadline=None)
@given(batches(max_tokens=5, max_frames=9))
def test_equals_brute_force(batch: Batch) -> None:
    durations = reference.durations(*batch)
    for b, (tokens, frames) in enumerate(
        zip(batch.text_lengths.tolist(), batch.speech_lengths.tolist(), strict=True)
    ):
        skippable = torch.zeros(tokens, dtype=torch.bool)
        if batch.skippable is not None:
            skippable = batch.skippable[b, :tokens]
        assert durations[b, :tokens].tolist() == brute_force(batch.scores[b, :tokens, :frames], skippable)
        assert not durations[b, tokens:].any()


def test_ties_stay() -> None:
    x = torch.zeros(3, 6)
    path = reference.best_path(x, torch.zeros(3, dtype=torch.bool))
    assert path is not None
    assert path.tolist() == [0, 1, 2, 2, 2, 2]


def test_ties_prefer_move_to_skip_and_the_last_token() -> None:
    skippable = torch.tensor([True, False, True])
    path = reference.best_path(torch.zeros(3, 3), skippable)
    assert path is not None
    assert path.tolist() == [1, 2, 2]  # read from the end: in token 2, stays, then had to move
    path = reference.best_path(torch.zeros(3, 1), skippable)
    assert path is not None
    assert path.tolist() == [1]


def test_sums_are_float32_in_frame_order() -> None:
    # In float32 (1e8 + 1) + 1 is 1e8: staying in token 0 for the ones scores no more than moving on at once,
    # and the tie stays in token 1. Added up exactly, or the other way round, token 0 would keep all three.
    x = torch.tensor([[1e8, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    path = reference.best_path(x, torch.zeros(2, dtype=torch.bool))
    assert path is not None
    assert path.tolist() == [0, 1, 1, 1]


def test_cells_no_path_can_visit_are_not_looked_at() -> None:
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    plain = torch.zeros(4, dtype=torch.bool)
    expected = reference.best_path(x, plain)
    poisoned = x.masked_fill(~reference.visitable(plain, 7), float("nan"))
    assert poisoned.isnan().sum() == 12
    path = reference.best_path(poisoned, plain)
    assert expected is not None
    assert path is not None
    assert torch.equal(path, expected)


def test_visitable_cells_are_those_that_some_path_visits() -> None:
    for skippable in ([False] * 4, [True, False, True, False], [False, True, False, True]):
        for S in range(2, 7):
            may_skip = torch.tensor(skippable)
            if sum(not s for s in skippable) > S:
                continue
            visited = torch.zeros(4, S, dtype=torch.bool)
            for i in range(4):
                for j in range(S):
                    x = torch.full((4, S), 0.0)
                    x[:, j] = -1.0
                    x[i, j] = 1.0
                    path = reference.best_path(
                        x.masked_fill(~reference.visitable(may_skip, S), 9.0), may_skip
                    )
                    assert path is not None
                    visited[i, j] = path[j] == i
            assert torch.equal(visited, reference.visitable(may_skip, S))


def test_no_path() -> None:
    plain = torch.zeros(3, dtype=torch.bool)
    assert reference.best_path(torch.zeros(3, 2), plain) is None
    assert reference.best_path(torch.full((3, 5), float("-inf")), plain) is None
    assert reference.best_path(torch.full((3, 5), float("nan")), plain) is None
    assert reference.best_path(torch.zeros(3, 5), torch.tensor([True, True, False])) is None
