"""Surplus silence in emissions: decided, and nothing else touched."""

import torch

from aligner.encoders.silence import settle_surplus_


def test_surplus_frames_are_a_pauses_and_the_others_stay() -> None:
    emissions = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    emissions[:, 3] = torch.nan  # whatever stood there
    before = emissions.clone()
    surplus = torch.tensor([False, True, False, True, False, False])
    settle_surplus_(emissions, surplus)
    assert (emissions[:, surplus, 0] == 0).all()
    assert (emissions[:, surplus, 1:] < -100).all()
    assert torch.equal(emissions[:, ~surplus], before[:, ~surplus])
