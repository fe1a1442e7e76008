"""Boundaries between phones, finer than a frame: by how the spectrum changes near what the search found.

B batch, N samples or tokens, S fine frames, n boundaries, K times near each.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.alignment import FrameGrid
from aligner.boundaries.meetings import Meetings
from aligner.boundaries.placement import Candidates, PlacedBoundaries, Placement, fitted_placement
from aligner.frontends.mel import Mel
from aligner.text.manners import SymbolManners
from aligner.text.packed import PackedTokens

_STEP_S = 0.0025  # of the fine frames
_WINDOW_S = 0.016  # of the fine frames: short, since a change is looked for
_FFT_S = 0.032
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 7600.0
_BANDS = (6, 6, 7, 7)  # mel bands in each of four
_WIDE, _NARROW = 8, 3  # fine frames either side are compared: 20 and 7.5 ms
_REACH, _EVERY = 24, 2  # fine frames either side of what was found: 60 ms, and each second one
_UNIT_S = 0.015  # of distances, which keeps all features of one size
_UNIT_LOG = 3.0  # of logarithms of power
_LEAST_CHANGE = 1e-3  # keeps the log of no change finite


class BoundaryRefiner:
    """Moves boundaries between phones; those at pauses are left to `pauses` and `pause_edges`.

    Args:
        sample_rate_hz: Of the audio.
        manners: Of the vocabulary.
    """

    def __init__(self, sample_rate_hz: int, manners: SymbolManners) -> None:
        self.placement: Placement = fitted_placement("between phones")
        self._manners = manners
        self._grid = FrameGrid(round(sample_rate_hz * _STEP_S), sample_rate_hz, "center")
        self._mel = Mel(
            preset="16k-10ms",
            sample_rate_hz=sample_rate_hz,
            n_fft=2 ** int(np.ceil(np.log2(_FFT_S * sample_rate_hz))),
            hop_samples=self._grid.hop_samples,
            window_samples=round(_WINDOW_S * sample_rate_hz),
            mels=sum(_BANDS),
            fmin_hz=_LOWEST_HZ,
            fmax_hz=min(_HIGHEST_HZ, sample_rate_hz / 2),
            frame_rule="center",
            power=2.0,
            floor=1e-8,
        )
        self._mel.precision = torch.float32  # half the time; where the change is fastest, bins are not quiet

    def change(self, audio: Tensor, audio_lengths: Tensor) -> Tensor:
        """How the spectrum changes at each boundary between fine frames, float32 `[B, S + 1, 14]`.

        Of the log-mels after it and before it, at the ends of a recording with its last frame repeated: the
        logarithm of their difference over 20 ms and over 7.5 ms, and in each of four bands their difference
        over 20 ms, their level over the 7.5 ms after it and over those before it.

        Args:
            audio: `[B, N]`.
            audio_lengths: `[B]`, samples of each.
        """
        with torch.inference_mode():
            mels, lengths = self._mel.to(audio.device)(audio, audio_lengths)
        frame = torch.arange(-_WIDE, mels.shape[1] + _WIDE, device=mels.device).clamp(min=0)
        frame = torch.minimum(frame, (lengths - 1)[:, None])
        mels = mels.gather(1, frame[:, :, None].expand(-1, -1, mels.shape[2])).float()
        # Sums of neighbours, each of twice as many as the last: running sums of hours need twice the bits.
        two = mels[:, 1:] + mels[:, :-1]
        narrow = two[:, :-1] + mels[:, 2:]
        four = two[:, 2:] + two[:, :-2]
        wide = four[:, 4:] + four[:, :-4]
        wide = (wide[:, _WIDE:] - wide[:, :-_WIDE]).div_(_WIDE)
        n_times = wide.shape[1]
        after, before = (narrow[:, at : at + n_times] / _NARROW for at in (_WIDE, _WIDE - _NARROW))
        bands = [_band_means(own) / _UNIT_LOG for own in (wide, after, before)]
        return torch.cat([_log_size(wide), _log_size(after - before), *bands], 2)

    def candidates(
        self,
        tokens: PackedTokens,
        boundaries_s: NDArray[np.float64],
        audio: Tensor,
        audio_lengths: Tensor,
    ) -> Candidates:
        """Where the boundaries between phones may be: at most 60 ms away, never past the middle of a phone.

        Args:
            tokens: As of `refine`, like `boundaries_s`, `audio` and `audio_lengths`.
            boundaries_s: `[N + B]`.
            audio: `[B, N]`.
            audio_lengths: `[B]`.
        """
        change = self.change(audio, audio_lengths)
        meetings = Meetings.of(tokens, boundaries_s)
        meetings = meetings.where(~meetings.before_is_pause & ~meetings.after_is_pause)
        edge, row = meetings.edge_s, meetings.utterance
        offset = np.arange(-_REACH, _REACH + 1, _EVERY)
        place = np.searchsorted(self._grid.boundary_s(np.arange(change.shape[1])), edge)[:, None] + offset
        n_times = self._grid.frame_count(audio_lengths.cpu()).numpy() + 1
        inside = (place >= 0) & (place < n_times[row][:, None])
        place = place.clip(0, change.shape[1] - 1)
        times_s = self._grid.boundary_s(place)
        distance = torch.from_numpy((times_s - edge[:, None]) / _UNIT_S).float().to(change.device)[:, :, None]
        heard = change[torch.from_numpy(row)[:, None], torch.from_numpy(place)]
        return Candidates(
            meetings,
            self._manners.ends(tokens.token_ids[meetings.before]),
            self._manners.begins(tokens.token_ids[meetings.after]),
            times_s,
            inside & meetings.in_the_middle(times_s),
            torch.cat([heard, distance, -distance.square()], 2),
        )

    def refine(
        self,
        tokens: PackedTokens,
        boundaries_s: NDArray[np.float64],
        audio: Tensor,
        audio_lengths: Tensor,
    ) -> PlacedBoundaries:
        """The boundaries with those between phones moved to where they are expected.

        Args:
            tokens: N tokens of B utterances.
            boundaries_s: `[N + B]`, around the tokens of each.
            audio: `[B, N]`.
            audio_lengths: `[B]`, samples of each.
        """
        candidates = self.candidates(tokens, boundaries_s, audio, audio_lengths)
        places = self.placement.places(candidates)
        return PlacedBoundaries.at(boundaries_s).moved(candidates.meetings, places)


def _band_means(frames: Tensor) -> Tensor:
    """`[B, S, 4]` of `[B, S, 26]`."""
    return torch.stack([band.mean(2) for band in frames.split(_BANDS, 2)], 2)


def _log_size(difference: Tensor) -> Tensor:
    """The logarithm of the root mean square over the bands, `[B, S + 1, 1]`."""
    return difference.square().mean(2, keepdim=True).sqrt_().add_(_LEAST_CHANGE).log_()
