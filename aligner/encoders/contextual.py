"""Mixtures whose means move with the context: one offset a state of a token, in one feature stream.

F packed frames, C channels of the stream, P phones of the texts, N = P * states of their states, M states of
the model's phones, K Gaussians a state, X blocks of frames, W columns.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aligner.devices import on_device
from aligner.encoders.blocks import Blocks
from aligner.encoders.gaussians import GaussianMixtures, log_sum_exp_
from aligner.ragged import Indices, inside

# No deviation becomes smaller than a tenth of the corpus': as in EM (`training.em`), there as a variance.
_LEAST_LOG_SCALE = math.log(0.1)
# Log densities of single Gaussians held at once: on a CPU what its cache holds, elsewhere 1 GB.
_CHUNK = {True: 2**19, False: 2**28}


class ContextualStream(nn.Module):
    """The mixtures of one feature stream, learnt by gradient, and the projection to their offsets.

    Args:
        hidden: Width of the text encoder.
        vocab_size: Symbols, the pause, which has no part in this, first.
        channels: Indices of the features that make the stream.
        states: Of a phone.
        gaussians: Of a state; K.
    """

    channels: Tensor

    def __init__(self, hidden: int, vocab_size: int, channels: Tensor, states: int, gaussians: int) -> None:
        super().__init__()
        shape = ((vocab_size - 1) * states, gaussians, len(channels))
        self.register_buffer("channels", channels.clone())
        self.mean = nn.Parameter(torch.zeros(shape))
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.log_weight = nn.Parameter(torch.zeros(shape[:2]))
        self.project = nn.Linear(hidden, states * len(channels))
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    @torch.no_grad()
    def start_from(self, mixtures: GaussianMixtures) -> None:
        """Take on mixtures without context, which have as many Gaussians."""
        self.mean.copy_(mixtures.mean)
        self.log_scale.copy_(0.5 * mixtures.variance.log())
        self.log_weight.copy_(mixtures.log_weight.log_softmax(1))

    def offsets(self, encoded: Tensor) -> Tensor:
        """What the context adds to the means, `[N, C]`.

        Args:
            encoded: `[P, hidden]`, by the text encoder.
        """
        return self.project(encoded).unflatten(1, (-1, len(self.channels))).flatten(0, 1)

    def log_likelihood_of(self, frames: Tensor, offsets: Tensor, symbols: Tensor, state: Tensor) -> Tensor:
        """The log density of each frame in one state, differentiable, `[F]`.

        Args:
            frames: `[F, C]`, of the stream's channels.
            offsets: `[N, C]`.
            symbols: `[N]`, the state of the model, 0..M-1, that each of the texts' states is.
            state: `[F]`, in 0..N-1.
        """
        symbol = symbols[state]
        log_scale = self.log_scale.clamp(min=_LEAST_LOG_SCALE)
        distance = (frames - offsets[state])[:, None] - self.mean[symbol]
        constant = self.log_weight.log_softmax(1) - log_scale.sum(2) - self._log_normaliser
        squares = (distance * torch.exp(-log_scale)[symbol]).square().sum(2)
        return (constant[symbol] - 0.5 * squares).logsumexp(1)

    @torch.no_grad()
    def log_likelihood(
        self, frames: Tensor, offsets: Tensor, symbols: Tensor, blocks: Blocks, out: Tensor
    ) -> None:
        """The log density of every frame in the states of its block's columns, -inf where there is none.

        Args:
            frames: `[F, C]`, of the stream's channels.
            offsets: As of `log_likelihood_of`.
            symbols: As of `log_likelihood_of`.
            blocks: Of the frames.
            out: Where the result is written, `[F, W]`.
        """
        weights, constant = self._quadratic_form(offsets, symbols)
        longest, columns = int(blocks.n_frames.max(initial=0)), blocks.states.shape[1]
        k = self.mean.shape[1]
        at_once = max(1, _CHUNK[frames.device.type == "cpu"] // max(1, longest * columns * k))
        values = torch.cat([frames.square(), frames], 1)
        first = 0
        for x in range(0, len(blocks.n_frames), at_once):
            n_frames = blocks.n_frames[x : x + at_once]
            states = blocks.states[x : x + at_once]
            own = _padded(values[first : first + n_frames.sum()], n_frames)  # [x, S, 2C]
            by_gaussian = weights[states].permute(0, 3, 2, 1).flatten(2)  # [x, 2C, K * W]
            base = constant[states].mT.flatten(1)[:, None]
            each = torch.baddbmm(base, own, by_gaussian).unflatten(2, (k, columns))
            of_state = log_sum_exp_(each, 2).masked_fill_((states < 0)[:, None], -math.inf)
            out[first : first + n_frames.sum()] = _packed(of_state, n_frames)
            first += int(n_frames.sum())

    def _quadratic_form(self, offsets: Tensor, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """`[N + 1, K, 2C]`, `[N + 1, K]`, as of `GaussianMixtures`; the last is for columns of no state."""
        log_scale = self.log_scale.clamp(min=_LEAST_LOG_SCALE)
        precision = torch.exp(-2 * log_scale)
        own, mean = precision[symbols], self.mean[symbols] + offsets[:, None]
        constant = (self.log_weight.log_softmax(1) - log_scale.sum(2) - self._log_normaliser)[symbols]
        constant = constant - 0.5 * (mean.square() * own).sum(2)
        weights = torch.cat([-0.5 * own, mean * own], 2)
        return F.pad(weights, (0, 0, 0, 0, 0, 1)), F.pad(constant, (0, 0, 0, 1))

    @property
    def _log_normaliser(self) -> float:
        return 0.5 * math.log(2 * math.pi) * len(self.channels)


def _padded(values: Tensor, n_frames: Indices) -> Tensor:
    """Packed frames `[F, C]` as `[X, S, C]`."""
    result = values.new_zeros(len(n_frames), int(n_frames.max(initial=0)), values.shape[1])
    result.flatten(0, 1).index_copy_(0, _places(n_frames, values.device), values)
    return result


def _packed(values: Tensor, n_frames: Indices) -> Tensor:
    """The inverse of `_padded`."""
    return values.flatten(0, 1)[_places(n_frames, values.device)]


def _places(n_frames: Indices, device: torch.device) -> Tensor:
    return on_device(np.flatnonzero(inside(n_frames)), device)
