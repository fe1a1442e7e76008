"""What every speech representation has in common: frames, their times, and corpus statistics.

B batch, N samples, S speech frames, C channels.
"""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aligner.alignment import FrameGrid, FrameRule

Count = TypeVar("Count", int, Tensor)

_SMALLEST_STD = 1e-5  # a channel that never moves carries nothing: it is centred, not blown up


class Frontend(nn.Module):
    """Waveforms to features, on one of the two frame grids there are. A child computes them in `extract`.

    Frame t looks at the audio around `frame_centre_s(t)`. Results for an
    utterance do not depend on what it is batched with, and frames beyond its end are 0. Until
    `fit_statistics` has seen a corpus the features are as `extract` computed them; after that every channel
    has mean 0 and deviation 1 over the corpus. The statistics are buffers and so part of every checkpoint.
    """

    statistics_mean: Tensor
    statistics_std: Tensor
    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind_partial(None, *args, **kwargs)  # None stands for self
        bound.apply_defaults()
        object.__setattr__(self, "_arguments", dict(list(bound.arguments.items())[1:]))
        return self

    def __init__(
        self, sample_rate_hz: int, hop_samples: int, frame_rule: FrameRule, channel_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.sample_rate_hz = sample_rate_hz
        self.hop_samples = hop_samples
        self.frame_rule = frame_rule
        self.channel_names = tuple(channel_names)
        self.register_buffer("statistics_mean", torch.zeros(len(self.channel_names)))
        self.register_buffer("statistics_std", torch.ones(len(self.channel_names)))

    @property
    def channels(self) -> int:
        """C."""
        return len(self.channel_names)

    def configuration(self) -> dict[str, Any]:
        """What makes this frontend again: `class_path` and `init_args` in plain types, as in YAML."""

        def plain(value: Any) -> Any:
            if isinstance(value, Frontend):
                return value.configuration()
            return [plain(item) for item in value] if isinstance(value, list | tuple) else value

        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return {"class_path": path, "init_args": {name: plain(v) for name, v in self._arguments.items()}}

    def frame_count(self, n_samples: Count) -> Count:
        """Frames of an utterance of `n_samples`, 0 if it is too short for one. Takes an int or a tensor."""
        return n_samples // self.hop_samples + (self.frame_rule == "centred")

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """The features `[B, n_frames, C]` before normalisation; what stands in padded frames does not matter.

        audio: `[B, N]` float32, audio_lengths: `[B]`; samples beyond a length may hold anything and are not
        used.
        """
        raise NotImplementedError

    def frame_centre_s(self, frame: float) -> float:
        """The time in seconds that frame number `frame` is centred on; halves lie between two frames."""
        offset = 0.5 if self.frame_rule == "tiled" else 0.0
        return (frame + offset) * self.hop_samples / self.sample_rate_hz

    @property
    def grid(self) -> FrameGrid:
        """Where the frames lie, for turning durations into times."""
        return FrameGrid(self.hop_samples, self.sample_rate_hz, self.frame_rule)

    def raw(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, without the corpus statistics."""
        _check(audio, audio_lengths)
        n_frames = self.frame_count(audio.shape[1])
        speech_lengths = self.frame_count(audio_lengths.to(audio.device).long())
        with torch.autocast(audio.device.type, enabled=False):
            features = self.extract(audio.float(), audio_lengths.to(audio.device).long(), n_frames)
        return zero_padding(features, speech_lengths), speech_lengths

    def forward(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The features `[B, S, C]` and their speech_lengths `[B]` of audio `[B, N]`, audio_lengths `[B]`.

        Audio lies in -1..1; S is `frame_count(N)`. Computed in float32 whatever autocast says.

        Raises ValueError for other shapes and, where the lengths lie on the CPU, for lengths outside 1..N.
        """
        features, speech_lengths = self.raw(audio, audio_lengths)
        features = (features - self.statistics_mean) / self.statistics_std
        return zero_padding(features, speech_lengths), speech_lengths

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take each channel's mean and deviation over all frames of `(audio, audio_lengths)` batches.

        Raises ValueError when they hold no frame.
        """
        count, mean, squares = 0, torch.zeros(self.channels).double(), torch.zeros(self.channels).double()
        for audio, audio_lengths in batches:
            device = self.statistics_mean.device
            features, lengths = self.raw(audio.to(device), audio_lengths.to(device))
            frames = features[frame_mask(lengths, features.shape[1])].double().cpu()
            if not len(frames):
                continue
            # Chan's update: the naive sum of squares loses the variance of a channel far from 0
            shift = frames.mean(0) - mean
            total = count + len(frames)
            squares += frames.var(0, correction=0) * len(frames) + shift**2 * (count * len(frames) / total)
            mean += shift * (len(frames) / total)
            count = total
        if count == 0:
            raise ValueError("no frame to take statistics from: every utterance is shorter than one frame")
        std = (squares / count).sqrt()
        self.statistics_mean.copy_(mean)
        self.statistics_std.copy_(torch.where(std < _SMALLEST_STD, 1.0, std))


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """`[B, n_frames]`, true where a frame belongs to the utterance."""
    return torch.arange(n_frames, device=lengths.device) < lengths[:, None]


def zero_padding(features: Tensor, lengths: Tensor) -> Tensor:
    """The features `[B, S, C]` with 0 in frames beyond each length, whatever stood there."""
    return features.masked_fill(~frame_mask(lengths, features.shape[1])[..., None], 0.0)


def pad_reflect(audio: Tensor, audio_lengths: Tensor, left: int, right: int) -> Tensor:
    """Each utterance reflected at its own two ends: `[B, N]` -> `[B, left + N + right]`, as `numpy.pad` does.

    Utterances shorter than the padding are reflected to and fro. Beyond `right` samples after an utterance's
    end stands more of the reflection.
    """
    position = torch.arange(-left, audio.shape[1] + right, device=audio.device)
    last = (audio_lengths - 1)[:, None]
    period = (2 * last).clamp(min=1)
    phase = position % period
    return audio.gather(1, torch.minimum(phase, period - phase))


def _check(audio: Tensor, audio_lengths: Tensor) -> None:
    if audio.ndim != 2 or audio_lengths.shape != audio.shape[:1]:
        raise ValueError(
            "audio must be [B, N] and audio_lengths [B], "
            f"not {list(audio.shape)} and {list(audio_lengths.shape)}"
        )
    if not audio.shape[0]:
        raise ValueError("the batch holds no utterance")
    if audio_lengths.device.type == "cpu":  # reading them back from a GPU would stall it
        for item, length in enumerate(audio_lengths.tolist()):
            if not 1 <= length <= audio.shape[1]:
                raise ValueError(
                    f"audio_lengths[{item}] is {length}; the audio has 1 to {audio.shape[1]} samples"
                )
