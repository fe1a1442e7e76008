"""What an utterance's own pauses sound like: where a recording is quietest nobody speaks.

The pause that a model has learnt sounds as its corpus did. In another room, in other noise, among other
voices, pauses sound like some phone, and words beside them grow into them. So a pause may also sound like the
quietest tenth of its utterance.

B utterances, S speech frames, F packed frames, C channels, R feature streams.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from aligner.devices import on_device
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import inside

_QUIET_SHARE, _LEAST_FRAMES = 0.1, 8
_LEVEL_FRAMES = 31  # that a level is taken over (frames are usually 10 ms): closures of stops are shorter
# The quietest frames may be of a phone, and one that sounds like them is no proof of a pause: so much less
# likely (natural logarithm). With 10 voices that a model does not know lose: `de` on synthetic speech 12.9 ms
# instead of 9.4, with 40 it has 8.8.
_PRICE = 40.0
_LEAST_VARIANCE = 0.1  # of a channel, whose variance over a corpus is 1


class OwnPauses:
    """The quietest frames of each utterance of a batch.

    Args:
        features: Of the utterances.
        channels: Whose mean says how loud a frame is.
    """

    def __init__(self, features: PackedFeatures, channels: Sequence[int]) -> None:
        self._features = features
        self._channels = list(channels)

    @cached_property
    def quietest(self) -> Tensor:
        """Which frames they are, bool `[F]`."""
        features, device = self._features, self._features.frames.device
        is_inside = inside(features.n_frames)
        place = on_device(np.flatnonzero(is_inside), device)
        level = features.frames.new_zeros(is_inside.shape)
        level.view(-1)[place] = features.frames[:, self._channels].mean(1)
        counted = torch.zeros_like(level)
        counted.view(-1)[place] = (~features.surplus).to(level.dtype)
        mean, share = (
            avg_pool1d(own[:, None], _LEVEL_FRAMES, 1, _LEVEL_FRAMES // 2)[:, 0]
            for own in (level * counted, counted)
        )
        mean = torch.where(counted > 0, mean / share.clamp(min=1 / _LEVEL_FRAMES), torch.inf)
        n_frames = counted.sum(1, keepdim=True)
        n_quiet = torch.minimum((_QUIET_SHARE * n_frames).floor().clamp(min=_LEAST_FRAMES), n_frames)
        rank = mean.sort(dim=1, stable=True).indices.argsort(1)
        return (rank < n_quiet).view(-1)[place]

    def log_likelihood(self, frames: Tensor) -> Tensor:
        """The log density of frames in a Gaussian of the quietest ones of their utterance, `[F]`.

        Args:
            frames: `[F, C]`, of some channels.
        """
        lengths, n_rows = self._features.lengths, len(frames)
        quiet = self.quietest.to(frames.dtype)
        count = torch.segment_reduce(quiet, "sum", lengths=lengths).clamp(min=1.0)[:, None]
        own = frames * quiet[:, None]

        def of_frames(values: Tensor) -> Tensor:
            return values.repeat_interleave(lengths, 0, output_size=n_rows)

        mean = torch.segment_reduce(own.double(), "sum", lengths=lengths) / count
        squares = torch.segment_reduce((own * frames).double(), "sum", lengths=lengths) / count
        variance = (squares - mean.square()).clamp(min=_LEAST_VARIANCE)
        mean, variance = mean.to(frames.dtype), variance.to(frames.dtype)
        constant = (variance * (2 * np.pi)).log().sum(1)
        distance = (frames - of_frames(mean)).square_().div_(of_frames(variance)).sum(1)
        return -0.5 * (distance + of_frames(constant))

    def add_(self, pause: Tensor, frames: Tensor) -> None:
        """Let a pause sound like them, too, in place.

        Args:
            pause: `[F]`, the log-likelihood of each frame in a pause, by the model.
            frames: `[F, C]`, of the channels that it is of.
        """
        torch.logaddexp(pause, self.log_likelihood(frames) - _PRICE, out=pause)
