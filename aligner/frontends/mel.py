"""Log-mel spectrogram or cepstra, with deltas.

B batch, N samples, S speech frames, C channels.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
import torch
import torchaudio.functional as AF
from torch import Tensor

from aligner.alignment import FRAME_RULES, FrameRule
from aligner.frontends.base import Frontend, pad_reflect


@dataclass(frozen=True)
class MelSettings:
    """One short-time spectrum. frame_rule: see `aligner.alignment.FrameGrid`."""

    sample_rate_hz: int
    n_fft: int
    hop_samples: int
    window_samples: int
    mels: int
    fmin_hz: float
    fmax_hz: float
    frame_rule: FrameRule


_HIFIGAN = MelSettings(22050, 1024, 256, 1024, 80, 0.0, 8000.0, "tiled")
_TACOTRON2 = replace(_HIFIGAN, frame_rule="centred")

PRESETS = {
    "hifigan": _HIFIGAN,
    "vits": _HIFIGAN,
    "matcha": _HIFIGAN,
    "tacotron2": _TACOTRON2,
    "fastspeech2": _TACOTRON2,
    "16k-10ms": MelSettings(16000, 512, 160, 400, 80, 0.0, 8000.0, "tiled"),
}


class Mel(Frontend):
    """Log of the magnitude spectrogram in mel bands (Slaney's scale and areas, as librosa's default).

    preset: a name in `PRESETS`, with the frame rule of the project it is named after; settings given beside
    it replace the preset's own. (HiFi-GAN and VITS add 1e-9 and 1e-6 to the power before the root, this does
    not.)
    power: 1 for magnitudes, 2 for power. floor: the least band value before the natural log.
    cepstra: 0 for log-mels, otherwise the number of MFCCs: orthonormal DCT-II, liftered as in Kaldi and HTK,
    1 + lifter/2 sin(pi i / lifter); lifter 0 for none. log_mels: the log-mels too, after the cepstra.
    deltas: 0, 1 or 2 orders of HTK's regression over `delta_width` frames either side, the edge frame
    repeated.
    """

    filterbank: Tensor
    dct: Tensor

    def __init__(
        self,
        preset: str = "hifigan",
        sample_rate_hz: int | None = None,
        n_fft: int | None = None,
        hop_samples: int | None = None,
        window_samples: int | None = None,
        mels: int | None = None,
        fmin_hz: float | None = None,
        fmax_hz: float | None = None,
        frame_rule: FrameRule | None = None,
        power: float = 1.0,
        floor: float = 1e-5,
        cepstra: int = 0,
        lifter: float = 22.0,
        deltas: int = 0,
        delta_width: int = 2,
        log_mels: bool = False,
    ) -> None:
        given = {
            "sample_rate_hz": sample_rate_hz,
            "n_fft": n_fft,
            "hop_samples": hop_samples,
            "window_samples": window_samples,
            "mels": mels,
            "fmin_hz": fmin_hz,
            "fmax_hz": fmax_hz,
            "frame_rule": frame_rule,
        }
        settings = _settings(preset, given)
        _check_options(settings, power, floor, cepstra, lifter, deltas, delta_width)
        # "tiled" with odd n_fft - hop: the extra sample goes to the right, as in (n_fft - hop) // 2 elsewhere
        self.pad_left = (
            (settings.n_fft - settings.hop_samples) // 2
            if settings.frame_rule == "tiled"
            else settings.n_fft // 2
        )
        filterbank = mel_filterbank(settings)
        super().__init__(
            settings.sample_rate_hz,
            settings.hop_samples,
            settings.frame_rule,
            _channel_names(filterbank, settings.sample_rate_hz, cepstra, log_mels, deltas),
        )
        self.settings = settings
        self.power, self.floor = power, floor
        self.cepstra, self.log_mels = cepstra, log_mels
        self.deltas, self.delta_width = deltas, delta_width
        self.register_buffer("filterbank", filterbank, persistent=False)
        self.register_buffer("dct", _dct(cepstra, settings.mels, lifter), persistent=False)

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        if n_frames == 0:
            return audio.new_zeros(audio.shape[0], 0, self.channels)
        settings = self.settings
        pad_right = (
            settings.n_fft - self.pad_left
        )  # up to a hop more than needed; the surplus frame is cut off
        # float64 (where the device has it), as librosa: 1e-7 of a loud bin is 1e-3 of a quiet one's log, and
        # float32 products are rounded further where tf32 is allowed
        precision = torch.float32 if audio.device.type == "mps" else torch.float64
        padded = pad_reflect(audio.to(precision), audio_lengths, self.pad_left, pad_right)
        spectrum = torch.stft(
            padded,
            settings.n_fft,
            settings.hop_samples,
            settings.window_samples,
            torch.hann_window(settings.window_samples, dtype=precision, device=audio.device),
            center=False,
            return_complex=True,
        )[..., :n_frames]
        magnitude = spectrum.abs() if self.power == 1.0 else spectrum.abs() ** self.power
        features = (magnitude.mT @ self.filterbank.to(precision)).clamp(min=self.floor).log()
        if self.cepstra:
            cepstra = features @ self.dct.to(precision)
            features = torch.cat([cepstra, features], -1) if self.log_mels else cepstra
        return add_deltas(features.float(), self.frame_count(audio_lengths), self.deltas, self.delta_width)


def mel_filterbank(settings: MelSettings) -> Tensor:
    """Slaney's triangles of unit area, `[n_fft // 2 + 1, mels]`: `librosa.filters.mel`, transposed.

    In float64 until the end: torchaudio's are computed in float32, and the difference of two large
    frequencies costs the log-mels of narrow bands up to 6e-5.
    """
    bins_hz = torch.linspace(0, settings.sample_rate_hz / 2, settings.n_fft // 2 + 1, dtype=torch.float64)
    low, high = (_hz_to_mel(hz) for hz in (settings.fmin_hz, settings.fmax_hz))
    edges_hz = _mel_to_hz(torch.linspace(low, high, settings.mels + 2, dtype=torch.float64))
    width_hz = edges_hz.diff()
    rising = (bins_hz[:, None] - edges_hz[:-2]) / width_hz[:-1]
    falling = (edges_hz[2:] - bins_hz[:, None]) / width_hz[1:]
    area = 2 / (edges_hz[2:] - edges_hz[:-2])
    return (torch.minimum(rising, falling).clamp(min=0) * area).float()


# Slaney's scale: 3 mels in 200 Hz up to 1 kHz (15 mels), above that 27 mels in a factor of 6.4
_LOG_STEP = math.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) / _LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * _LOG_STEP))


def add_deltas(features: Tensor, lengths: Tensor, orders: int, width: int) -> Tensor:
    """features `[B, S, C]` followed by `orders` regression derivatives of them: `[B, S, C * (orders + 1)]`.

    The first and last frame of each utterance are repeated beyond its ends (HTK book 5.6; torchaudio).
    """
    stack = [features]
    frames = torch.arange(features.shape[1], device=features.device)
    inside = torch.minimum(frames, (lengths - 1).clamp(min=0)[:, None])[..., None]
    for _ in range(orders):
        repeated = stack[-1].gather(1, inside.expand_as(stack[-1]))
        stack.append(AF.compute_deltas(repeated.mT, 2 * width + 1, mode="replicate").mT)
    return torch.cat(stack, -1) if orders else features


def _settings(preset: str, given: dict[str, Any]) -> MelSettings:
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r} is none of {', '.join(PRESETS)}")
    settings = replace(PRESETS[preset], **{name: value for name, value in given.items() if value is not None})
    if settings.frame_rule not in FRAME_RULES:
        raise ValueError(f"frame_rule {settings.frame_rule!r} is none of {', '.join(FRAME_RULES)}")
    for name, value in asdict(settings).items():
        if name not in ("fmin_hz", "frame_rule") and value <= 0:
            raise ValueError(f"{name} is {value}: must be above 0")
    if not settings.hop_samples <= settings.n_fft >= settings.window_samples:
        raise ValueError(
            f"n_fft ({settings.n_fft}) must be at least hop_samples ({settings.hop_samples}) "
            f"and window_samples ({settings.window_samples})"
        )
    if not 0 <= settings.fmin_hz < settings.fmax_hz <= settings.sample_rate_hz / 2:
        raise ValueError(
            f"fmin_hz {settings.fmin_hz} and fmax_hz {settings.fmax_hz} must rise and lie in "
            f"0..{settings.sample_rate_hz / 2}, half the sample rate"
        )
    return settings


def _check_options(
    settings: MelSettings,
    power: float,
    floor: float,
    cepstra: int,
    lifter: float,
    deltas: int,
    delta_width: int,
) -> None:
    if power <= 0 or floor <= 0 or lifter < 0:
        raise ValueError(
            f"power ({power}) and floor ({floor}) must be above 0, lifter ({lifter}) not below 0"
        )
    if not 0 <= cepstra <= settings.mels:
        raise ValueError(
            f"cepstra is {cepstra}: must be 0 (none) to {settings.mels}, the number of mel bands"
        )
    if deltas not in (0, 1, 2) or delta_width < 1:
        raise ValueError(f"deltas ({deltas}) must be 0, 1 or 2 and delta_width ({delta_width}) at least 1")


def _dct(cepstra: int, mels: int, lifter: float) -> Tensor:
    """`[mels, cepstra]`; log-mels times this are the liftered cepstra."""
    if not cepstra:
        return torch.empty(0)
    order = np.arange(cepstra)
    gain = 1 + lifter / 2 * np.sin(np.pi * order / lifter) if lifter else np.ones(cepstra)
    return torch.from_numpy(scipy.fft.dct(np.eye(mels), norm="ortho")[:, :cepstra] * gain).float()


def _channel_names(
    filterbank: Tensor, sample_rate_hz: int, cepstra: int, log_mels: bool, deltas: int
) -> list[str]:
    peak_hz = filterbank.argmax(0) * (sample_rate_hz / 2 / (len(filterbank) - 1))
    statics = [f"c{i}" for i in range(cepstra)]
    if log_mels or not cepstra:
        statics += [f"mel {hz:.0f} Hz" for hz in peak_hz.tolist()]
    return [prefix + name for prefix in ("", "delta ", "delta2 ")[: deltas + 1] for name in statics]
