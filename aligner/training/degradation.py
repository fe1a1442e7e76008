"""Rooms and noise, an augmentation for training: the same words at the same times, recorded less well.

N samples, on the CPU.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.corpus.noise import without_noise
from aligner.training.augmentation import Augmentation

Sound = NDArray[np.float64]

_VOICES = 8  # of babble
_FASTEST = 1.25  # of them, and 1 over it the slowest: of one recording there are then several voices


@dataclass(frozen=True)
class Degradation(Augmentation):
    """A room with some chance, and noise with some chance, drawn anew for each recording.

    Noise is of any colour from white to brown, or babble, which is made of the recording itself. The room's
    echoes are noise that decays. Levels and times are drawn evenly, the latter on a logarithmic scale.

    Args:
        room_share: How many recordings are put into a room, of 1.
        room_s: The shortest and the longest time in which its echoes decay by 60 dB.
        direct_db: How far the energy of the echoes is below that of what comes straight, least and most.
        noise_share: How many get noise, of 1.
        babble_share: How many of these get babble, of 1.
        level_db: How far the noise is below the recording, least and most.

    Raises:
        ValueError: A share is not in 0..1; a least is above its most; a room without length.
    """

    room_share: float = 0.5
    room_s: tuple[float, float] = (0.2, 0.8)
    direct_db: tuple[float, float] = (0.0, 9.0)
    noise_share: float = 0.5
    babble_share: float = 0.5
    level_db: tuple[float, float] = (5.0, 25.0)

    def __post_init__(self) -> None:
        for name in ("room_share", "noise_share", "babble_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: must be in 0..1")
        for name in ("room_s", "direct_db", "level_db"):
            least, most = getattr(self, name)
            if not least <= most:
                raise ValueError(f"{name} is {least} to {most}: the least must not be above the most")
        if self.room_s[0] <= 0:
            raise ValueError(f"room_s begins with {self.room_s[0]}: must be above 0")

    def __call__(
        self, audio: Tensor, sample_rate_hz: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """As of every augmentation: the recording recorded less well."""
        seed = int(torch.randint(2**31, (), generator=generator))
        draw = np.random.default_rng(seed)
        sound = audio.double().numpy()
        if draw.random() < self.room_share:
            room_s = float(np.exp(draw.uniform(*np.log(self.room_s))))
            sound = in_a_room(sound, sample_rate_hz, room_s, draw.uniform(*self.direct_db), draw)
        if draw.random() < self.noise_share:
            kind = _babble if draw.random() < self.babble_share else _coloured
            sound = with_noise(sound, kind(sound, draw), draw.uniform(*self.level_db))
        return without_noise(torch.from_numpy(sound).float(), sample_rate_hz)


def in_a_room(
    sound: Sound, rate_hz: int, room_s: float, direct_db: float, draw: np.random.Generator
) -> Sound:
    """The sound `[N]` with echoes: white noise that decays by 60 dB in `room_s` seconds.

    Args:
        sound: What comes straight, without delay.
        rate_hz: Its sample rate.
        room_s: Seconds.
        direct_db: How far the energy of the echoes is below that of what comes straight.
        draw: The room.
    """
    from scipy.signal import fftconvolve

    decay = 10 ** (-3 * np.arange(1, round(room_s * rate_hz)) / (room_s * rate_hz))
    echoes = draw.standard_normal(len(decay)) * decay
    echoes *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(echoes**2))
    return fftconvolve(sound, np.concatenate([[1.0], echoes]))[: len(sound)]


def with_noise(sound: Sound, noise: Sound, level_db: float) -> Sound:
    """The sound `[N]` with noise `[N]` so far below it in energy, both over the whole of it."""
    energy = np.mean(sound**2) / max(np.mean(noise**2), np.finfo(float).tiny)
    return sound + noise * np.sqrt(energy / 10 ** (level_db / 10))


def _coloured(sound: Sound, draw: np.random.Generator) -> Sound:
    """Noise between white and brown, as long as the sound."""
    spectrum = np.fft.rfft(draw.standard_normal(len(sound)))
    tilt = np.maximum(np.arange(len(spectrum)), 1.0) ** -draw.uniform(0.0, 1.0)
    return np.fft.irfft(spectrum * tilt, len(sound))


def _babble(sound: Sound, draw: np.random.Generator) -> Sound:
    """The recording itself several times, each from another place and at another speed."""
    place = np.arange(len(sound))
    total = np.zeros(len(sound))
    for _ in range(_VOICES):
        speed = _FASTEST ** draw.uniform(-1.0, 1.0)
        total += np.interp((place * speed + draw.integers(len(sound))) % len(sound), place, sound)
    return total
