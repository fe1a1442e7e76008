"""Log-mel spectrogram and cepstra (MFCCs), with deltas.

B batch, N samples, S speech frames, C channels.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
import torch
import torchaudio.functional as AF
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from aligner.alignment import FrameGrid, FrameRule
from aligner.frontends.base import Frontend, pad_reflect

# Samples in the windows that are transformed at once: on a CPU what its cache holds, elsewhere 128 MB.
_CHUNK = {True: 2**18, False: 2**24}
# Of Slaney's scale: hertz a mel up to the knee, and the logarithm of a mel's step above it.
_LINEAR_HZ, _KNEE_HZ, _LOG_STEP = 200 / 3, 1000.0, float(np.log(6.4) / 27)


@dataclass(frozen=True)
class MelSettings:
    """The settings of a `Mel`, which explains them.

    Raises:
        ValueError: For settings that cannot be.
        AlignerError: For an unknown frame rule.
    """

    sample_rate_hz: int
    n_fft: int
    hop_samples: int
    window_samples: int
    mels: int
    fmin_hz: float
    fmax_hz: float
    frame_rule: FrameRule
    power: float = 1.0
    floor: float = 1e-5
    cepstra: int = 0
    lifter: float = 22.0
    deltas: int = 0
    delta_width: int = 2
    log_mels: bool = False

    @property
    def grid(self) -> FrameGrid:
        """Where the frames lie."""
        return FrameGrid(self.hop_samples, self.sample_rate_hz, self.frame_rule)

    def __post_init__(self) -> None:
        for name in ("sample_rate_hz", "n_fft", "hop_samples", "window_samples", "mels", "power", "floor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: must be above 0")
        if self.lifter < 0:
            raise ValueError(f"lifter is {self.lifter}: must be at least 0 (none)")
        if not self.hop_samples <= self.n_fft >= self.window_samples:
            raise ValueError(
                f"n_fft ({self.n_fft}) must be at least hop_samples ({self.hop_samples}) "
                f"and window_samples ({self.window_samples})"
            )
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"fmin_hz {self.fmin_hz} and fmax_hz {self.fmax_hz} must rise and lie in "
                f"0..{self.sample_rate_hz / 2}, half the sample rate"
            )
        if not 0 <= self.cepstra <= self.mels:
            raise ValueError(
                f"cepstra is {self.cepstra}: must be 0 (none) to {self.mels}, the number of mel bands"
            )
        if self.deltas not in (0, 1, 2) or self.delta_width < 1:
            raise ValueError(
                f"deltas ({self.deltas}) must be 0, 1 or 2 and delta_width ({self.delta_width}) at least 1"
            )
        _ = self.grid  # raises for an unknown rule


# jik876/hifi-gan, config_v1.json and meldataset.py, whose floor is 1e-5. (HiFi-GAN and VITS also add 1e-9 and
# 1e-6 to the power before the root; this does not.)
_HIFIGAN = MelSettings(22050, 1024, 256, 1024, 80, 0.0, 8000.0, "same")
# NVIDIA/tacotron2, hparams.py and layers.py: the same spectrum, frames of an STFT with center=True
_TACOTRON2 = replace(_HIFIGAN, frame_rule="center")

PRESETS = {
    "hifigan": _HIFIGAN,
    "vits": _HIFIGAN,
    "matcha": _HIFIGAN,
    "tacotron2": _TACOTRON2,
    "fastspeech2": _TACOTRON2,
    # 25 ms windows every 10 ms, as in HTK and Kaldi, and all of the spectrum
    "16k-10ms": MelSettings(16000, 512, 160, 400, 80, 0.0, 8000.0, "same"),
    # The recipe (configs/ljspeech.yaml). Measurements: recipes/ljspeech/README.md. Where no alternative is
    # named below, none is on record.
    "aligner-16k": MelSettings(
        sample_rate_hz=16000,  # TIMIT's; all bands up to fmax_hz lie below half of it
        n_fft=512,  # the next power of two above the window
        hop_samples=160,  # 10 ms; 5 ms were no better
        window_samples=320,  # 20 ms, chosen among 16, 20 and 25 ms
        mels=40,  # chosen among 20 to 80
        fmin_hz=20.0,  # with fmax_hz as Kaldi's mfcc_hires.conf
        fmax_hz=7600.0,
        frame_rule="center",  # frames at both ends of the audio
        power=2.0,  # power spectrum, as Kaldi's cepstra
        floor=1e-8,  # makes the log of digital silence -18.4 instead of minus infinity
        cepstra=13,  # chosen among 5 to 20; a feature stream may take fewer of them
        lifter=22.0,  # HTK's and Kaldi's
        deltas=2,  # chosen: 1 or 2
        delta_width=2,  # HTK's and Kaldi's
        log_mels=True,  # without the stream of log-mels words are 15.0 ms off instead of 14.5
    ),
}


class Mel(Frontend):
    """Log-mel spectrogram or cepstra (MFCCs), with deltas.

    Mel bands are Slaney's triangles of unit area, librosa's default.

    Args:
        preset: Settings of a known model: hifigan, vits, matcha, tacotron2, fastspeech2, 16k-10ms (80 bands,
            25 ms windows) or aligner-16k (the recipe). Each setting given beside it replaces the preset's.
        sample_rate_hz: Sample rate of the audio.
        n_fft: Samples of the FFT, at least hop and window.
        hop_samples: Samples from one frame to the next.
        window_samples: Samples of the Hann window.
        mels: Number of mel bands.
        fmin_hz: Lower end of the lowest band.
        fmax_hz: Upper end of the highest band, at most half the sample rate.
        frame_rule: Where the frames lie: "center", "center_drop_last" or "same", see `FrameGrid`.
        power: 1 for the magnitude spectrum, 2 for power.
        floor: The least band value before the natural log.
        cepstra: Number of cepstra (orthonormal DCT-II of the log-mels), 0 for log-mels alone.
        lifter: Cepstrum i is multiplied by 1 + lifter/2 sin(pi i / lifter), as in Kaldi and HTK; 0 for none.
        deltas: Orders of derivatives beside the features: 0, 1 or 2.
        delta_width: Frames either side that a derivative is a regression over.
        log_mels: Keep the log-mels too, after the cepstra.
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
        power: float | None = None,
        floor: float | None = None,
        cepstra: int | None = None,
        lifter: float | None = None,
        deltas: int | None = None,
        delta_width: int | None = None,
        log_mels: bool | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"preset {preset!r} is none of {', '.join(PRESETS)}")
        given = {
            "sample_rate_hz": sample_rate_hz,
            "n_fft": n_fft,
            "hop_samples": hop_samples,
            "window_samples": window_samples,
            "mels": mels,
            "fmin_hz": fmin_hz,
            "fmax_hz": fmax_hz,
            "frame_rule": frame_rule,
            "power": power,
            "floor": floor,
            "cepstra": cepstra,
            "lifter": lifter,
            "deltas": deltas,
            "delta_width": delta_width,
            "log_mels": log_mels,
        }
        stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        settings = replace(PRESETS[preset], **stated)
        filterbank = mel_filterbank(settings)
        super().__init__(settings.grid, _channel_names(settings, filterbank))
        self.settings = settings
        # float64 (where the device has it), as librosa: 1e-7 of a loud bin is 1e-3 of a quiet one's log, and
        # float32 products are rounded further where tf32 is allowed
        self.precision = torch.float64
        self.register_buffer("filterbank", filterbank, persistent=False)
        self.register_buffer("dct", _dct(settings), persistent=False)

    def configuration(self) -> dict[str, Any]:
        """As `Configurable.configuration`, with the settings that the preset stood for."""
        configuration = super().configuration()
        configuration["init_args"] |= asdict(self.settings)
        return configuration

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`."""
        if n_frames == 0:
            return audio.new_zeros(audio.shape[0], 0, self.channels)
        settings = self.settings
        precision = torch.float32 if audio.device.type == "mps" else self.precision
        window = torch.hann_window(settings.window_samples, dtype=precision, device=audio.device)
        left = (settings.n_fft - settings.window_samples) // 2
        window = F.pad(window, (left, settings.n_fft - settings.window_samples - left))
        padded = pad_reflect(audio, audio_lengths, *self.grid.padding(settings.n_fft))
        pieces = padded.unfold(1, settings.n_fft, settings.hop_samples)[:, :n_frames]
        features = audio.new_empty(len(audio), n_frames, self.channels // (settings.deltas + 1))
        frames = max(1, _CHUNK[audio.device.type == "cpu"] // (len(audio) * settings.n_fft))
        for own, result in zip(pieces.split(frames, 1), features.split(frames, 1), strict=True):
            result.copy_(self._statics(torch.fft.rfft(own * window)))
        speech_lengths = self.frame_count(audio_lengths)
        return add_deltas(features, speech_lengths, settings.deltas, settings.delta_width)

    def _statics(self, spectrum: Tensor) -> Tensor:
        """The features of frames, deltas aside, from their spectrum `[..., bins]`."""
        settings = self.settings
        if settings.power == 2.0:
            magnitude = spectrum.real.square().add_(spectrum.imag.square())  # abs() takes ten times as long
        else:
            magnitude = spectrum.abs() if settings.power == 1.0 else spectrum.abs() ** settings.power
        features = (magnitude @ self.filterbank.to(magnitude.dtype)).clamp(min=settings.floor).log()
        if settings.cepstra:
            cepstra = features @ self.dct.to(features.dtype)
            features = torch.cat([cepstra, features], -1) if settings.log_mels else cepstra
        return features


def mel_filterbank(settings: MelSettings) -> Tensor:
    """Weights of the mel bands, `[n_fft // 2 + 1, mels]`: librosa's to the last bit, without importing it.

    That takes a second, a quarter of the time in which one recording is aligned. torchaudio's are computed in
    float32, and the difference of two large frequencies costs the log-mels of narrow bands up to 6e-5.

    Args:
        settings: Sample rate, FFT and bands.

    Source:
        `librosa.filters.mel`, with the scale and norm of Slaney's Auditory Toolbox, 1998.
    """
    edges_hz = _hz(np.linspace(_mel(settings.fmin_hz), _mel(settings.fmax_hz), settings.mels + 2))
    bins_hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate_hz)
    width_hz = np.diff(edges_hz)[:, None]
    rising = (bins_hz - edges_hz[:-2, None]) / width_hz[:-1]
    falling = (edges_hz[2:, None] - bins_hz) / width_hz[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    weights = triangles * (2 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return torch.from_numpy(weights.T.copy()).float()


def _mel(hz: float) -> float:
    """A frequency on Slaney's scale: linear up to 1 kHz, logarithmic above."""
    return hz / _LINEAR_HZ if hz < _KNEE_HZ else _KNEE_HZ / _LINEAR_HZ + np.log(hz / _KNEE_HZ) / _LOG_STEP


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_mel`."""
    knee = _KNEE_HZ / _LINEAR_HZ
    return np.where(mel >= knee, _KNEE_HZ * np.exp(_LOG_STEP * (mel - knee)), _LINEAR_HZ * mel)


def add_deltas(features: Tensor, lengths: Tensor, orders: int, width: int) -> Tensor:
    """Features followed by their regression derivatives, `[B, S, C * (orders + 1)]`.

    The first and last frame of each utterance are repeated beyond its ends.

    Args:
        features: `[B, S, C]`.
        lengths: Frames of each utterance, `[B]`.
        orders: Derivatives to add: 1 for deltas, 2 for their deltas too, 0 for none.
        width: Frames either side.

    Source:
        The HTK book, 5.6; torchaudio's `compute_deltas`.
    """
    stack = [features]
    frames = torch.arange(features.shape[1], device=features.device)
    inside = torch.minimum(frames, (lengths - 1).clamp(min=0)[:, None])[..., None]
    for _ in range(orders):
        repeated = stack[-1].gather(1, inside.expand_as(stack[-1]))
        stack.append(AF.compute_deltas(repeated.mT, 2 * width + 1, mode="replicate").mT)
    return torch.cat(stack, -1) if orders else features


def _dct(settings: MelSettings) -> Tensor:
    """`[mels, cepstra]`; log-mels times this are the liftered cepstra."""
    cepstra, lifter = settings.cepstra, settings.lifter
    if not cepstra:
        return torch.empty(0)
    order = np.arange(cepstra)
    gain = 1 + lifter / 2 * np.sin(np.pi * order / lifter) if lifter else np.ones(cepstra)
    return torch.from_numpy(scipy.fft.dct(np.eye(settings.mels), norm="ortho")[:, :cepstra] * gain).float()


def _channel_names(settings: MelSettings, filterbank: Tensor) -> list[str]:
    peak_hz = filterbank.argmax(0) * (settings.sample_rate_hz / 2 / (len(filterbank) - 1))
    statics = [f"c{i}" for i in range(settings.cepstra)]
    if settings.log_mels or not settings.cepstra:
        statics += [f"mel {hz:.0f} Hz" for hz in peak_hz.tolist()]
    return [prefix + name for prefix in ("", "delta ", "delta2 ")[: settings.deltas + 1] for name in statics]
