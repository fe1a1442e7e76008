"""The one rule that converts seconds and frames.

N samples.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from torch import Tensor

Count = TypeVar("Count", int, "Tensor")
Frames = TypeVar("Frames", float, NDArray[np.float64], "Tensor")
FrameRule = Literal["center", "center_drop_last", "same"]
FRAME_RULES: tuple[FrameRule, ...] = get_args(FrameRule)

# Of a sample: what a duration written with nine decimals may be off. Resampling between any two usual rates
# leaves a fraction of at least 1/441 of a sample, or none.
_SAMPLE_ROUNDING = 1e-3


@dataclass(frozen=True)
class FrameGrid:
    """Where the frames of a model lie in time. A frame's time is its centre.

    N counts the samples that the model has after its own resampling (`sample_count`).

    | rule               | frames of N samples | centre of frame s | start of frame s | used by             |
    |--------------------|---------------------|-------------------|------------------|---------------------|
    | "center"           | 1 + N // hop        | s * hop           | (s - 1/2) * hop  | FastSpeech2, ESPnet |
    | "center_drop_last" | N // hop            | s * hop           | (s - 1/2) * hop  | NeMo, EveryVoice    |
    | "same"             | N // hop            | (s + 1/2) * hop   | s * hop          | HiFi-GAN, VITS      |

    Args:
        hop_samples: Samples from the centre of one frame to the next.
        sample_rate_hz: Sample rate that the hop is counted at.
        rule: "center": `torch.stft` and librosa with `center=True`. "center_drop_last": the same without the
            last frame. "same": padding by (n_fft - hop) / 2 on both sides, vocos's `padding="same"`.

    Raises:
        AlignerError: For a hop or a rate that is no whole number above 0, or an unknown rule.
    """

    hop_samples: int
    sample_rate_hz: int
    rule: FrameRule = "center"

    def __post_init__(self) -> None:
        for name, value in (("hop", self.hop_samples), ("sample rate", self.sample_rate_hz)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise AlignerError(f"{name} {value!r} must be a whole number")
        if self.hop_samples <= 0 or self.sample_rate_hz <= 0:
            raise AlignerError(
                f"hop {self.hop_samples} and sample rate {self.sample_rate_hz} must be greater than 0"
            )
        if self.rule not in FRAME_RULES:
            raise AlignerError(f"frame rule {self.rule!r}: use one of {', '.join(FRAME_RULES)}")

    @property
    def hop_s(self) -> float:
        """Seconds from the centre of one frame to the next."""
        return self.hop_samples / self.sample_rate_hz

    @property
    def frame_at_end(self) -> int:
        """Frames beyond N // hop: "center" has one more, whose centre may lie on the very end."""
        return 1 if self.rule == "center" else 0

    @property
    def first_centre_hops(self) -> float:
        """Where frame 0 is centred, in hops: on the first sample or, for "same", in the middle of a hop."""
        return 0.5 if self.rule == "same" else 0.0

    def frame_count(self, n_samples: Count) -> Count:
        """Frames of an utterance.

        Args:
            n_samples: Its samples at this grid's own sample rate, a number or a tensor of them.
        """
        return n_samples // self.hop_samples + self.frame_at_end

    def sample_count(self, duration_s: float) -> int:
        """Samples of a recording at this grid's sample rate, rounded up as librosa and torchaudio resample.

        librosa itself makes a sample more of some whole numbers (147 samples from 44.1 to 48 kHz: 161, not
        160), and torchaudio one less than it means to in some recordings longer than a second, because it
        divides in float32. That changes the frames where the sample opens or closes a hop.

        Args:
            duration_s: Length of the recording in seconds, at least to nine decimals.
        """
        return math.ceil(duration_s * self.sample_rate_hz - _SAMPLE_ROUNDING)

    def padding(self, window_samples: int) -> tuple[int, int]:
        """Samples to add (left, right) so that a window that starts at sample s * hop is centred on frame s.

        Where window and hop differ by an odd number, the extra sample goes to the right, as in HiFi-GAN. The
        right side is up to a hop longer than the last frame needs: cut off the frames beyond `frame_count`.

        Args:
            window_samples: Length of the window; an FFT's, if the window is padded to that.
        """
        left = (window_samples - self.hop_samples) // 2 if self.rule == "same" else window_samples // 2
        return left, window_samples - left

    def centre_s(self, frames: Frames) -> Frames:
        """The time in seconds that a frame is centred on.

        Args:
            frames: Frame numbers: one, an array or a tensor. Halves lie between two frames.
        """
        return (frames + self.first_centre_hops) * self.hop_samples / self.sample_rate_hz

    def boundary_s(self, frames: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
        """The times in seconds half-way between the centres of frame s-1 and frame s.

        Args:
            frames: The numbers s, any shape.
        """
        return self.centre_s(np.asarray(frames, np.float64) - 0.5)

    def first_frame_after(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """The first frame of what starts at a time: the number of frames centred before that time.

        Args:
            times_s: Times in seconds, any shape.
        """
        hops = np.asarray(times_s) * self.sample_rate_hz / self.hop_samples
        # A centre that a boundary meets to within a millionth of a hop belongs to what starts there.
        return np.ceil(np.round(hops - self.first_centre_hops, 6)).astype(np.int64)
