"""What TensorBoard shows of a run beside figures: pictures, lengths of phones, what states learnt from.

V symbols, M states.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.corpus.prepared import Utterance
from aligner.corpus.recording import load_recording
from aligner.plot import MOST_FRAMES, plot_alignment, plot_likelihoods, plot_occupancy
from aligner.training.figures import EpochFigures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURED = 3
_SHORTEST_S = 1.0  # with less there is little to see; longer ones take longer to draw
_DOTS_AN_INCH = 72  # to be drawn soon
_MOST_SYMBOLS = 100  # characters of some languages are thousands


def pictured(sample: Sequence[Utterance]) -> frozenset[str]:
    """The ids of a few utterances to draw, the same each time: short ones, which are drawn soon.

    Args:
        sample: Of the corpus.
    """
    by_length = sorted(sample, key=lambda u: (u.duration_s < _SHORTEST_S, u.duration_s, u.id))
    return frozenset(utterance.id for utterance in by_length[:_PICTURED])


def show_utterance(board: Any, epoch: int, aligner: Aligner, utterance: Utterance, found: Alignment) -> None:
    """Show an utterance's alignment, and the likelihoods with the path.

    Args:
        board: TensorBoard's writer.
        epoch: From 0.
        aligner: As it is now.
        utterance: Whose known times are drawn too, if there are any.
        found: What the aligner makes of it.
    """
    rate_hz = aligner.frontend.sample_rate_hz
    recording = load_recording(utterance, rate_hz)
    picture = plot_alignment(found, recording.audio.numpy(), rate_hz, utterance.reference)
    _add(board, f"alignment/{utterance.id}", picture, epoch)
    matrix = aligner.likelihoods(recording, MOST_FRAMES)
    _add(board, f"likelihoods/{utterance.id}", plot_likelihoods(matrix, utterance.id), epoch)


def show_figures(board: Any, epoch: int, figures: EpochFigures, symbols: Sequence[str], hop_s: float) -> None:
    """Show a histogram of each phone's length, and the frames that each state learnt from.

    Args:
        board: TensorBoard's writer.
        epoch: From 0.
        figures: Of the epoch. What a training method did not count is not shown.
        symbols: The vocabulary, `[V]`; of many the most frequent are shown.
        hop_s: Seconds of a frame.
    """
    counts = figures.durations.cpu().numpy()
    counts[:, 0] = 0  # pauses that nobody spoke
    frequent = np.argsort(-counts.sum(1), kind="stable")[:_MOST_SYMBOLS]
    for index in frequent.tolist():
        if counts[index].any():
            _add_lengths(board, f"length_ms/{symbols[index]}", counts[index], 1000 * hop_s, epoch)
    if figures.occupancy is not None:
        occupancy = figures.occupancy.cpu().numpy()
        board.add_scalar("occupancy/least", float(occupancy.min()), epoch)
        if len(symbols) <= _MOST_SYMBOLS:
            _add(board, "occupancy/states", plot_occupancy(occupancy, symbols), epoch)


def _add(board: Any, tag: str, picture: "Figure", epoch: int) -> None:
    picture.set_dpi(_DOTS_AN_INCH)
    board.add_figure(tag, picture, epoch)


def _add_lengths(board: Any, tag: str, counts: NDArray[np.int64], frame_ms: float, epoch: int) -> None:
    """Add a histogram of whole numbers of frames; each bar ends half a frame later."""
    lengths_ms = np.arange(len(counts)) * frame_ms
    found = np.flatnonzero(counts)
    shown = slice(found[0], found[-1] + 1)
    board.add_histogram_raw(
        tag,
        min=lengths_ms[found[0]],
        max=lengths_ms[found[-1]],
        num=int(counts.sum()),
        sum=float(counts @ lengths_ms),
        sum_squares=float(counts @ lengths_ms**2),
        bucket_limits=(lengths_ms[shown] + frame_ms / 2).tolist(),
        bucket_counts=counts[shown].tolist(),
        global_step=epoch,
    )
