"""The definition of the forward sum against trying every path."""

import torch
from forward_cases import by_every_path
from hypothesis import given, settings
from search_cases import Batch, batches

from mas.backends import reference_forward


@settings(max_examples=200, deadline=None)
@given(batches(max_tokens=5, max_frames=8))
def test_equals_every_path(batch: Batch) -> None:
    scores = batch.scores.double()
    log_sums = reference_forward.log_sums(scores, *batch[1:])
    gamma = torch.zeros_like(scores)
    weights = torch.arange(1.0, len(scores) + 1)
    reference_forward.add_gradient(gamma, weights, scores, *batch[1:])
    for b, (tokens, frames) in enumerate(
        zip(batch.text_lengths.tolist(), batch.speech_lengths.tolist(), strict=True)
    ):
        skippable = torch.zeros(tokens, dtype=torch.bool)
        if batch.skippable is not None:
            skippable = batch.skippable[b, :tokens]
        log_sum, expected, mean, spread = by_every_path(scores[b, :tokens, :frames], skippable)
        torch.testing.assert_close(log_sums[b], log_sum, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gamma[b, :tokens, :frames], (b + 1) * expected, rtol=1e-10, atol=1e-12)
        assert not gamma[b, tokens:].any()
        assert not gamma[b, :, frames:].any()

        tokens_own = torch.arange(tokens)[None]
        lengths = torch.tensor([tokens]), torch.tensor([frames])
        emissions = scores[b, :tokens, :frames].T
        sums, moments = reference_forward.boundary_moments(
            emissions, torch.tensor([0]), tokens_own, *lengths, skippable[None]
        )
        torch.testing.assert_close(sums[0], log_sum, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(moments[0, 0], torch.ones(tokens).double(), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(moments[0, 1], mean, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(moments[0, 2] - mean.square(), spread.square(), rtol=1e-8, atol=1e-8)


def test_no_path_and_no_number() -> None:
    x = torch.zeros(3, 5)
    plain = torch.zeros(3, dtype=torch.bool)
    infinity = float("inf")
    for scores, skippable, expected in (
        (x[:, :2], plain, -infinity),
        (x - infinity, plain, -infinity),
        (x, torch.tensor([True, True, False]), -infinity),
        (x.clone().index_fill_(1, torch.tensor([2]), infinity), plain, infinity),
        (x.clone().index_fill_(1, torch.tensor([2]), float("nan")), plain, infinity),
    ):
        log_sum, gamma = reference_forward.forward_backward(scores, skippable)
        if expected < 0:
            assert log_sum == expected
            assert not gamma.any()
        else:
            assert log_sum.isnan()
            assert gamma.isnan().all()


def test_cells_no_path_can_visit_are_not_looked_at() -> None:
    from mas.backends.reference import visitable

    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    plain = torch.zeros(4, dtype=torch.bool)
    poisoned = x.masked_fill(~visitable(plain, 7), float("nan"))
    for found, expected in zip(
        reference_forward.forward_backward(poisoned, plain),
        reference_forward.forward_backward(x, plain),
        strict=True,
    ):
        assert torch.equal(found, expected)
