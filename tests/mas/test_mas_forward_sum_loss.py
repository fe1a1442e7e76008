"""`mas.forward_sum_loss` against torch's CTC as NeMo and RAD-TTS call it."""

import pytest
import torch
from torch import Tensor

from mas.forward_sum_loss import ForwardSumLoss


def by_ctc(scores: Tensor, in_lens: Tensor, out_lens: Tensor, blank: float = -1.0) -> Tensor:
    """The same loss by torch: item by item, cut to its lengths, blank first, log-softmax, CTC, the mean."""
    losses = []
    for own, tokens, frames in zip(scores[:, 0], in_lens.tolist(), out_lens.tolist(), strict=True):
        with_blank = torch.nn.functional.pad(own[:frames, :tokens], (1, 0), value=blank)
        losses.append(
            torch.nn.functional.ctc_loss(
                with_blank.log_softmax(1)[:, None],
                torch.arange(1, tokens + 1)[None],
                torch.tensor([frames]),
                torch.tensor([tokens]),
                zero_infinity=True,
            )
        )
    return torch.stack(losses).mean()


def _case(seed: int, B: int, T: int, S: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(1, S + 1, (B,), generator=generator)
    tokens = 1 + (torch.rand(B, generator=generator) * frames.clamp(max=T)).long()
    tokens[0], frames[0] = T, S
    tokens[-1], frames[-1] = min(T, 5), min(S, 3)  # no path where there are 5 tokens: 0, as theirs
    return 2 * torch.randn(B, 1, S, T, generator=generator), tokens.clamp(max=T), frames


@pytest.mark.parametrize(("B", "T", "S"), [(1, 1, 1), (4, 1, 5), (6, 7, 7), (5, 20, 90), (3, 60, 300)])
@pytest.mark.parametrize("blank", [-1.0, -4.0])
def test_value_and_gradient_are_theirs(B: int, T: int, S: int, blank: float) -> None:
    scores, tokens, frames = _case(B, B, T, S)
    expected_scores = scores.double().requires_grad_()
    expected = by_ctc(expected_scores, tokens, frames, blank)
    (expected_gradient,) = torch.autograd.grad(expected, expected_scores)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        own = scores.to(dtype).requires_grad_()
        loss = ForwardSumLoss(blank)(own, tokens, frames)
        (gradient,) = torch.autograd.grad(loss, own)
        torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=1e-7)
        largest = float(expected_gradient.abs().max())
        torch.testing.assert_close(
            gradient.double(), expected_gradient, rtol=0, atol=max(1e-9, 1e-4 * largest)
        )


def test_padding_is_not_looked_at() -> None:
    scores, tokens, frames = _case(1, 5, 9, 40)
    expected = ForwardSumLoss()(scores, tokens, frames)
    behind = torch.arange(9) >= tokens[:, None, None, None]
    behind = behind | (torch.arange(40)[:, None] >= frames[:, None, None, None])
    poisoned = scores.masked_fill(behind, float("nan")).requires_grad_()
    loss = ForwardSumLoss()(poisoned, tokens, frames)
    assert torch.equal(loss, expected)
    loss.backward()
    assert poisoned.grad is not None
    assert not poisoned.grad[behind].any()


def test_nan_is_not_hidden() -> None:
    scores, tokens, frames = _case(2, 3, 6, 20)
    scores[0, 0, 3, 2] = float("nan")
    scores.requires_grad_()
    loss = ForwardSumLoss()(scores, tokens, frames)
    assert loss.isnan()
    loss.backward()
    assert scores.grad is not None
    assert scores.grad[0].isnan().any()  # so that loss scaling skips the step
    assert scores.grad[1:].isfinite().all()


def test_half_types() -> None:
    scores, tokens, frames = _case(3, 4, 8, 30)
    half = scores.bfloat16().requires_grad_()
    loss = ForwardSumLoss()(half, tokens, frames)
    assert torch.equal(loss, ForwardSumLoss()(half.detach().float(), tokens, frames))
    loss.backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16


def test_wrong_shapes() -> None:
    with pytest.raises(
        ValueError, match=r"scores have shape \(2, 20, 7\); \[batch, 1, speech, text\] is nee"
    ):
        ForwardSumLoss()(torch.zeros(2, 20, 7), torch.tensor([7, 7]), torch.tensor([20, 20]))
