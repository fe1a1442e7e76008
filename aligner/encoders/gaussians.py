"""Gaussian mixtures with diagonal covariance, one per state, fitted by expectation-maximisation.

F frames, C channels, M states, K components of a state.
"""

import math

import torch
from torch import Tensor, nn

# A component must be responsible for so many frames to be moved; with fewer its own mean would be noise.
_LEAST_FRAMES = 5.0
# A new component starts this many deviations from the one it is split from (Kaldi's gmm-mixup: 0.01 to 0.3).
_SPLIT_DEVIATIONS = 0.2


class GaussianMixtures(nn.Module):
    """M mixtures of up to `max_components` Gaussians over C channels.

    Only the first `components` of each mixture are in use; `split` raises that number. Everything is a
    buffer: it is learnt in closed form, never by gradient. Statistics are float64 and add up over
    `accumulate` calls (and over processes, see `statistics`) until `update` takes them.
    """

    log_weight: Tensor
    mean: Tensor
    variance: Tensor
    components: Tensor
    count: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, n_states: int, channels: int, max_components: int) -> None:
        super().__init__()
        shape = (n_states, max_components)
        self.register_buffer("log_weight", torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(*shape, channels))
        self.register_buffer("variance", torch.ones(*shape, channels))
        self.register_buffer("components", torch.tensor(1))
        self.register_buffer("count", torch.zeros(shape, dtype=torch.float64), persistent=False)
        self.register_buffer("first", torch.zeros(*shape, channels, dtype=torch.float64), persistent=False)
        self.register_buffer("second", torch.zeros(*shape, channels, dtype=torch.float64), persistent=False)

    @property
    def max_components(self) -> int:
        """K at most."""
        return self.mean.shape[1]

    def scores(self, frames: Tensor) -> Tensor:
        """Log density of every mixture, `[F, M]`, at frames `[F, C]`."""
        k = int(self.components)
        weights, constant = self._quadratic_form()
        # components before states: the reduction then runs over rows of memory, four times as fast on a CPU
        each = torch.addmm(
            constant.T.flatten(), _with_squares(frames), weights.transpose(0, 1).flatten(0, 1).T
        ).unflatten(1, (k, -1))
        if k == 1:
            return each[:, 0]
        largest = each.amax(1)
        return each.sub_(largest[:, None]).exp_().sum(1).log_().add_(largest)

    def accumulate(self, frames: Tensor, states: Tensor) -> None:
        """Add frames `[F, C]`, each spoken in its state `[F]`, to the statistics."""
        k, channels = int(self.components), frames.shape[1]
        weights, constant = self._quadratic_form()
        order = states.argsort(stable=True)
        counts = torch.bincount(states, minlength=len(self.mean)).tolist()
        for state, own in enumerate(_with_squares(frames)[order].split(counts)):
            if not len(own):
                continue
            share = (own @ weights[state].T + constant[state]).softmax(1)
            sums = share.T @ own
            self.count[state, :k] += share.sum(0)
            self.second[state, :k] += sums[:, :channels]
            self.first[state, :k] += sums[:, channels:]

    def _quadratic_form(self) -> tuple[Tensor, Tensor]:
        """`[M, K, 2C]` and `[M, K]`: a component's log weight times density is their product with the
        frame's squares and values, plus the constant.
        """
        k = int(self.components)
        mean, precision = self.mean[:, :k], 1 / self.variance[:, :k]
        constant = self.log_weight[:, :k].log_softmax(-1) - 0.5 * (
            (mean.square() * precision).sum(-1)
            - precision.log().sum(-1)
            + mean.shape[-1] * math.log(2 * math.pi)
        )
        return torch.cat([-0.5 * precision, mean * precision], -1), constant

    @property
    def statistics(self) -> list[Tensor]:
        """What to sum over processes before `update`."""
        return [self.count, self.first, self.second]

    def update(self, least_variance: float) -> None:
        """The M-step: new weights, means and variances, these at least `least_variance`; clears the sums."""
        enough = (self.count >= _LEAST_FRAMES)[..., None]
        total = self.count.clamp(min=1e-3)[..., None]
        mean = self.first / total
        variance = (self.second / total - mean.square()).clamp(min=least_variance)
        self.mean.copy_(torch.where(enough, mean, self.mean))
        self.variance.copy_(torch.where(enough, variance, self.variance))
        self.log_weight.copy_(self.count.clamp(min=1e-2).log())
        for statistic in self.statistics:
            statistic.zero_()

    def split(self, components: int) -> None:
        """Grow to `components` a mixture: the heaviest of each are halved and moved apart, the same way every
        time.
        """
        while (k := int(self.components)) < min(components, self.max_components):
            n_new = min(k, components - k)
            heavy = self.log_weight[:, :k].topk(n_new, dim=1).indices
            index = heavy[..., None].expand(-1, -1, self.mean.shape[-1])
            generator = torch.Generator().manual_seed(k)
            direction = torch.randn(index.shape, generator=generator).to(self.mean.device)
            mean, variance = self.mean.gather(1, index), self.variance.gather(1, index)
            step = _SPLIT_DEVIATIONS * variance.sqrt() * direction
            halved = self.log_weight.gather(1, heavy) - math.log(2)
            self.mean.scatter_(1, index, mean + step)
            self.log_weight.scatter_(1, heavy, halved)
            self.mean[:, k : k + n_new] = mean - step
            self.variance[:, k : k + n_new] = variance
            self.log_weight[:, k : k + n_new] = halved
            self.components += n_new


def _with_squares(frames: Tensor) -> Tensor:
    return torch.cat([frames.square(), frames], -1)
