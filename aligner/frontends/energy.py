"""Energy: how loud each frame is, one channel.

B batch, N samples, S speech frames.
"""

import math

from torch import Tensor

from aligner.alignment import FrameGrid, FrameRule
from aligner.frontends.base import Frontend, pad_reflect


class Energy(Frontend):
    """Natural log of each frame's root mean square amplitude.

    Args:
        sample_rate_hz: Sample rate of the audio.
        hop_samples: Samples from one frame to the next.
        window_samples: Samples that a frame's level is taken of, at least the hop.
        frame_rule: Where the frames lie: "center", "center_drop_last" or "same", see `FrameGrid`.
        floor: The least amplitude (1 is full scale), so that silence has a logarithm.
    """

    def __init__(
        self,
        sample_rate_hz: int = 22050,
        hop_samples: int = 256,
        window_samples: int = 1024,
        frame_rule: FrameRule = "same",
        floor: float = 1e-5,
    ) -> None:
        if not 0 < hop_samples <= window_samples:
            raise ValueError(f"hop_samples {hop_samples} must be 1 to window_samples, {window_samples}")
        if floor <= 0:
            raise ValueError(f"floor is {floor}: must be above 0")
        super().__init__(FrameGrid(hop_samples, sample_rate_hz, frame_rule), ["log rms"])
        self.window_samples = window_samples
        self.log_floor = math.log(floor)

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`."""
        window = self.window_samples
        squares = pad_reflect(audio, audio_lengths, *self.grid.padding(window)).square()
        power = squares.unfold(1, window, self.hop_samples)[:, :n_frames].mean(-1, keepdim=True)
        return (0.5 * power.clamp(min=math.exp(2 * self.log_floor)).log()).clamp(min=self.log_floor)
