"""Constant-Q transform, NANSY++'s input for pitch.

B batch, N samples, S speech frames, C channels.
"""

import torch
from torch import Tensor

from aligner.alignment import FrameRule
from aligner.frontends.base import Frontend


class Cqt(Frontend):
    """Log magnitude of librosa's constant-Q transform (on the CPU, utterance by utterance: slow).

    NANSY++ has 191 bins, 24 an octave, from 32.7 Hz. floor: the least magnitude before the natural log.
    """

    def __init__(
        self,
        sample_rate_hz: int = 22050,
        hop_samples: int = 256,
        frame_rule: FrameRule = "tiled",
        low_hz: float = 32.7,
        bins: int = 191,
        bins_per_octave: int = 24,
        floor: float = 1e-5,
    ) -> None:
        top_hz = low_hz * 2 ** ((bins - 1) / bins_per_octave)
        if not 0 < low_hz <= top_hz < sample_rate_hz / 2:
            raise ValueError(f"{bins=} reach {top_hz:.0f} Hz, half the sample rate")
        channels_hz = [low_hz * 2 ** (i / bins_per_octave) for i in range(bins)]
        super().__init__(sample_rate_hz, hop_samples, frame_rule, [f"cqt {hz:.1f} Hz" for hz in channels_hz])
        self.low_hz, self.bins_per_octave, self.floor = low_hz, bins_per_octave, floor

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        import librosa

        features = audio.new_zeros(len(audio), n_frames, self.channels)
        # librosa centres frame t on hop t of what it gets; half a hop of zeros before, and the first frame
        # dropped, make that t + 1/2
        tiled = self.frame_rule == "tiled"
        before = self.hop_samples - self.hop_samples // 2 if tiled else 0
        for item, length in enumerate(audio_lengths.tolist()):
            sound = torch.nn.functional.pad(audio[item, :length].detach().cpu(), (before, 0)).numpy()
            spectrum = librosa.cqt(
                sound,
                sr=self.sample_rate_hz,
                hop_length=self.hop_samples,
                fmin=self.low_hz,
                n_bins=self.channels,
                bins_per_octave=self.bins_per_octave,
            )
            magnitude = torch.from_numpy(abs(spectrum)).T[int(tiled) :][:n_frames].clamp(min=self.floor)
            features[item, : len(magnitude)] = magnitude.log().to(features)
        return features
