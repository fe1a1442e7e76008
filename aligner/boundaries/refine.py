"""Boundaries between phones, finer than a frame: where the spectrum changes most near what the search found.

The search decides on frames of 10 ms and 20 ms wide, and where one mixture becomes likelier than the next is
not where a person puts a boundary. A person looks for the fastest change; so does this.

B batch, N samples or tokens, S fine frames.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.alignment import FrameGrid
from aligner.boundaries.meetings import Meetings
from aligner.frontends.mel import Mel
from aligner.text.packed import PackedTokens

# These were chosen on TIMIT and synthetic speech, see recipes/ljspeech/ABLATIONS.md.
_STEP_S = 0.0025  # of the fine frames
_WINDOW_S = 0.016  # of the fine frames: short, since a change is looked for
_FFT_S = 0.032
_MELS, _LOWEST_HZ, _HIGHEST_HZ = 26, 50.0, 7600.0
_SIDE_FRAMES = 8  # 20 ms either side are compared
# Changes are weighed by a Gaussian over their distance from where a boundary is expected, of this deviation.
# None is taken from further away from the found one than _REACH_S.
_SPREAD_S = 0.015
# The search finds boundaries so late, on the mean, both of hand-made times and of exact ones.
_LATE_S = 0.0045
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
        self._mel.precision = torch.float32  # half the time; where the change is fastest, bins are not quiet

    def change(self, audio: Tensor, audio_lengths: Tensor) -> Tensor:
        """How fast the spectrum changes at each boundary between fine frames, float64 `[B, S + 1]`.

        The difference of the log-mels of the 20 ms after it from those of the 20 ms before it; 0 too near the
        ends.

        Args:
            audio: `[B, N]`.
            audio_lengths: `[B]`, samples of each.
        """
        with torch.inference_mode():
            features, lengths = self._mel.to(audio.device)(audio, audio_lengths)
        side = _SIDE_FRAMES
        sums = torch.nn.functional.pad(features.double().cumsum_(1), (0, 0, 1, 0))
        change = torch.zeros(sums.shape[:2], dtype=torch.float64, device=audio.device)
        if sums.shape[1] > 2 * side:
            difference = sums[:, 2 * side :] - sums[:, side:-side]
            difference -= sums[:, side:-side]
            difference += sums[:, : -2 * side]
            change[:, side:-side] = difference.div_(side).square_().mean(2).sqrt_()
        place = torch.arange(sums.shape[1], device=audio.device)
        return change.masked_fill_(place > (lengths - side)[:, None], 0.0)

    def refine(
        self,
        tokens: PackedTokens,
        boundaries_s: NDArray[np.float64],
        audio: Tensor,
        audio_lengths: Tensor,
    ) -> NDArray[np.float64]:
        """The boundaries with those between phones moved by at most 30 ms, never past the middle of a phone.

        Args:
            tokens: N tokens of B utterances.
            boundaries_s: `[N + B]`, around the tokens of each.
            audio: `[B, N]`.
            audio_lengths: `[B]`, samples of each.
        """
        change = self.change(audio, audio_lengths)
        meetings = Meetings.of(tokens, boundaries_s)
        meetings = meetings.where(~meetings.before_is_pause & ~meetings.after_is_pause)
        edge = meetings.edge_s
        low = np.maximum(edge - _REACH_S, (meetings.start_s + edge) / 2)
        high = np.minimum(edge + _REACH_S, (edge + meetings.end_s) / 2)
        times_s = self._grid.boundary_s(np.arange(change.shape[1]))
        n_times = self._grid.frame_count(audio_lengths.cpu()).numpy() + 1
        first = np.searchsorted(times_s, low)
        end = np.minimum(np.searchsorted(times_s, high), n_times[meetings.utterance])
        place = first[:, None] + np.arange((end - first).max(initial=1))
        near = np.minimum(place, change.shape[1] - 1)
        speed = change[torch.from_numpy(meetings.utterance)[:, None], torch.from_numpy(near)].cpu().numpy()
        distance = times_s[near] - (edge[:, None] - _LATE_S)
        merit = np.log(speed + _LEAST_CHANGE) - distance**2 / (2 * _SPREAD_S**2)
        best = np.where(place < end[:, None], merit, -np.inf).argmax(1)
        return meetings.moved(
            boundaries_s, np.where(first < end, times_s[near[np.arange(len(best)), best]], edge)
        )
