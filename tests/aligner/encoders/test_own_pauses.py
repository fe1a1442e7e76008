"""A pause may sound like the quietest part of its utterance."""

import numpy as np
import torch

from aligner.encoders.own_pauses import OwnPauses
from aligner.frontends.packed import PackedFeatures


def utterance(n_frames: int, quiet: slice, seed: int) -> torch.Tensor:
    """Two channels, the first of which says how loud it is."""
    frames = torch.randn(n_frames, 2, generator=torch.Generator().manual_seed(seed))
    frames[:, 0] = 1.0 + 0.1 * frames[:, 0]
    frames[quiet, 0] -= 3.0
    return frames


def test_the_quietest_tenth_of_each_utterance_is_found() -> None:
    features = PackedFeatures.pack([utterance(300, slice(100, 140), 0), utterance(200, slice(0, 40), 1)])
    found = OwnPauses(features, [0]).quietest
    assert int(found[:300].sum()) == 30
    assert int(found[300:].sum()) == 20
    assert bool(found[100:140].sum() == 30)
    assert bool(found[300:340].sum() == 20)


def test_a_gap_as_short_as_a_stops_closure_does_not_count() -> None:
    frames = utterance(300, slice(100, 140), 0)
    frames[200:206, 0] -= 6.0
    found = OwnPauses(PackedFeatures.pack([frames]), [0]).quietest
    assert not found[195:211].any()


def test_surplus_silence_is_none_of_it() -> None:
    frames = utterance(400, slice(200, 250), 0)
    frames[:60] = 0.0
    frames[:60, 0] = 0.0  # all channels are 0: surplus
    found = OwnPauses(PackedFeatures.pack([frames]), [0]).quietest
    assert int(found.sum()) == 34
    assert not found[:60].any()


def test_the_density_is_that_of_a_gaussian_of_these_frames() -> None:
    features = PackedFeatures.pack([utterance(300, slice(100, 140), 0), utterance(200, slice(0, 40), 1)])
    pauses = OwnPauses(features, [0])
    own = features.frames[:300][pauses.quietest[:300]]
    variance = own.var(0, correction=0).clamp(min=0.1)
    expected = torch.distributions.Normal(own.mean(0), variance.sqrt()).log_prob(features.frames[:300])
    assert torch.allclose(pauses.log_likelihood(features.frames)[:300], expected.sum(1), atol=1e-4)


def test_an_utterance_does_not_depend_on_what_shares_its_batch() -> None:
    one, other = utterance(300, slice(100, 140), 0), utterance(517, slice(0, 40), 1)
    alone, both = PackedFeatures.pack([one]), PackedFeatures.pack([other, one])
    found = [OwnPauses(own, [0]).log_likelihood(own.frames)[-300:] for own in (alone, both)]
    assert torch.allclose(*found, atol=1e-5)


def test_a_pause_becomes_likelier_where_it_is_quiet_and_stays_elsewhere() -> None:
    frames = utterance(300, slice(100, 140), 0)
    pause = torch.full((300,), -60.0)
    before = pause.clone()
    OwnPauses(PackedFeatures.pack([frames]), [0]).add_(pause, frames)
    assert (pause[105:135] > -50).all()
    loud = np.r_[0:95, 145:300]
    assert torch.equal(pause[loud], before[loud])


def test_all_surplus_and_short_utterances_have_finite_densities() -> None:
    features = PackedFeatures.pack([torch.zeros(20, 2), utterance(3, slice(0, 1), 0)])
    assert torch.isfinite(OwnPauses(features, [0]).log_likelihood(features.frames)).all()
