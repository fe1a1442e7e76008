"""Steady noise and echoes taken off recordings that have much of them, before anything is computed from them.

Where noise or the echoes of a room are loud, pauses are no longer as quiet as those that an aligner learnt
from, and words drift into them. Recordings with little of both are left exactly as they are.

N samples, S frames.
"""

import numpy as np
import scipy.fft
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from aligner.corpus.rooms import Echoes, echoes_of
from mas.backends.cpu_threads import compiled

_WINDOW_S = 0.032
_HOPS = 4  # in a window
_QUIET_SHARE = 0.1  # of the frames: they are taken for noise alone
_QUIET_S, _LOUD_S = 0.1, 1.0  # the quietest of the frames, whose noise is everywhere, and the loudest
_SPEECH_DB = 10.0  # below the loudest second there is speech, too
# From the one ratio down all noise is taken off, from the other up none: recordings made in a studio or an
# office are above it (TIMIT 33 dB and more), with audible noise most are below.
_ALL_DB, _NONE_DB = 17.0, 22.0
# Of the noise's energy; more than there is on average, since its peaks would be left else. On TIMIT in white
# noise of 10 dB 1 leaves words off by 26 ms, 2 by 20 (Berouti, Schwartz and Makhoul, "Enhancement of speech
# corrupted by acoustic noise", 1979: spectral subtraction, with a floor).
_SUBTRACTED = 2.0
_FLOOR_DB = -20.0  # what is left of what is noise alone
# Of the echoes' energy, for the same reason, and what is left of what is echoes alone. In image sources of a
# room of 0.7 s words of TIMIT are 24.2 ms off with 2 and -12 dB, 22.3 so; the more, the less of weak phones.
_ECHOES_SUBTRACTED, _ECHOES_FLOOR_DB = 3.0, -16.0
_SMOOTH_FRAMES = 3
_QUIET_FRAMES = 9
_STRETCH_S = 60.0  # a long recording in parts: noise changes, and spectra are large
_LEAST_S = 0.5  # of less nobody can tell speech from noise


def signal_to_noise_db(audio: Tensor, sample_rate_hz: int) -> float:
    """How much louder the speech of a recording is than its quietest tenth of a second, in dB.

    Neither depends on how much silence or noise stands before, between and after the speech: what is not
    there in the quietest moment is no steady noise. Infinite for digital silence.

    Args:
        audio: `[N]`.
        sample_rate_hz: Its sample rate.
    """
    width = round(_WINDOW_S * sample_rate_hz)
    n_frames = len(audio) // width
    if n_frames * _WINDOW_S < _LEAST_S:
        return float("inf")
    energy = np.empty(n_frames)
    _variances(audio.numpy(), width, energy)
    energy.sort()
    quiet, loud = (max(1, min(round(s / _WINDOW_S), len(energy) // 2)) for s in (_QUIET_S, _LOUD_S))
    speech = energy[energy >= energy[-loud:].mean() * 10 ** (-_SPEECH_DB / 10)].mean()
    noise = energy[:quiet].mean()
    return float(10 * np.log10(speech / noise)) if noise > 0 else float("inf")


@compiled
def _variances(audio, width, variances):  # type: ignore[no-untyped-def]
    """Write the variance of each `width` samples, `[S]`."""
    for frame in range(len(variances)):
        own = audio[frame * width : (frame + 1) * width]
        offset, total, squares = np.float64(own[0]), 0.0, 0.0  # about which there is little to cancel
        for sample in own:
            difference = sample - offset
            total += difference
            squares += difference * difference
        variances[frame] = (squares - total * total / width) / width


def without_noise(audio: Tensor, sample_rate_hz: int) -> Tensor:
    """The recording, `[N]`, without its steady noise and its echoes if there is much of them; else the same
    tensor.

    Args:
        audio: `[N]` float32, on the CPU.
        sample_rate_hz: Its sample rate.
    """
    ratio_db = signal_to_noise_db(audio, sample_rate_hz)
    share = min(max((_NONE_DB - ratio_db) / (_NONE_DB - _ALL_DB), 0.0), 1.0)
    stretches = audio.tensor_split(max(1, round(len(audio) / (_STRETCH_S * sample_rate_hz))))
    cleaned = [_cleaned(own, sample_rate_hz, _SUBTRACTED * share) for own in stretches]
    return audio if all(a is b for a, b in zip(cleaned, stretches, strict=True)) else torch.cat(cleaned)


def _cleaned(audio: Tensor, sample_rate_hz: int, subtracted: float) -> Tensor:
    """A stretch without so many times its noise, and without its echoes."""
    quiet = _subtracted(audio, sample_rate_hz, subtracted, None) if subtracted else audio
    echoes = echoes_of(quiet, sample_rate_hz)
    return quiet if echoes is None else _subtracted(audio, sample_rate_hz, subtracted, echoes)


def _subtracted(audio: Tensor, sample_rate_hz: int, subtracted: float, echoes: Echoes | None) -> Tensor:
    """Not by PyTorch: each of the threads that read recordings would begin as many more as there are
    processors.
    """
    width = round(_WINDOW_S * sample_rate_hz)
    hop, window = width // _HOPS, torch.hann_window(width).numpy()
    padded = np.pad(audio.numpy(), width // 2, mode="reflect")
    spectrum = scipy.fft.rfft(sliding_window_view(padded, width)[::hop] * window)  # [S, bins]
    energy = spectrum.real**2 + spectrum.imag**2
    noise, floor_db = np.zeros(energy.shape[1], np.float32), _FLOOR_DB
    if subtracted:
        level = _smoothed(energy.sum(1, keepdims=True), _QUIET_FRAMES)[:, 0]
        quiet = level.argsort(kind="stable")[: max(1, round(_QUIET_SHARE * len(level)))]
        noise = energy[quiet].mean(0)
    energy = _smoothed(energy, _SMOOTH_FRAMES)
    unwanted = np.float32(subtracted) * noise
    if echoes is not None:
        floor_db = _ECHOES_FLOOR_DB + (_FLOOR_DB - _ECHOES_FLOOR_DB) * subtracted / _SUBTRACTED
        reflected = echoes.energy(np.maximum(energy - noise, 0.0), hop / sample_rate_hz)
        unwanted = unwanted + np.float32(_ECHOES_SUBTRACTED * echoes.certainty) * reflected
    left = 1 - unwanted / np.maximum(energy, np.finfo(np.float32).tiny)
    spectrum *= np.sqrt(np.maximum(left, np.float32(10 ** (floor_db / 10))))
    found = _overlapped(scipy.fft.irfft(spectrum, width) * window, hop, len(padded))
    weight = _overlapped(np.broadcast_to(window**2, (len(spectrum), width)), hop, len(padded))
    inside = slice(width // 2, width // 2 + len(audio))
    return torch.from_numpy(found[inside] / weight[inside])


def _overlapped(pieces: NDArray[np.float32], hop: int, n_samples: int) -> NDArray[np.float32]:
    """The sum of pieces `[S, width]`, each `hop` samples after the last; a width is `_HOPS` of these."""
    total = np.zeros(n_samples, np.float32)
    for first in range(_HOPS):  # of each fourth piece none overlaps another
        own = pieces[first::_HOPS, : _HOPS * hop].ravel()
        total[first * hop : first * hop + len(own)] += own
    return total


def _smoothed(rows: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """The mean over so many frames around each, `[S, columns]`; fewer at the ends."""
    around = ((n_frames // 2, n_frames // 2), (0, 0))
    sums = sliding_window_view(np.pad(rows, around), n_frames, axis=0).sum(-1)
    counts = sliding_window_view(np.pad(np.ones_like(rows[:, :1]), around), n_frames, axis=0).sum(-1)
    return sums / counts
