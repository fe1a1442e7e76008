"""From frames to the times of tokens: all corrections in their order.

B batch, N samples or tokens, F packed frames.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.alignment import FrameGrid
from aligner.boundaries.loudness import Levels, loudness_db, typical_levels_db, without_surplus
from aligner.boundaries.pause_edges import PauseEdges
from aligner.boundaries.pauses import drop_short_pauses, fit_pauses_to_loudness
from aligner.boundaries.placement import PlacedBoundaries
from aligner.boundaries.refine import BoundaryRefiner
from aligner.ragged import starts_of
from aligner.text.manners import SymbolManners
from aligner.text.packed import PackedTokens

# What suits most corpora: shorter pauses are mostly closures of stops; the fraction was chosen on TIMIT.
SHORTEST_PAUSE_S = 0.05
PAUSE_FRACTION = 0.3
# TIMIT's labels leave the dying away of a word to the pause, the Czech ones give it to the word. Without
# labels nobody knows, so the default is halfway.
_LEFT_TO_PAUSES, _GIVEN_TO_WORDS = 0.45, 0.15
DECAY_FRACTION = (_LEFT_TO_PAUSES + _GIVEN_TO_WORDS) / 2


class BoundaryCorrection:
    """Makes times of frames, and corrects them by the audio.

    Args:
        grid: Where the frames lie.
        shortest_pause_s: A shorter pause between words is dropped. 0 keeps all.
        pause_fraction: Audio counts as quiet up to this part of the way from the utterance's quietest to its
            loudest; pauses extend over it. 0 leaves them as found.
        refine: Move boundaries between phones to where the spectrum changes most nearby.
        decay_fraction: A word that ends before a pause has about what is louder than this part of that way:
            where its dying away ends is a convention. 0.45 is TIMIT's; 0.15 is that of people who leave next
            to nothing of it to the pause; the default lies between.
        symbols: The vocabulary: where a boundary is expected depends on how the phones beside it are made.
    """

    def __init__(
        self,
        grid: FrameGrid,
        shortest_pause_s: float,
        pause_fraction: float,
        refine: bool,
        decay_fraction: float = DECAY_FRACTION,
        symbols: Sequence[str] = (),
    ) -> None:
        self._grid = grid
        self._shortest_pause_s = shortest_pause_s
        self._pause_fraction = pause_fraction
        self._decay_fraction = decay_fraction
        self._convention = convention(decay_fraction)
        manners = SymbolManners(symbols)
        self._refiner = BoundaryRefiner(grid.sample_rate_hz, manners) if refine else None
        self._pause_edges = PauseEdges(manners)

    def correct(
        self,
        tokens: PackedTokens,
        boundaries_frames: NDArray[np.float64],
        audio: Tensor,
        audio_lengths: Tensor,
        surplus: Tensor,
        durations_s: NDArray[np.float64],
    ) -> PlacedBoundaries:
        """The times around each token: of each utterance one more than it has tokens.

        Args:
            tokens: N tokens of B utterances.
            boundaries_frames: `[N + B]`, around the tokens of each.
            audio: `[B, N]`, at the grid's sample rate.
            audio_lengths: `[B]`, samples of each.
            surplus: Bool `[F]`, the frames of surplus silence, of one utterance after the other.
            durations_s: `[B]`, of the recordings.
        """
        lengths = tokens.lengths + 1
        boundaries_s = self._grid.boundary_s(boundaries_frames).clip(0.0, np.repeat(durations_s, lengths))
        boundaries_s[starts_of(lengths)], boundaries_s[np.cumsum(lengths) - 1] = 0.0, durations_s
        boundaries_s = drop_short_pauses(tokens, boundaries_s, self._shortest_pause_s)
        boundaries = PlacedBoundaries.at(boundaries_s)
        if self._refiner is not None:
            boundaries = self._refiner.refine(tokens, boundaries_s, audio, audio_lengths)
        if self._pause_fraction:
            loudness, n_values = loudness_db(audio, audio_lengths, self._grid.sample_rate_hz)
            n_frames = self._grid.frame_count(audio_lengths)
            counted = without_surplus(loudness, n_values, surplus, n_frames, self._grid.hop_s)
            quiet_db, loud_db = typical_levels_db(loudness, counted)
            levels = Levels(
                loudness.cpu().numpy(),
                n_values.numpy(),
                quiet_db[:, 0].cpu().numpy(),
                loud_db[:, 0].cpu().numpy(),
            )
            found_s = boundaries.times_s
            by_rule_s = fit_pauses_to_loudness(
                tokens, found_s, levels, self._pause_fraction, self._decay_fraction
            )
            boundaries = replace(boundaries, times_s=by_rule_s)
            boundaries = self._pause_edges.place(tokens, found_s, boundaries, levels, self._convention)
        return boundaries


def convention(decay_fraction: float) -> float:
    """How far words have their dying away: 0 as in TIMIT's labels, 1 as in the Czech ones.

    Args:
        decay_fraction: As of `BoundaryCorrection`.
    """
    return (_LEFT_TO_PAUSES - decay_fraction) / (_LEFT_TO_PAUSES - _GIVEN_TO_WORDS)
