"""How loud: one channel.

B batch, N samples, S speech frames.
"""

import math

from torch import Tensor

from aligner.alignment import FrameRule
from aligner.frontends.base import Frontend, pad_reflect


class Energy(Frontend):
    """The natural log of each frame's rms amplitude over `window_samples` (at least `floor`)."""

    def __init__(
        self,
        sample_rate_hz: int = 22050,
        hop_samples: int = 256,
        window_samples: int = 1024,
        frame_rule: FrameRule = "tiled",
        floor: float = 1e-5,
    ) -> None:
        if not 0 < hop_samples <= window_samples:
            raise ValueError(f"hop_samples {hop_samples} must be 1 to window_samples, {window_samples}")
        if floor <= 0:
            raise ValueError(f"floor is {floor}: must be above 0")
        super().__init__(sample_rate_hz, hop_samples, frame_rule, ["log rms"])
        self.window_samples = window_samples
        self.log_floor = math.log(floor)

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        window = self.window_samples
        left = (window - self.hop_samples) // 2 if self.frame_rule == "tiled" else window // 2
        squares = pad_reflect(audio, audio_lengths, left, window - left).square()
        power = squares.unfold(1, window, self.hop_samples)[:, :n_frames].mean(-1, keepdim=True)
        return (0.5 * power.clamp(min=math.exp(2 * self.log_floor)).log()).clamp(min=self.log_floor)
