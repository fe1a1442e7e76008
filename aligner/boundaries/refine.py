"""Boundaries between phones, finer than a frame: where the spectrum changes most near what the search found.

The search decides on frames of 10 ms and 20 ms wide, and where one mixture becomes likelier than the next is
not where a person puts a boundary. A person looks for the fastest change; so does this.

N samples, S fine frames, T text tokens.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.alignment import FrameGrid
from aligner.frontends.mel import Mel
from aligner.text.transcript import PAUSE, Tokens

# These were chosen on TIMIT and synthetic speech, see recipes/ljspeech/ABLATIONS.md.
_STEP_S = 0.0025  # of the fine frames
_WINDOW_S = 0.016  # of the fine frames: short, since a change is looked for
_FFT_S = 0.032
_MELS, _LOWEST_HZ, _HIGHEST_HZ = 26, 50.0, 7600.0
_SIDE_FRAMES = 8  # 20 ms either side are compared
# Changes are weighed by a Gaussian over their distance from the found boundary, of this deviation. None is
# taken from further away than _REACH_S.
_SPREAD_S = 0.015
_REACH_S = 0.030
_LEAST_CHANGE = 1e-3  # keeps the log of no change finite


class BoundaryRefiner:
    """Moves boundaries between phones; those at pauses are left to `pauses.fit_pauses_to_loudness`.

    Args:
        sample_rate_hz: Of the audio.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._grid = FrameGrid(round(sample_rate_hz * _STEP_S), sample_rate_hz, "center")
        self._mel = Mel(
            preset="16k-10ms",
            sample_rate_hz=sample_rate_hz,
            n_fft=2 ** int(np.ceil(np.log2(_FFT_S * sample_rate_hz))),
            hop_samples=self._grid.hop_samples,
            window_samples=round(_WINDOW_S * sample_rate_hz),
            mels=_MELS,
            fmin_hz=_LOWEST_HZ,
            fmax_hz=min(_HIGHEST_HZ, sample_rate_hz / 2),
            frame_rule="center",
            power=2.0,
            floor=1e-8,
        )

    def change(self, audio: Tensor) -> NDArray[np.float64]:
        """How fast the spectrum changes at each boundary between fine frames, `[S + 1]`.

        The difference of the log-mels of the 20 ms after it from those of the 20 ms before it; 0 too near the
        ends.

        Args:
            audio: `[N]`.
        """
        with torch.inference_mode():
            features, _ = self._mel.to(audio.device)(audio[None], torch.tensor([len(audio)]))
        sums = torch.nn.functional.pad(features[0].double().cumsum(0), (0, 0, 1, 0))
        change = torch.zeros(len(sums), dtype=torch.float64, device=audio.device)
        side = _SIDE_FRAMES
        if len(sums) > 2 * side:
            middle = sums[side:-side]
            difference = (sums[2 * side :] - middle) - (middle - sums[: -2 * side])
            change[side:-side] = (difference / side).square().mean(1).sqrt()
        return change.cpu().numpy()

    def refine(self, tokens: Tokens, boundaries_s: NDArray[np.float64], audio: Tensor) -> NDArray[np.float64]:
        """The boundaries with those between phones moved by at most 30 ms, never past the middle of a phone.

        Args:
            tokens: T tokens.
            boundaries_s: `[T + 1]`.
            audio: `[N]`.
        """
        change = np.log(self.change(audio) + _LEAST_CHANGE)
        times_s = self._grid.boundary_s(np.arange(len(change)))
        refined = boundaries_s.copy()
        spoken = [t for t in range(len(tokens)) if boundaries_s[t + 1] > boundaries_s[t]]
        for before, after in zip(spoken, spoken[1:], strict=False):
            if PAUSE in (tokens.symbols[before], tokens.symbols[after]):
                continue
            edge = boundaries_s[after]
            low = max(edge - _REACH_S, (boundaries_s[before] + edge) / 2)
            high = min(edge + _REACH_S, (edge + boundaries_s[after + 1]) / 2)
            near = slice(*np.searchsorted(times_s, [low, high]))
            if near.start < near.stop:
                merit = change[near] - (times_s[near] - edge) ** 2 / (2 * _SPREAD_S**2)
                refined[before + 1 : after + 1] = times_s[near][merit.argmax()]
        return refined
