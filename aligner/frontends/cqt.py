"""Constant-Q transform, NANSY++'s input for pitch.

B batch, N samples, S speech frames, C channels.
"""

import torch
from torch import Tensor

from aligner.alignment import FrameGrid, FrameRule
from aligner.frontends.base import Frontend


class Cqt(Frontend):
    """Log magnitude of the constant-Q transform, whose bins are evenly spaced in octaves.

    librosa computes it, on the CPU, utterance by utterance: slow. The defaults are NANSY++'s bins.

    Args:
        sample_rate_hz: Sample rate of the audio.
        hop_samples: Samples from one frame to the next.
        frame_rule: Where the frames lie: "center", "center_drop_last" or "same", see `FrameGrid`.
        low_hz: The lowest bin.
        bins: Number of bins. The highest must lie below half the sample rate.
        bins_per_octave: Bins to a doubling of the frequency.
        floor: The least magnitude before the natural log, so that silence has one.

    Source:
        Choi et al., NANSY++ (2023): 191 bins, 24 an octave, from 32.7 Hz.
    """

    def __init__(
        self,
        sample_rate_hz: int = 22050,
        hop_samples: int = 256,
        frame_rule: FrameRule = "same",
        low_hz: float = 32.7,
        bins: int = 191,
        bins_per_octave: int = 24,
        floor: float = 1e-5,
    ) -> None:
        top_hz = low_hz * 2 ** ((bins - 1) / bins_per_octave)
        if not 0 < low_hz <= top_hz < sample_rate_hz / 2:
            raise ValueError(f"{bins=} reach {top_hz:.0f} Hz, half the sample rate")
        channels_hz = [low_hz * 2 ** (i / bins_per_octave) for i in range(bins)]
        grid = FrameGrid(hop_samples, sample_rate_hz, frame_rule)
        super().__init__(grid, [f"cqt {hz:.1f} Hz" for hz in channels_hz])
        self.low_hz, self.bins_per_octave, self.floor = low_hz, bins_per_octave, floor

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`."""
        import librosa

        features = audio.new_zeros(len(audio), n_frames, self.channels)
        # librosa centres frame s on s * hop. Where ours are later, zeros before the audio fill the hop up and
        # librosa's frame 1 becomes our frame 0.
        later = int(self.grid.first_centre_hops * self.hop_samples)
        dropped = 1 if later else 0
        before = self.hop_samples - later if later else 0
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
            magnitude = torch.from_numpy(abs(spectrum)).T[dropped:][:n_frames].clamp(min=self.floor)
            features[item, : len(magnitude)] = magnitude.log().to(features)
        return features
