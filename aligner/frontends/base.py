"""What every frontend has in common: frames, their times, and corpus statistics.

B batch, N samples, S speech frames, C channels.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from aligner.frame_grid import Count, FrameGrid, FrameRule
from aligner.frontends.surplus_silence import surplus_silence
from aligner.instantiate import Configurable

_SMALLEST_STD = 1e-5  # a channel that never moves carries nothing: only its mean is taken off


class Frontend(Configurable, nn.Module):
    """Waveforms to features. A child computes them in `extract`.

    Frame s looks at the audio around `grid.centre_s(s)`. Results for an utterance do not depend on what it is
    batched with, and frames beyond its end are 0. Until `fit_normalisation` has seen a corpus the features
    are as `extract` computed them; after that every channel has mean 0 and deviation 1 over the corpus. Both
    are buffers and so part of every checkpoint.

    Args:
        grid: Where the frames lie.
        channel_names: A name for each of the C channels, each once.
    """

    channel_mean: Tensor
    channel_std: Tensor

    def __init__(self, grid: FrameGrid, channel_names: Sequence[str]) -> None:
        super().__init__()
        self.grid = grid
        self.channel_names = tuple(channel_names)
        self.register_buffer("channel_mean", torch.zeros(len(self.channel_names)))
        self.register_buffer("channel_std", torch.ones(len(self.channel_names)))

    @property
    def channels(self) -> int:
        """C."""
        return len(self.channel_names)

    @property
    def sample_rate_hz(self) -> int:
        """Of the audio."""
        return self.grid.sample_rate_hz

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return self.grid.hop_samples

    @property
    def frame_rule(self) -> FrameRule:
        """Where the frames lie, see `FrameGrid`."""
        return self.grid.rule

    def frame_count(self, n_samples: Count) -> Count:
        """Frames of an utterance, 0 if it is too short for one.

        Args:
            n_samples: Its samples, a number or a tensor of them.
        """
        return self.grid.frame_count(n_samples)

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """The features before normalisation, `[B, n_frames, C]`; padded frames may hold anything.

        Args:
            audio: `[B, N]` float32. Samples beyond a length may hold anything and are not used.
            audio_lengths: Samples of each utterance, `[B]`.
            n_frames: `frame_count(N)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `extract`")

    def raw(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, without the corpus statistics.

        Args:
            audio: `[B, N]`, in -1..1.
            audio_lengths: Samples of each utterance, `[B]`.
        """
        _check(audio, audio_lengths)
        n_frames = self.frame_count(audio.shape[1])
        speech_lengths = self.frame_count(audio_lengths.to(audio.device).long())
        with torch.autocast(audio.device.type, enabled=False):
            features = self.extract(audio.float(), audio_lengths.to(audio.device).long(), n_frames)
        if features.shape != (len(audio), n_frames, self.channels):
            raise ValueError(
                f"{type(self).__name__}.extract gives {list(features.shape)}; "
                f"[B, n_frames, C] is {[len(audio), n_frames, self.channels]}"
            )
        return zero_padding(features, speech_lengths), speech_lengths

    def forward(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a batch, computed in float32 whatever autocast says.

        Args:
            audio: `[B, N]`, in -1..1.
            audio_lengths: Samples of each utterance, `[B]`.

        Returns:
            The features `[B, S, C]`, where S is `frame_count(N)`, and their speech_lengths `[B]`.

        Raises:
            ValueError: For other shapes and, where the lengths lie on the CPU, for lengths outside 1..N.
        """
        features, speech_lengths = self.raw(audio, audio_lengths)
        features = (features - self.channel_mean) / self.channel_std
        return zero_padding(features, speech_lengths), speech_lengths

    @torch.no_grad()
    def fit_normalisation(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Learn each channel's mean and deviation over a corpus, but for surplus silence.

        Args:
            batches: `(audio, audio_lengths)`, as `forward` takes them.

        Raises:
            ValueError: If they hold no frame.
        """
        count, mean, squares = 0, torch.zeros(self.channels).double(), torch.zeros(self.channels).double()
        for audio, audio_lengths in batches:
            device = self.channel_mean.device
            audio, audio_lengths = audio.to(device), audio_lengths.to(device)
            features, lengths = self.raw(audio, audio_lengths)
            counted = frame_mask(lengths, features.shape[1]) & ~surplus_silence(
                audio, audio_lengths, self.grid
            )
            frames = features[counted].double().cpu()
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
        self.channel_mean.copy_(mean)
        self.channel_std.copy_(torch.where(std < _SMALLEST_STD, 1.0, std))


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """Which frames belong to an utterance, `[B, n_frames]` of bools.

    Args:
        lengths: Frames of each utterance, `[B]`.
        n_frames: Frames of the longest.
    """
    return torch.arange(n_frames, device=lengths.device) < lengths[:, None]


def zero_padding(features: Tensor, lengths: Tensor) -> Tensor:
    """Features with 0 in the frames beyond each length, whatever stood there.

    Args:
        features: `[B, S, C]`.
        lengths: Frames of each utterance, `[B]`.
    """
    return features.masked_fill(~frame_mask(lengths, features.shape[1])[..., None], 0.0)


def pad_reflect(audio: Tensor, audio_lengths: Tensor, left: int, right: int) -> Tensor:
    """Reflect each utterance at its own two ends, as `numpy.pad(mode="reflect")` does.

    Utterances shorter than the padding are reflected to and fro. Beyond `right` samples after an utterance's
    end stand zeros.

    Args:
        audio: `[B, N]`.
        audio_lengths: Samples of each utterance, `[B]`.
        left: Samples to add before each utterance.
        right: Samples to add behind it.

    Returns:
        `[B, left + N + right]`.
    """
    inside = torch.arange(audio.shape[1], device=audio.device) < audio_lengths[:, None]
    padded = torch.nn.functional.pad(audio.masked_fill(~inside, 0.0), (left, right))
    last = (audio_lengths - 1)[:, None]
    period = (2 * last).clamp(min=1)
    before = torch.arange(-left, 0, device=audio.device).expand(len(audio), -1)
    after = torch.arange(1, right + 1, device=audio.device) + last
    for position in (before, after):
        phase = position % period
        padded.scatter_(1, left + position, audio.gather(1, torch.minimum(phase, period - phase)))
    return padded


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
