"""Gaussian mixtures against scipy and against frames whose mixture is known.

F frames, C channels, M states, K Gaussians a state.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from aligner.encoders.gaussians import GaussianMixtures, log_sum_exp_

LEAST_VARIANCE = 1e-3


def random_mixtures(seed: int, n_states: int, gaussians: int, channels: int) -> GaussianMixtures:
    generator = torch.Generator().manual_seed(seed)
    mixtures = GaussianMixtures(n_states, channels)
    mixtures.split(gaussians)
    mixtures.log_weight.copy_(torch.randn(n_states, gaussians, generator=generator))
    mixtures.mean.copy_(torch.randn(n_states, gaussians, channels, generator=generator))
    mixtures.variance.copy_(0.2 + torch.rand(n_states, gaussians, channels, generator=generator))
    return mixtures


def draw(seed: int, n_frames: int = 600, n_states: int = 2, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Frames `[F, C]` of a mixture of three Gaussians a state, and their states `[F]`."""
    generator = np.random.default_rng(seed)
    mean = generator.normal(0, 3, (n_states, 3, channels))
    deviation = generator.uniform(0.3, 1.5, (n_states, 3, channels))
    weight = generator.dirichlet([2, 2, 2], n_states)
    state = generator.integers(0, n_states, n_frames)
    gaussian = [generator.choice(3, p=weight[s]) for s in state]
    frames = generator.normal(mean[state, gaussian], deviation[state, gaussian])
    return torch.from_numpy(frames).float(), torch.from_numpy(state)


def densities(mixtures: GaussianMixtures, frames: Tensor, state: int) -> NDArray[np.float64]:
    """Log of weight times density of every Gaussian of a state, `[F, K]`, by scipy."""
    weight = torch.log_softmax(mixtures.log_weight[state].double(), 0).tolist()
    columns = [
        weight[k]
        + multivariate_normal.logpdf(
            frames.double().numpy(), mean.double().numpy(), np.diag(variance.double().numpy())
        )
        for k, (mean, variance) in enumerate(zip(mixtures.mean[state], mixtures.variance[state], strict=True))
    ]
    return np.stack(columns, 1)


def own_log_likelihood(mixtures: GaussianMixtures, frames: Tensor, states: Tensor) -> float:
    """Mean log density of every frame under the mixture of its own state."""
    return mixtures.log_likelihood(frames).gather(1, states[:, None]).double().mean().item()


def statistics(mixtures: GaussianMixtures) -> list[Tensor]:
    return [statistic.clone() for statistic in mixtures.statistics]


@pytest.mark.parametrize("gaussians", [1, 2, 5])
def test_log_likelihood_equals_scipys(gaussians: int) -> None:
    mixtures = random_mixtures(gaussians, 4, gaussians, 6)
    frames = torch.randn(50, 6, generator=torch.Generator().manual_seed(9)) * 2
    frames[7] = 40.0  # so far away that no density is above 0 in float32
    expected = [logsumexp(densities(mixtures, frames, state), axis=1) for state in range(4)]
    found = mixtures.log_likelihood(frames)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.stack(expected, 1), rtol=2e-6, atol=2e-5)


def test_statistics_are_sums_over_posteriors_of_the_gaussians() -> None:
    mixtures = random_mixtures(0, 2, 3, 3)
    frames, states = draw(0, n_frames=200)
    mixtures.accumulate(frames, states)
    for state in range(2):
        own = frames[states == state]
        each = densities(mixtures, own, state)
        posterior = np.exp(each - logsumexp(each, axis=1, keepdims=True))
        values = own.double().numpy()
        occupancy, sums, squares = (statistic[state].numpy() for statistic in mixtures.statistics)
        np.testing.assert_allclose(occupancy, posterior.sum(0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(sums, posterior.T @ values, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(squares, posterior.T @ values**2, rtol=1e-4, atol=1e-3)


def test_statistics_of_two_calls_equal_those_of_one() -> None:
    frames, states = draw(1)
    whole, parts = random_mixtures(1, 2, 3, 3), random_mixtures(1, 2, 3, 3)
    whole.accumulate(frames, states)
    first = (states == 0) | (torch.arange(len(states)) % 3 == 0)  # the second call lacks state 0
    for part in (first, ~first):
        parts.accumulate(frames[part], states[part])
    for one, two in zip(whole.statistics, parts.statistics, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)
    whole.update(LEAST_VARIANCE)
    parts.update(LEAST_VARIANCE)
    torch.testing.assert_close(whole.mean, parts.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(whole.variance, parts.variance, rtol=1e-5, atol=1e-5)


def test_frames_of_no_state_are_left_out() -> None:
    frames, states = draw(1)
    some, those = random_mixtures(1, 2, 3, 3), random_mixtures(1, 2, 3, 3)
    some.accumulate(frames, torch.where(torch.arange(len(states)) % 3 == 0, -1, states))
    kept = torch.arange(len(states)) % 3 != 0
    those.accumulate(frames[kept], states[kept])
    for one, two in zip(some.statistics, those.statistics, strict=True):
        assert torch.equal(one, two)
    none = random_mixtures(1, 2, 3, 3)
    none.accumulate(frames, torch.full_like(states, -1))
    assert not any(statistic.any() for statistic in none.statistics)


@pytest.mark.parametrize("counts", [(0, 1, 31, 32, 33, 200), (64, 0, 0, 5, 1, 0), (1, 1, 1, 1, 1, 1)])
def test_states_of_any_number_of_frames_have_their_own_statistics(counts: tuple[int, ...]) -> None:
    """Frames come in any order; 32 make a block."""
    generator = torch.Generator().manual_seed(sum(counts))
    states = torch.arange(6).repeat_interleave(torch.tensor(counts))
    states = states[torch.randperm(len(states), generator=generator)]
    frames = torch.randn(len(states), 4, generator=generator)
    together = random_mixtures(2, 6, 3, 4)
    together.accumulate(frames, states)
    assert together.occupancy.sum(1).tolist() == pytest.approx(counts)
    for state, count in enumerate(counts):
        alone = random_mixtures(2, 6, 3, 4)
        alone.accumulate(frames[states == state], states[states == state])
        for one, two in zip(together.statistics, alone.statistics, strict=True):
            torch.testing.assert_close(one[state], two[state], rtol=1e-5, atol=1e-5)
            assert count or not one[state].any()


def test_densities_so_far_apart_that_floats_end_are_exact() -> None:
    """Their exponentials are cut off below exp(-80): added to 1 they change nothing."""
    mixtures = GaussianMixtures(1, 1)
    mixtures.split(2)
    mixtures.mean.copy_(torch.tensor([[[0.0], [13.5]]]))  # at 0 a ratio of exp(-91), at 6.8 of exp(0.7)
    frames = torch.tensor([[0.0], [0.3], [6.0], [6.75], [6.8], [100.0]])
    expected = logsumexp(densities(mixtures, frames, 0), axis=1)
    np.testing.assert_allclose(mixtures.log_likelihood(frames)[:, 0].numpy(), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gaussians", [1, 2, 3, 6])
def test_em_never_lowers_the_likelihood(seed: int, gaussians: int) -> None:
    frames, states = draw(seed)
    mixtures = GaussianMixtures(2, 3)

    def step() -> float:
        mixtures.accumulate(frames, states)
        mixtures.update(LEAST_VARIANCE)
        return own_log_likelihood(mixtures, frames, states)

    first = own_log_likelihood(mixtures, frames, states)
    assert step() > first + 1
    mixtures.split(gaussians)
    history = [own_log_likelihood(mixtures, frames, states), *(step() for _ in range(15))]
    assert np.diff(history).min() > -2e-6  # float32's rounding of a mean near 5
    if gaussians > 1:
        assert history[-1] > history[0] + 0.05


def test_one_gaussian_takes_the_frames_mean_and_variance() -> None:
    mixtures = GaussianMixtures(2, 2)
    frames = torch.tensor([[1.0, 10.0], [3.0, 10.5], [7.0, -2.0]])
    states = torch.tensor([0, 0, 1]).repeat(5)
    mixtures.accumulate(frames.repeat(5, 1), states)
    assert mixtures.occupancy.tolist() == [[10], [5]]
    mixtures.update(LEAST_VARIANCE)
    assert mixtures.mean.tolist() == [[[2.0, 10.25]], [[7.0, -2.0]]]
    assert mixtures.variance[0].tolist() == [[1.0, 0.0625]]
    assert mixtures.variance[1].tolist() == [pytest.approx([LEAST_VARIANCE] * 2)]
    assert mixtures.log_weight.log_softmax(1).tolist() == [[0], [0]]


def test_an_update_forgets_what_was_accumulated_before_it() -> None:
    mixtures = GaussianMixtures(1, 1)
    for values in ([1.0, 3.0], [20.0, 26.0]):
        mixtures.accumulate(torch.tensor(values * 5)[:, None], torch.zeros(10, dtype=torch.int64))
        mixtures.update(LEAST_VARIANCE)
        assert not any(statistic.any() for statistic in mixtures.statistics)
        assert mixtures.mean.item() == np.mean(values)
        assert mixtures.variance.item() == np.var(values)


def test_weights_are_the_parts_of_the_frames() -> None:
    mixtures = GaussianMixtures(1, 1)
    mixtures.split(2)
    mixtures.mean.copy_(torch.tensor([[[-50.0], [50.0]]]))
    frames = torch.cat([torch.tensor([-51.0, -49.0]).repeat(15), torch.tensor([48.0, 52.0]).repeat(5)])
    mixtures.accumulate(frames[:, None], torch.zeros(40, dtype=torch.int64))
    mixtures.update(LEAST_VARIANCE)
    assert mixtures.log_weight.softmax(1)[0].tolist() == pytest.approx([0.75, 0.25])
    assert mixtures.mean.flatten().tolist() == [-50, 50]
    assert mixtures.variance.flatten().tolist() == [1, 4]


def test_what_is_remembered_counts_as_so_many_frames() -> None:
    mixtures = GaussianMixtures(2, 1)
    mixtures.mean.copy_(torch.tensor([[[1.0]], [[7.0]]]))
    mixtures.variance.copy_(torch.tensor([[[4.0]], [[9.0]]]))
    mixtures.accumulate(torch.full((30, 1), 5.0), torch.zeros(30, dtype=torch.int64))  # none in state 1
    mixtures.update(LEAST_VARIANCE, remembered_frames=10.0)
    assert mixtures.mean.flatten().tolist() == [4.0, 7.0]  # (10 * 1 + 30 * 5) / 40
    # (10 * (4 + 1) + 30 * 25) / 40 - 16
    assert mixtures.variance.flatten().tolist() == pytest.approx([4.0, 9.0])


def test_of_a_state_that_is_not_spoken_everything_is_remembered() -> None:
    mixtures = random_mixtures(0, 2, 3, 4)
    before = [value.clone() for value in (mixtures.mean, mixtures.variance, mixtures.log_weight.softmax(1))]
    mixtures.update(LEAST_VARIANCE, remembered_frames=10.0)
    for old, new in zip(
        before, (mixtures.mean, mixtures.variance, mixtures.log_weight.softmax(1)), strict=True
    ):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)


def test_a_gaussian_with_fewer_than_five_frames_keeps_its_mean() -> None:
    mixtures = GaussianMixtures(3, 1)
    mixtures.mean.fill_(0.5)
    mixtures.variance.fill_(3.0)
    states = torch.repeat_interleave(torch.tensor([0, 1]), torch.tensor([4, 5]))  # none in state 2
    mixtures.accumulate(torch.full((9, 1), 8.0), states)
    mixtures.update(LEAST_VARIANCE)
    assert mixtures.mean.flatten().tolist() == [0.5, 8.0, 0.5]
    assert mixtures.variance.flatten().tolist() == [3.0, pytest.approx(LEAST_VARIANCE), 3.0]
    assert mixtures.log_likelihood(torch.zeros(1, 1)).isfinite().all()


@pytest.mark.parametrize("channels", [1, 4])
def test_a_split_keeps_the_density_near(channels: int) -> None:
    mixtures = random_mixtures(3, 5, 3, channels)
    frames = 1.5 * torch.randn(500, channels, generator=torch.Generator().manual_seed(4))
    before = mixtures.log_likelihood(frames)
    mixtures.split(6)
    change = mixtures.log_likelihood(frames) - before
    assert 1e-3 < change.abs().mean() < 0.15
    weights = mixtures.log_weight.softmax(1)
    mean = (weights[..., None] * mixtures.mean).sum(1)
    single = random_mixtures(3, 5, 3, channels)
    expected = (single.log_weight.softmax(1)[..., None] * single.mean).sum(1)
    torch.testing.assert_close(mean, expected)  # moved apart by the same distance


def test_a_split_doubles_the_heaviest_alone() -> None:
    mixtures = random_mixtures(5, 2, 3, 2)
    mixtures.log_weight.copy_(torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]).log())
    mean, variance = mixtures.mean.clone(), mixtures.variance.clone()
    mixtures.split(4)
    weights = mixtures.log_weight.exp()
    torch.testing.assert_close(weights[0], torch.tensor([0.2, 0.25, 0.3, 0.25]))
    torch.testing.assert_close(weights[1], torch.tensor([0.3, 0.1, 0.3, 0.3]))
    for state, heaviest, others in ((0, 1, [0, 2]), (1, 0, [1, 2])):
        assert torch.equal(mixtures.mean[state, others], mean[state, others])
        torch.testing.assert_close(mixtures.mean[state, [heaviest, 3]].mean(0), mean[state, heaviest])
        assert (mixtures.mean[state, heaviest] != mixtures.mean[state, 3]).all()
        assert torch.equal(mixtures.variance[state, [heaviest, 3]], variance[state, [heaviest] * 2])


def test_a_split_grows_to_the_number_asked_for() -> None:
    mixtures = GaussianMixtures(2, 3)
    for asked, has in ((1, 1), (3, 3), (2, 3), (13, 13)):
        mixtures.split(asked)
        assert mixtures.gaussians == has
        assert mixtures.mean.shape == mixtures.variance.shape == mixtures.sum.shape == (2, has, 3)
    assert len(mixtures.mean[0].unique(dim=0)) == 13


def test_a_split_is_the_same_every_time() -> None:
    grown = []
    with torch.random.fork_rng():
        for seed in (0, 1):
            torch.manual_seed(seed)
            grown.append(random_mixtures(6, 2, 2, 3))
            grown[-1].split(5)
    for name in ("mean", "variance", "log_weight"):
        assert torch.equal(getattr(grown[0], name), getattr(grown[1], name))


@pytest.mark.parametrize(("saved", "present"), [(4, 1), (1, 4), (3, 3)])
def test_a_state_dict_brings_its_number_of_gaussians(saved: int, present: int) -> None:
    source, target = random_mixtures(7, 2, saved, 3), random_mixtures(8, 2, present, 3)
    assert set(source.state_dict()) == {"log_weight", "mean", "variance"}  # statistics are not saved
    inner = torch.nn.ModuleDict({"mixtures": target})
    inner.load_state_dict({f"mixtures.{name}": value for name, value in source.state_dict().items()})
    frames, states = draw(2)
    assert torch.equal(target.log_likelihood(frames), source.log_likelihood(frames))
    for mixtures in (source, target):
        mixtures.accumulate(frames, states)
    for one, two in zip(source.statistics, target.statistics, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("shape", [(1, 2, 1), (7, 6, 121), (300, 18, 1)])
def test_log_sum_exp_equals_scipys_and_keeps_what_is_no_number(shape: tuple[int, int, int]) -> None:
    values = 30 * torch.randn(shape, generator=torch.Generator().manual_seed(3))
    values[0, :, 0] = -1e30
    expected = logsumexp(values.double().numpy(), axis=1)
    np.testing.assert_allclose(log_sum_exp_(values.clone(), 1).numpy(), expected, rtol=1e-6, atol=5e-6)
    for k in range(shape[1]):
        spoilt = values.clone()
        spoilt[-1, k, -1] = float("nan")
        found = log_sum_exp_(spoilt, 1)
        assert torch.isnan(found[-1, -1])
        assert torch.isnan(found).sum() == 1
