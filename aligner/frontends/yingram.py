"""Yingram: YIN's periodicity at logarithmically spaced lags (Choi et al., NANSY, 2021, eq. 1-4).

B batch, N samples, S speech frames, W window samples, C channels.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import scipy.fft
import torch
from torch import Tensor

from aligner.alignment import FRAME_RULES, FrameRule
from aligner.frontends.base import Frontend, pad_reflect

_CHUNK_SAMPLES = {
    "cpu": 2**18,
    "cuda": 2**26,
}  # of windows at a time: what a cache holds, what leaves memory free


@dataclass(frozen=True)
class YingramSettings:
    """Channel i answers to low_hz * 2^(i / bins_per_octave). The rest is as in `MelSettings`."""

    sample_rate_hz: int
    hop_samples: int
    window_samples: int
    low_hz: float
    bins: int
    bins_per_octave: int
    frame_rule: FrameRule


PRESETS = {
    # the part of the 1570 channels that NANSY's synthesis sees ("scope": 25.11 to 430 Hz)
    "nansy": YingramSettings(22050, 441, 2048, 22050 / 2047 * 2 ** (293 / 240), 984, 240, "tiled"),
    # MIDI 5 to 84, of the best-known reimplementation (dhchoi99/NANSY)
    "nansy-midi": YingramSettings(22050, 256, 2048, 440 * 2 ** (-64 / 12), 80, 12, "tiled"),
    # bins -5 to 74 of the project's configuration (anonymous-pits/pits)
    "pits": YingramSettings(22050, 256, 2048, 440 * 2 ** (-74 / 24), 80, 24, "tiled"),
}


class Yingram(Frontend):
    """The cumulative mean normalised difference function d' at the lags of a pitch scale: 0 where the sound
    repeats after that lag, about 1 where it does not.

        d(tau)  = sum over j < W - tau of (x[j] - x[j + tau])^2 + floor        (the window shrinks with the
        lag) d'(tau) = d(tau) tau / (sum over 1..tau of d + 1e-8),   d'(0) = 1

    Channels interpolate d' linearly between whole lags. preset: a name in `PRESETS`; settings given beside it
    replace its own. noise_floor: the amplitude (rms; 1 is full scale) of noise that counts as silence. Its
    part in d is 2 W noise_floor^2, which makes silence tend to 1; the published formula has 0 here, and takes
    digital silence for perfectly periodic. The frames are those of a `Mel` of the same rate, hop and frame
    rule.
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
        noise_floor: float = 1e-4,
    ) -> None:
        given: dict[str, Any] = {
            "sample_rate_hz": sample_rate_hz,
            "hop_samples": hop_samples,
            "window_samples": window_samples,
            "low_hz": low_hz,
            "bins": bins,
            "bins_per_octave": bins_per_octave,
            "frame_rule": frame_rule,
        }
        if preset not in PRESETS:
            raise ValueError(f"preset {preset!r} is none of {', '.join(PRESETS)}")
        settings = replace(PRESETS[preset], **{k: v for k, v in given.items() if v is not None})
        _check(settings, noise_floor)
        channels_hz = [settings.low_hz * 2 ** (i / settings.bins_per_octave) for i in range(settings.bins)]
        names = [f"yin {hz:.2f} Hz" for hz in channels_hz]
        super().__init__(settings.sample_rate_hz, settings.hop_samples, settings.frame_rule, names)
        self.settings = settings
        self.noise_floor = noise_floor
        lag = settings.sample_rate_hz / torch.tensor(channels_hz, dtype=torch.float64)
        self.lags = int(lag[0]) + 2  # 0 to one more than the largest lag's whole part
        self.register_buffer("lag_floor", lag.long(), persistent=False)
        self.register_buffer("lag_fraction", lag.frac().float(), persistent=False)

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        window, hop = self.settings.window_samples, self.hop_samples
        left = (window - hop) // 2 if self.frame_rule == "tiled" else window // 2
        padded = pad_reflect(audio, audio_lengths, left, window - left)
        frames = padded.unfold(1, window, hop)[:, :n_frames]
        step = max(1, _CHUNK_SAMPLES.get(audio.device.type, 2**26) // (window * len(audio)))
        chunks = [self._channels(frames[:, i : i + step]) for i in range(0, n_frames, step)]
        return torch.cat(chunks, 1) if chunks else audio.new_zeros(len(audio), 0, self.channels)

    def _channels(self, frames: Tensor) -> Tensor:
        """`[B, S, W]` -> `[B, S, C]`."""
        normalised = normalised_difference(frames, self.lags, self.noise_floor)
        below = normalised.index_select(-1, self.lag_floor)
        above = normalised.index_select(-1, self.lag_floor + 1)
        return torch.lerp(below, above, self.lag_fraction)


def normalised_difference(frames: Tensor, lags: int, noise_floor: float) -> Tensor:
    """YIN's d' of windows `[..., W]` for the lags 0 to lags - 1: `[..., lags]`."""
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
    normalised = difference * lag / (difference.cumsum(-1) + 1e-8)
    return torch.nn.functional.pad(normalised, (1, 0), value=1.0)


def _check(settings: YingramSettings, noise_floor: float) -> None:
    for name, value in asdict(settings).items():
        if name != "frame_rule" and value <= 0:
            raise ValueError(f"{name} is {value}: must be above 0")
    if settings.frame_rule not in FRAME_RULES:
        raise ValueError(f"frame_rule {settings.frame_rule!r} is none of {', '.join(FRAME_RULES)}")
    if settings.hop_samples > settings.window_samples:
        raise ValueError(
            f"hop_samples {settings.hop_samples} is above window_samples {settings.window_samples}"
        )
    high_hz = settings.low_hz * 2 ** ((settings.bins - 1) / settings.bins_per_octave)
    if high_hz > settings.sample_rate_hz / 2:
        raise ValueError(f"bins {settings.bins} reach {high_hz:.0f} Hz, above half the sample rate")
    if math.floor(settings.sample_rate_hz / settings.low_hz) + 2 > settings.window_samples:
        raise ValueError(
            f"low_hz {settings.low_hz:.2f} needs lags beyond window_samples {settings.window_samples}"
        )
    if noise_floor < 0:
        raise ValueError(f"noise_floor is {noise_floor}: must be at least 0")
