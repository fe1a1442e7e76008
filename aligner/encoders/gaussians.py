"""Gaussian mixtures with diagonal covariance, one a state, fitted by expectation-maximisation.

F frames, C channels, M states, K Gaussians a state.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

# A Gaussian with a smaller occupancy keeps its mean: that of so few frames would be noise.
_LEAST_OCCUPANCY = 5.0
# A new Gaussian starts this many deviations from the one it is split from (Kaldi's gmm-mixup: 0.01 to 0.3).
_SPLIT_DEVIATIONS = 0.2
_BLOCK = 32  # frames of one state that are multiplied at once: few enough that few are missing in the last
_LEAST_LOG = -80.0  # added to 1, its exponential changes nothing
# Log densities of single Gaussians held at once: on a CPU what its cache holds, elsewhere 256 MB.
_CHUNK = {True: 2**18, False: 2**26}


class GaussianMixtures(nn.Module):
    """M mixtures of K Gaussians over C channels; K is 1 at first and grows by `split`.

    Everything is a buffer: it is learnt in closed form, never by gradient. The statistics of the E-step are
    float64 and add up over `accumulate` calls until `update` takes them.

    Args:
        n_states: M.
        channels: C.
    """

    log_weight: Tensor  # [M, K], up to a constant a state
    mean: Tensor  # [M, K, C]
    variance: Tensor  # [M, K, C]
    occupancy: Tensor  # [M, K], frames that each Gaussian is responsible for
    sum: Tensor  # [M, K, C], of those frames
    sum_of_squares: Tensor  # [M, K, C]

    def __init__(self, n_states: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("log_weight", torch.zeros(n_states, 1))
        self.register_buffer("mean", torch.zeros(n_states, 1, channels))
        self.register_buffer("variance", torch.ones(n_states, 1, channels))
        for name in ("occupancy", "sum", "sum_of_squares"):
            self.register_buffer(name, torch.empty(0, dtype=torch.float64), persistent=False)
        self._clear_statistics()

    @property
    def gaussians(self) -> int:
        """K."""
        return self.log_weight.shape[1]

    @property
    def statistics(self) -> list[Tensor]:
        """What to add up over processes before `update`."""
        return [self.occupancy, self.sum, self.sum_of_squares]

    def log_likelihood(self, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Log density of frames `[F, C]` under every mixture, `[F, M]`.

        Args:
            frames: `[F, C]`.
            out: Where to write the result; by default a new tensor.
        """
        k, n_states = self.gaussians, len(self.mean)
        result = frames.new_empty(len(frames), n_states) if out is None else out
        weights, constant = self._quadratic_form()
        # Gaussians before states: the reduction then runs over rows of memory, four times as fast on a CPU
        weights, constant = weights.transpose(0, 1).flatten(0, 1).T.contiguous(), constant.T.flatten()
        rows = max(1, _CHUNK[frames.device.type == "cpu"] // (k * n_states))
        for own, densities in zip(frames.split(rows), result.split(rows), strict=True):
            each = torch.addmm(constant, _with_squares(own), weights).unflatten(1, (k, -1))
            if k == 1:
                densities.copy_(each[:, 0])
                continue
            densities.copy_(log_sum_exp_(each, 1))
        return result

    def accumulate(self, frames: Tensor, states: Tensor) -> None:
        """The E-step: add frames `[F, C]`, each spoken in its state `[F]`, to the statistics.

        The same frames give the same sums every time, on a GPU too: nothing is added in an order of chance.

        Args:
            frames: `[F, C]`.
            states: `[F]`; a frame of state -1 is left out.
        """
        channels, k = frames.shape[1], self.gaussians
        weights, constant = self._quadratic_form()
        blocks, n_blocks = _blocks_of_states(states, len(self.mean))
        state = torch.repeat_interleave(n_blocks, output_size=len(blocks))
        occupancy, sums = frames.new_empty(len(blocks), k), frames.new_empty(len(blocks), k, 2 * channels)
        rows = max(1, _CHUNK[frames.device.type == "cpu"] // (2 * channels * _BLOCK))
        for first in range(0, len(blocks), rows):
            part = slice(first, first + rows)
            own, of = blocks[part], state[part]
            values = _with_squares(frames[own.clamp(max=len(frames) - 1)])
            posterior = _exp_(torch.baddbmm(constant[of][..., None], weights[of], values.mT), 1)[0]
            posterior *= (own < len(frames))[:, None] / posterior.sum(1, keepdim=True)
            torch.sum(posterior, 2, out=occupancy[part])
            torch.bmm(posterior, values, out=sums[part])
        self.occupancy += _sum_of_each(occupancy, n_blocks)
        self.sum_of_squares += _sum_of_each(sums[..., :channels], n_blocks)
        self.sum += _sum_of_each(sums[..., channels:], n_blocks)

    def update(self, least_variance: float, remembered_frames: float = 0.0) -> None:
        """The M-step: new weights, means and variances from the statistics, which are cleared.

        Args:
            least_variance: No variance becomes smaller.
            remembered_frames: Each Gaussian as it was is counted as so many frames, too; a heavy one as more
                and a light one as fewer, so that what is not spoken stays as it was.

        Source:
            Gauvain and Lee, "Maximum a posteriori estimation for multivariate Gaussian mixture observations",
            1994: the prior of means and variances; Reynolds' relevance factor.
        """
        if remembered_frames:
            remembered = remembered_frames * self.gaussians * self.log_weight.double().softmax(1)
            self.occupancy += remembered
            self.sum += remembered[..., None] * self.mean
            self.sum_of_squares += remembered[..., None] * (self.variance + self.mean.square())
        enough = (self.occupancy >= _LEAST_OCCUPANCY)[..., None]
        total = self.occupancy.clamp(min=1e-3)[..., None]  # not 0, where nothing was accumulated
        mean = self.sum / total
        variance = (self.sum_of_squares / total - mean.square()).clamp(min=least_variance)
        self.mean.copy_(torch.where(enough, mean, self.mean))
        self.variance.copy_(torch.where(enough, variance, self.variance))
        self.log_weight.copy_(self.occupancy.clamp(min=1e-2).log())
        for statistic in self.statistics:
            statistic.zero_()

    def split(self, gaussians: int) -> None:
        """Grow to `gaussians` a state: the heaviest are halved and moved apart, the same way every time.

        Statistics must have been taken by `update`: they begin anew.
        """
        while (k := self.gaussians) < gaussians:
            n_new = min(k, gaussians - k)
            heavy = self.log_weight.topk(n_new, dim=1).indices
            index = heavy[..., None].expand(-1, -1, self.mean.shape[-1])
            generator = torch.Generator().manual_seed(k)
            direction = torch.randn(index.shape, generator=generator).to(self.mean.device)
            mean, variance = self.mean.gather(1, index), self.variance.gather(1, index)
            step = _SPLIT_DEVIATIONS * variance.sqrt() * direction
            halved = self.log_weight.gather(1, heavy) - math.log(2)
            self.mean = torch.cat([self.mean.scatter(1, index, mean + step), mean - step], 1)
            self.variance = torch.cat([self.variance, variance], 1)
            self.log_weight = torch.cat([self.log_weight.scatter(1, heavy, halved), halved], 1)
            self._clear_statistics()

    def _quadratic_form(self) -> tuple[Tensor, Tensor]:
        """`[M, K, 2C]` and `[M, K]`: a Gaussian's log weight times density is their product with the
        frame's squares and values, plus the constant.
        """
        precision = 1 / self.variance
        constant = self.log_weight.log_softmax(-1) - 0.5 * (
            (self.mean.square() * precision).sum(-1)
            - precision.log().sum(-1)
            + self.mean.shape[-1] * math.log(2 * math.pi)
        )
        return torch.cat([-0.5 * precision, self.mean * precision], -1), constant

    def _clear_statistics(self) -> None:
        self.occupancy = torch.zeros_like(self.log_weight, dtype=torch.float64)
        self.sum = torch.zeros_like(self.mean, dtype=torch.float64)
        self.sum_of_squares = torch.zeros_like(self.mean, dtype=torch.float64)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """As of any module, after taking on the number of Gaussians that was saved."""
        saved = state_dict.get(f"{prefix}log_weight")
        if isinstance(saved, Tensor) and saved.dim() == 2 and saved.shape[1] != self.gaussians:
            n_states, _, channels = self.mean.shape
            self.log_weight = self.log_weight.new_zeros(n_states, saved.shape[1])
            self.mean = self.mean.new_zeros(n_states, saved.shape[1], channels)
            self.variance = self.variance.new_ones(n_states, saved.shape[1], channels)
            self._clear_statistics()
        super()._load_from_state_dict(state_dict, prefix, *rest)


def log_sum_exp_(values: Tensor, dim: int) -> Tensor:
    """As `torch.logsumexp`, many times as fast on a CPU where values are far apart.

    Args:
        values: Written to.
        dim: The dimension to sum over.
    """
    if values.device.type == "cpu" and values.dtype == torch.float32 and values.dim() == 3 and dim == 1:
        from aligner.encoders.log_sum_exp import sum_exp_

        highest = values.new_empty(values.shape[0], values.shape[2])
        sum_exp_(values.numpy(), highest.numpy())
        return values[:, 0].log().add_(highest)
    exp, largest = _exp_(values, dim)
    return exp.sum(dim).log_().add_(largest.squeeze(dim))


def _exp_(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The exponentials of values less the largest, and the largest."""
    largest = values.amax(dim, keepdim=True)
    # Below exp(-87) floats are denormal, and a hundred times as slow.
    return values.sub_(largest).clamp_(min=_LEAST_LOG).exp_(), largest


def _blocks_of_states(states: Tensor, n_states: int) -> tuple[Tensor, Tensor]:
    """Frames by their state in blocks of equal size, `[blocks, frames]`, and how many blocks each has, `[M]`.

    The last block of a state is filled up with F, the number of frames. A state of -1 is in no block.
    """
    n_frames, device = len(states), states.device
    order = states.argsort(stable=True)
    counts = torch.zeros(n_states + 1, dtype=torch.int64, device=device)
    counts.index_add_(0, states + 1, torch.ones_like(states))
    n_blocks = (counts[1:] + (_BLOCK - 1)) // _BLOCK
    # On a GPU as many as there may be, since reading back how many there are would stall it.
    total = int(n_blocks.sum()) if device.type == "cpu" else n_frames // _BLOCK + n_states
    first = torch.cat([n_blocks.new_full((1,), total), n_blocks.cumsum(0) - n_blocks]) * _BLOCK
    n_blocks[-1] += total - n_blocks.sum()
    ordered = states[order] + 1
    within = torch.arange(n_frames, device=device) - (counts.cumsum(0) - counts)[ordered]
    place = torch.where(ordered > 0, first[ordered] + within, total * _BLOCK)  # the rest in one more, cut off
    blocks = order.new_full((total * _BLOCK + 1,), n_frames).scatter_(0, place, order)
    return blocks[:-1].view(-1, _BLOCK), n_blocks


def _sum_of_each(blocks: Tensor, n_blocks: Tensor) -> Tensor:
    """The sum over the blocks of each state, float64, in their order."""
    return torch.segment_reduce(blocks.double(), "sum", lengths=n_blocks, axis=0, unsafe=True)


def _with_squares(frames: Tensor) -> Tensor:
    return torch.cat([frames.square(), frames], -1)
