"""The echoes of a room, known by how slowly sound dies away in it.

Where a sound ends, what comes straight ends with it, and its echoes die away by as many decibels a second.
In a room nothing grows quiet faster than that. So how far levels fall at most within 48 and within 96 ms says
how loud the echoes are and how long they last, and whether there are any to speak of.

N samples, S frames.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.backends.cpu_threads import compiled

_WINDOW_S, _HOP_S = 0.032, 0.016
_LOWEST_HZ, _HIGHEST_HZ, _BANDS = 200.0, 7000.0, 12
_LOUDEST, _QUIETEST = 0.95, 0.05
_LOUD_DB, _NOISE_DB = 15.0, 5.0  # what falls is at most so far below the loudest, and ends above the quietest
_NEAR, _FAR = 3, 6  # frames: 48 and 96 ms
_FASTEST = 0.95  # of all falls: single ones are chance
_LEAST_FALLS = 25  # of fewer nothing can be said
# Of falls within 48 and within 96 ms, and of what comes straight above its echoes. From the one on there is
# no room to speak of, up to the other there is one. Rooms of 0.4 s whose echoes are 9 dB below what comes
# straight have falls of 15 and 21 dB, recordings made in a studio or a furnished room of 20 and 27 and more.
_NONE_DB, _ALL_DB = np.array([19.0, 26.0, 12.0]), np.array([16.0, 22.0, 8.0])
_ALONE_DB = float(_NONE_DB[1])  # no room lets a level fall so far in 96 ms
# Levels seldom fall all of 48 ms freely: what they fall in a second is so much more than is seen.
_UNSEEN = 1.2
_LONGEST_S = 2.0  # of a hall; what falls no further in 96 ms than in 48 does not die away, but goes on
_LEAST_FALL_DB = 0.5
_FLOOR = 1e-12


@dataclass(frozen=True)
class Echoes:
    """Those of a recording.

    Args:
        decay_s: In which they die away by 60 dB.
        direct_db: How far their energy is below that of what comes straight.
        certainty: From 0 (there may be none) to 1.
    """

    decay_s: float
    direct_db: float
    certainty: float

    def energy(self, energy: NDArray[np.float32], hop_s: float) -> NDArray[np.float32]:
        """The energy of the echoes of all that came before each frame, `[S, bins]`.

        Args:
            energy: `[S, bins]`, of what came straight and its echoes together.
            hop_s: Seconds from one frame to the next.

        Source:
            Lebart, Boucher and Denbigh, "A new method based on spectral subtraction for speech
            dereverberation", 2001: energies that decay; Habets, 2004: below what comes straight.
        """
        decay = 10 ** (-6 * hop_s / self.decay_s)
        part = 10 ** (-self.direct_db / 10) * (1 - decay)
        found = np.empty_like(energy)
        _echoed(energy, decay, part, found)
        return found


def echoes_of(audio: Tensor, sample_rate_hz: int) -> Echoes | None:
    """The echoes of the room that a recording was made in; None if there are none to speak of.

    Args:
        audio: `[N]` float32, without noise.
        sample_rate_hz: Its sample rate.
    """
    near_db, far_db = _falls_db(_levels_db(audio, sample_rate_hz))
    if np.isnan(near_db):
        return None
    at_once_db = max(2 * near_db - far_db, _LEAST_FALL_DB)  # when what comes straight ends
    direct_db = 10 * np.log10(10 ** (at_once_db / 10) - 1)
    seen_db = np.array([near_db, far_db, direct_db])
    certainty = float(((_NONE_DB - seen_db) / (_NONE_DB - _ALL_DB)).min())
    if certainty <= 0:
        return None
    seconds = (_FAR - _NEAR) * _HOP_S
    decay_s = 60 * seconds / (_UNSEEN * max(far_db - near_db, _LEAST_FALL_DB))
    if decay_s > _LONGEST_S:
        return None
    return Echoes(decay_s, float(direct_db), min(certainty, 1.0))


def _levels_db(audio: Tensor, sample_rate_hz: int) -> NDArray[np.float32]:
    """Levels in bands of equal width on a logarithmic scale, `[S, bands]`.

    Not by PyTorch: each of the threads that read recordings would begin as many more as there are processors.
    """
    width, hop = round(_WINDOW_S * sample_rate_hz), round(_HOP_S * sample_rate_hz)
    if len(audio) < width:
        return np.empty((0, _BANDS), np.float32)
    window, first_bins = _window_and_bands(width, sample_rate_hz)
    pieces = np.empty((1 + (len(audio) - width) // hop, width), np.float32)
    _windowed(audio.numpy(), window, hop, pieces)
    level_db = np.empty((len(pieces), _BANDS), np.float32)
    _in_bands_db(scipy.fft.rfft(pieces, overwrite_x=True), first_bins, level_db)
    return level_db


@compiled
def _windowed(audio, window, hop, pieces):  # type: ignore[no-untyped-def]
    """Write the pieces `[S, width]`, each `hop` samples after the last."""
    for frame in range(len(pieces)):
        own = audio[frame * hop : frame * hop + len(window)]
        for i in range(len(window)):
            pieces[frame, i] = own[i] * window[i]


@compiled
def _in_bands_db(spectrum, first_bins, level_db):  # type: ignore[no-untyped-def]
    """Write the energy of each band, `[S, bands]`."""
    for frame in range(len(spectrum)):
        for band in range(level_db.shape[1]):
            energy = np.float32(_FLOOR)
            for value in spectrum[frame, first_bins[band] : first_bins[band + 1]]:
                energy += value.real * value.real + value.imag * value.imag
            level_db[frame, band] = np.float32(10) * np.log10(energy)


@compiled
def _echoed(energy, decay, part, found):  # type: ignore[no-untyped-def]
    """Write what is left, `[S, bins]`, of the frames before, of whose energy this is a part."""
    left = np.zeros(energy.shape[1])
    for frame in range(len(energy)):
        for i in range(len(left)):
            found[frame, i] = max(left[i], 0.0)
            left[i] = (decay - part) * left[i] + part * energy[frame, i]


@cache
def _window_and_bands(width: int, sample_rate_hz: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The window `[width]`; the first bin of each band, and that after the last, `[bands + 1]`."""
    edges_hz = np.geomspace(_LOWEST_HZ, min(_HIGHEST_HZ, 0.45 * sample_rate_hz), _BANDS + 1)
    edges = np.round(edges_hz / sample_rate_hz * width).astype(np.int64)
    edges = np.maximum(edges, edges[0] + np.arange(_BANDS + 1))  # one bin at least
    return torch.hann_window(width).numpy(), edges


@compiled
def _falls_db(level_db):  # type: ignore[no-untyped-def]
    """How far levels `[S, bands]` fall in 48 and in 96 ms where they fall fastest; NaN if none can say."""
    n_frames, n_bands = level_db.shape
    if n_frames <= _FAR:
        return np.nan, np.nan
    falls_db, n_seen = np.empty((2, n_frames * n_bands), np.float32), [0, 0]
    for band in range(n_bands):
        own = level_db[:, band].copy()
        ordered = np.sort(own)
        loud_db, quiet_db = _quantile(ordered, _LOUDEST), _quantile(ordered, _QUIETEST)
        if loud_db - quiet_db <= _ALONE_DB:  # there is too much noise to see anything fall
            continue
        for which, n_later in enumerate((_NEAR, _FAR)):
            for frame in range(n_frames - n_later):
                before, after = own[frame], own[frame + n_later]
                # Noise may hide how far a level fell, but not that it fell further than in any room.
                if before > loud_db - _LOUD_DB and (
                    after > quiet_db + _NOISE_DB or before - after > _ALONE_DB
                ):
                    falls_db[which, n_seen[which]] = before - after
                    n_seen[which] += 1
    if min(n_seen) < _LEAST_FALLS:
        return np.nan, np.nan
    near, far = np.sort(falls_db[0, : n_seen[0]]), np.sort(falls_db[1, : n_seen[1]])
    return _quantile(near, _FASTEST), _quantile(far, _FASTEST)


@compiled
def _quantile(ordered, share):  # type: ignore[no-untyped-def]
    """As `np.quantile`, of values in order."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + np.float32(place - below) * (ordered[above] - ordered[below])
