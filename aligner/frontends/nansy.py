"""Nansy: the features that NANSY and DualSpeech take speech apart into, by signal processing.

B batch, N samples, S speech frames, C channels.
"""

import math

from aligner.alignment import FrameRule
from aligner.frontends.base import Frontend
from aligner.frontends.combine import Combine
from aligner.frontends.cqt import Cqt
from aligner.frontends.energy import Energy
from aligner.frontends.mel import Mel
from aligner.frontends.yingram import PRESETS as YINGRAM_PRESETS
from aligner.frontends.yingram import Yingram


class Nansy(Combine):
    """Features of NANSY's kind: cepstra or log-mels for what is said, Yingram for pitch, and energy.

    All by signal processing: nothing has to be downloaded. Windows last 46 ms, Yingram's 93 ms, as those of
    HiFi-GAN and NANSY at 22,050 Hz do. (`SelfSupervised` gives the hidden states that NANSY itself uses.)

    Args:
        sample_rate_hz: Sample rate of the audio.
        hop_samples: Samples from one frame to the next.
        frame_rule: Where the frames lie: "center", "center_drop_last" or "same", see `FrameGrid`.
        mels: Number of mel bands.
        cepstra: Number of cepstra, 0 for log-mels.
        deltas: Orders of derivatives beside cepstra and log-mels: 0, 1 or 2.
        yingram: Preset of a `Yingram` whose pitch range is taken, "" for none.
        energy: Add the energy, one channel.
        cqt: Add NANSY++'s constant-Q transform, which is slow.
        log_mels: Keep the log-mels beside the cepstra.
        yingram_bins_per_octave: The Yingram's range in other steps than the preset's. Models that take
            channels for independent, such as `PhoneMixtures`, want few.

    Source:
        Choi et al., NANSY (2021) and NANSY++ (2023); Yang et al., DualSpeech (2024).
    """

    def __init__(
        self,
        sample_rate_hz: int = 22050,
        hop_samples: int = 256,
        frame_rule: FrameRule = "same",
        mels: int = 80,
        cepstra: int = 20,
        deltas: int = 2,
        yingram: str = "pits",
        energy: bool = True,
        cqt: bool = False,
        log_mels: bool = False,
        yingram_bins_per_octave: int | None = None,
    ) -> None:
        def samples(at_22050_hz: int) -> int:  # as long in seconds, and even
            return 2 * round(at_22050_hz * sample_rate_hz / 22050 / 2)

        window = samples(1024)
        parts: list[Frontend] = [
            Mel(
                sample_rate_hz=sample_rate_hz,
                n_fft=window,
                window_samples=window,
                hop_samples=hop_samples,
                frame_rule=frame_rule,
                mels=mels,
                fmax_hz=min(8000.0, sample_rate_hz / 2),
                cepstra=cepstra,
                deltas=deltas,
                log_mels=log_mels,
            )
        ]
        if yingram:
            if yingram not in YINGRAM_PRESETS:
                raise ValueError(f"yingram {yingram!r} is none of {', '.join(YINGRAM_PRESETS)} and not ''")
            preset = YINGRAM_PRESETS[yingram]
            bins_per_octave = yingram_bins_per_octave or preset.bins_per_octave
            parts.append(
                Yingram(
                    yingram,
                    sample_rate_hz=sample_rate_hz,
                    hop_samples=hop_samples,
                    window_samples=samples(preset.window_samples),
                    bins=math.ceil(preset.bins * bins_per_octave / preset.bins_per_octave),
                    bins_per_octave=bins_per_octave,
                    frame_rule=frame_rule,
                )
            )
        if energy:
            parts.append(Energy(sample_rate_hz, hop_samples, window, frame_rule))
        if cqt:
            parts.append(Cqt(sample_rate_hz, hop_samples, frame_rule))
        super().__init__(parts)
