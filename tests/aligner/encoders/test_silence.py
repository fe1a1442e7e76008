"""Surplus silence in emissions and scores: decided, and nothing else touched."""

import torch

from aligner.encoders.silence import settle_surplus, settle_surplus_


def test_surplus_frames_are_a_pauses_and_the_others_stay() -> None:
    emissions = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    emissions[:, 3] = torch.nan  # whatever stood there
    before = emissions.clone()
    surplus = torch.tensor([False, True, False, True, False, False])
    settle_surplus_(emissions, surplus)
    assert (emissions[:, surplus, 0] == 0).all()
    assert (emissions[:, surplus, 1:] < -100).all()
    assert torch.equal(emissions[:, ~surplus], before[:, ~surplus])


def test_scores_are_decided_likewise_and_have_no_gradient_there() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 5, generator=generator, requires_grad=True)
    speech = torch.randn(2, 5, 4, generator=generator)
    speech[0, 1:3] = 0.0
    is_pause = torch.tensor([[True, False, True], [True, False, False]])
    settled = settle_surplus(scores, is_pause, speech)
    assert settled[0, :, 1].tolist() == [0.0, settled[0, 1, 2].item(), 0.0]
    assert settled[0, 1, 1] < -100
    assert torch.equal(settled[1], scores[1])
    settled.sum().backward()
    assert scores.grad is not None
    assert (scores.grad[0, :, 1:3] == 0).all()
    assert (scores.grad[1] == 1).all()
