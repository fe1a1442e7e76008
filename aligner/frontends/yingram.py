"""Yingram: YIN's periodicity at logarithmically spaced lags (Choi et al., NANSY, 2021, eq. 1-4).

B batch, N samples, S speech frames, W window samples, C channels.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import scipy.fft
import torch
from torch import Tensor

from aligner.alignment import FrameGrid, FrameRule
from aligner.frontends.base import Frontend, pad_reflect

# Samples of windows at a time: what a CPU's cache holds, and what leaves memory free on a GPU
_CHUNK_SAMPLES = {"cpu": 2**18, "cuda": 2**26}
_OTHER_CHUNK_SAMPLES = 2**26
_LEAST_SUM = 1e-8  # added to the denominator of d', as in the published code


@dataclass(frozen=True)
class YingramSettings:
    """The settings of a `Yingram`, which explains them.

    Raises:
        ValueError: For settings that cannot be.
        AlignerError: For an unknown frame rule.
    """

    sample_rate_hz: int
    hop_samples: int
    window_samples: int
    low_hz: float
    bins: int
    bins_per_octave: int
    frame_rule: FrameRule
    noise_floor: float = 1e-4  # 80 dB below full scale

    @property
    def grid(self) -> FrameGrid:
        """Where the frames lie."""
        return FrameGrid(self.hop_samples, self.sample_rate_hz, self.frame_rule)

    @property
    def channels_hz(self) -> list[float]:
        """What each channel answers to."""
        return [self.low_hz * 2 ** (i / self.bins_per_octave) for i in range(self.bins)]

    def __post_init__(self) -> None:
        for name in (
            "sample_rate_hz",
            "hop_samples",
            "window_samples",
            "low_hz",
            "bins",
            "bins_per_octave",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: must be above 0")
        if self.hop_samples > self.window_samples:
            raise ValueError(f"hop_samples {self.hop_samples} is above window_samples {self.window_samples}")
        if (high_hz := self.channels_hz[-1]) > self.sample_rate_hz / 2:
            raise ValueError(f"bins {self.bins} reach {high_hz:.0f} Hz, above half the sample rate")
        if math.floor(self.sample_rate_hz / self.low_hz) + 2 > self.window_samples:
            raise ValueError(
                f"low_hz {self.low_hz:.2f} needs lags beyond window_samples {self.window_samples}"
            )
        if self.noise_floor < 0:
            raise ValueError(f"noise_floor is {self.noise_floor}: must be at least 0")
        _ = self.grid  # raises for an unknown rule


PRESETS = {
    # the part of the 1570 channels that NANSY's synthesis sees ("scope": 25.11 to 430 Hz)
    "nansy": YingramSettings(22050, 441, 2048, 22050 / 2047 * 2 ** (293 / 240), 984, 240, "same"),
    # MIDI 5 to 84, of the best-known reimplementation (dhchoi99/NANSY)
    "nansy-midi": YingramSettings(22050, 256, 2048, 440 * 2 ** (-64 / 12), 80, 12, "same"),
    # bins -5 to 74 of the project's configuration (anonymous-pits/pits)
    "pits": YingramSettings(22050, 256, 2048, 440 * 2 ** (-74 / 24), 80, 24, "same"),
}


class Yingram(Frontend):
    """Yingram: how far from periodic the sound is, at each lag of a pitch scale.

    A channel is YIN's cumulative mean normalised difference d' at one lag: 0 where the sound repeats after
    that lag, about 1 where it does not.

        d(tau)  = sum over j < W - tau of (x[j] - x[j + tau])^2 + 2 W noise_floor^2
        d'(tau) = d(tau) tau / (sum over 1..tau of d + 1e-8),   d'(0) = 1

    The window shrinks with the lag. Channels interpolate d' linearly between whole lags.

    Args:
        preset: Settings of a known model: nansy, nansy-midi or pits. Each setting given beside it replaces
            the preset's.
        sample_rate_hz: Sample rate of the audio.
        hop_samples: Samples from one frame to the next.
        window_samples: Length of a window, W: at least the hop, and more than the longest lag.
        low_hz: The lowest pitch, that of channel 0.
        bins: Number of channels, C. Channel i answers to low_hz * 2^(i / bins_per_octave).
        bins_per_octave: Channels to a doubling of the pitch.
        frame_rule: Where the frames lie: "center", "center_drop_last" or "same", see `FrameGrid`.
        noise_floor: Amplitude (root mean square; 1 is full scale) of noise that counts as silence. It makes
            silence tend to 1. The published formula has 0 here and takes digital silence for perfectly
            periodic.

    Source:
        Choi et al., NANSY (2021), equations 1-4; de Cheveigne and Kawahara, YIN (2002).
    """

    lag_floor: Tensor
    lag_fraction: Tensor

    def __init__(
        self,
        preset: str = "pits",
        sample_rate_hz: int | None = None,
        hop_samples: int | None = None,
        window_samples: int | None = None,
        low_hz: float | None = None,
        bins: int | None = None,
        bins_per_octave: int | None = None,
        frame_rule: FrameRule | None = None,
        noise_floor: float | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"preset {preset!r} is none of {', '.join(PRESETS)}")
        given = {
            "sample_rate_hz": sample_rate_hz,
            "hop_samples": hop_samples,
            "window_samples": window_samples,
            "low_hz": low_hz,
            "bins": bins,
            "bins_per_octave": bins_per_octave,
            "frame_rule": frame_rule,
            "noise_floor": noise_floor,
        }
        stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        settings = replace(PRESETS[preset], **stated)
        super().__init__(settings.grid, [f"yin {hz:.2f} Hz" for hz in settings.channels_hz])
        self.settings = settings
        lag = settings.sample_rate_hz / torch.tensor(settings.channels_hz, dtype=torch.float64)
        self.lags = int(lag[0]) + 2  # 0 to one more than the largest lag's whole part
        self.register_buffer("lag_floor", lag.long(), persistent=False)
        self.register_buffer("lag_fraction", lag.frac().float(), persistent=False)

    def configuration(self) -> dict[str, Any]:
        """As `Configurable.configuration`, with the settings that the preset stood for."""
        configuration = super().configuration()
        configuration["init_args"] |= asdict(self.settings)
        return configuration

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`."""
        window = self.settings.window_samples
        padded = pad_reflect(audio, audio_lengths, *self.grid.padding(window))
        frames = padded.unfold(1, window, self.hop_samples)[:, :n_frames]
        at_once = _CHUNK_SAMPLES.get(audio.device.type, _OTHER_CHUNK_SAMPLES)
        step = max(1, at_once // (window * len(audio)))
        chunks = [self._channels(frames[:, i : i + step]) for i in range(0, n_frames, step)]
        return torch.cat(chunks, 1) if chunks else audio.new_zeros(len(audio), 0, self.channels)

    def _channels(self, frames: Tensor) -> Tensor:
        """`[B, S, W]` -> `[B, S, C]`."""
        normalised = normalised_difference(frames, self.lags, self.settings.noise_floor)
        below = normalised.index_select(-1, self.lag_floor)
        above = normalised.index_select(-1, self.lag_floor + 1)
        return torch.lerp(below, above, self.lag_fraction)


def normalised_difference(frames: Tensor, lags: int, noise_floor: float) -> Tensor:
    """YIN's cumulative mean normalised difference d', `[..., lags]`; the formula stands in `Yingram`.

    Args:
        frames: Windows of audio, `[..., W]`.
        lags: How many lags to compute, from lag 0 on; at most W.
        noise_floor: As in `Yingram`.
    """
    window = frames.shape[-1]
    frames = frames - frames.mean(-1, keepdim=True)  # d does not change and keeps more of its digits
    n_fft = scipy.fft.next_fast_len(window + lags, real=True)  # no lag wraps around
    spectrum = torch.fft.rfft(frames, n_fft)
    power = spectrum.real.square() + spectrum.imag.square()
    correlation = torch.fft.irfft(power, n_fft)[..., 1:lags]
    squares = frames.square()
    # the energy of x[0..W-tau) and that of x[tau..W): all, without the tau last and first samples
    first = squares[..., : lags - 1].cumsum(-1)
    last = squares[..., window - lags + 1 :].flip(-1).cumsum(-1)
    energies = 2 * squares.sum(-1, keepdim=True) - first - last
    difference = (energies - 2 * correlation).clamp(min=0) + 2 * window * noise_floor**2
    lag = torch.arange(1, lags, device=frames.device, dtype=frames.dtype)
    normalised = difference * lag / (difference.cumsum(-1) + _LEAST_SUM)
    return torch.nn.functional.pad(normalised, (1, 0), value=1.0)
