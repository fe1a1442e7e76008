"""The powers of a sound and of its bands around each frame, on a CPU: one pass over memory for each, where
PyTorch takes a dozen.

B batch, N samples, S speech frames, L levels.
"""

import numpy as np

from mas.backends.cpu_threads import compiled


@compiled
def band_powers(audio, lengths, reaches, window, hop, left, powers):  # type: ignore[no-untyped-def]
    """Write the power around each frame, of the sound and of each band.

    Args:
        audio: float32 `[B, N]`.
        lengths: Samples of each utterance, `[B]`.
        reaches: `[L]`, in samples, from the longest. The sound is what the mean over the first lacks of it; a
            band what the mean over one lacks of that over the next, where 0 stands for the sound itself.
        window: Samples that a power is taken over.
        hop: Samples from one frame to the next.
        left: Samples of the first frame's window before the first sample.
        powers: float32 `[L, B, S]`; written to. 0 where a window holds no sample.
    """
    n_samples = audio.shape[1]
    smoother, rougher = np.empty(n_samples, np.float32), np.empty(n_samples, np.float32)
    sums = np.zeros(n_samples + 1)
    for b in range(len(audio)):
        sound = audio[b, : lengths[b]]
        _mean_around(sound, reaches[0], smoother)
        _powers(sound, smoother, sums, window, hop, left, powers[0, b])
        for level in range(1, len(reaches)):
            _mean_around(sound, reaches[level], rougher)
            _powers(rougher[: len(sound)], smoother, sums, window, hop, left, powers[level, b])
            smoother, rougher = rougher, smoother


@compiled
def _mean_around(sound, reach, means):  # type: ignore[no-untyped-def]
    """The means over the samples up to `reach` away from each; at both ends there are fewer."""
    n, total = len(sound), 0.0
    for i in range(min(reach, n)):
        total += sound[i]
    for i in range(n):
        if i + reach < n:
            total += sound[i + reach]
        if i > reach:
            total -= sound[i - reach - 1]
        means[i] = total / (min(i + reach, n - 1) - max(i - reach, 0) + 1)


@compiled
def _powers(rougher, smoother, sums, window, hop, left, powers):  # type: ignore[no-untyped-def]
    """The mean square of the one less the other over those samples of each window that there are."""
    n = len(rougher)
    for i in range(n):
        difference = rougher[i] - smoother[i]
        sums[i + 1] = sums[i] + difference * difference
    for frame in range(len(powers)):
        first = max(frame * hop - left, 0)
        end = min(frame * hop - left + window, n)
        powers[frame] = (sums[end] - sums[first]) / (end - first) if end > first else 0.0
