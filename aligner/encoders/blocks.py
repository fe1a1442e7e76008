"""Which states of a text which frames are scored in, so that no long text is held whole.

A frame has a column for each state of its text; of a text with more states than there are columns, for those
around where the mixtures without context find the frame. State p has column p modulo the columns, so that a
search needs one column a state, whatever the frame. Between the last and the first of the states that a frame
has stand columns of -inf, as many as a phone has states. A path passes one phone after the other and windows
only move on, so one that left its window would have to cross these columns to come to its end: none can.

B utterances, F packed frames, X blocks, W columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import mas
from aligner.devices import on_device
from aligner.encoders.base import PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, inside, padded, ranges, rows_of, starts_of

MOST_COLUMNS = 510  # of phones of three states: 15 s, more than most utterances of a corpus for TTS


@dataclass(frozen=True)
class Blocks:
    """X runs of frames, one after the other, and the states that each is scored in.

    Args:
        n_frames: `[X]`, of each block.
        states: int64 `[X, W]`, a state for each column, counted over the batch; -1 for none.
    """

    n_frames: Indices
    states: Tensor

    @classmethod
    def of(
        cls, first: Indices, n_states: Indices, before: Indices, n_frames: Indices, columns: int
    ) -> "Blocks":
        """Blocks of states that are one after the other.

        Args:
            first: `[X]`, the first state of each block, counted in its text.
            n_states: `[X]`, how many; at most `columns`.
            before: `[X]`, states of the texts before.
            n_frames: `[X]`.
            columns: W.
        """
        place = ranges(first, n_states)
        states = np.full((len(first), columns), -1, np.int64)
        states[rows_of(n_states), place % columns] = place + np.repeat(before, n_states)
        return cls(n_frames, torch.from_numpy(states))

    def to(self, device: torch.device) -> "Blocks":
        """The same with its states there."""
        return Blocks(self.n_frames, self.states.to(device, non_blocking=True))


def whole_texts(n_states: Indices, n_frames: Indices) -> Blocks:
    """Each utterance in all states of its text.

    Args:
        n_states: `[B]`, of each text.
        n_frames: `[B]`, of each utterance.
    """
    columns = int(n_states.max(initial=0))
    return Blocks.of(np.zeros_like(n_states), n_states, starts_of(n_states), n_frames, columns)


def windows(
    columns: int,
    guard: int,
    n_states: Indices,
    emissions: Tensor,
    features: PackedFeatures,
    states: PackedStates,
    place: Indices,
) -> Blocks:
    """Each utterance in blocks, each in the states around those that a first search finds.

    Args:
        columns: W.
        guard: How many of them have no state, at least: states of a phone.
        n_states: `[B]`, of each text's phones.
        emissions: `[F, M]`, without context.
        features: Of the utterances.
        states: Of their tokens, in the columns of these emissions.
        place: `[states.states]`, which state of its text's phones each is; -1 for a pause.
    """
    device, n_frames = emissions.device, features.n_frames
    durations = mas.search_states(
        emissions - emissions.amax(1, keepdim=True),
        on_device(padded(states.states, states.lengths), device),
        on_device(states.lengths, device),
        features.lengths,
        starts=on_device(starts_of(n_frames), device),
        skippable=on_device(padded(states.skippable, states.lengths), device),
        most_frames=int(n_frames.max(initial=1)),
    )
    # Each utterance's places after all of the one before, so that one running maximum serves all: a pause is
    # where the phone before it is.
    shift = starts_of(n_states + 1)
    own = np.where(place < 0, 0, place) + np.repeat(shift, states.lengths)
    found = np.repeat(own, durations.cpu().numpy()[inside(states.lengths)])
    found = np.maximum.accumulate(found) - np.repeat(shift, n_frames)
    block_frames = columns // (2 * guard)  # in which a path passes half of the columns at most
    n_blocks = -(-n_frames // block_frames)
    utterance = rows_of(n_blocks)
    begin = ranges(np.zeros_like(n_blocks), n_blocks) * block_frames
    frames = np.minimum(block_frames, n_frames[utterance] - begin)
    begin += starts_of(n_frames)[utterance]
    earliest, latest = found[begin], found[begin + frames - 1]
    margin = (columns - guard - 1 - (latest - earliest)) // 2
    first = np.maximum(earliest - margin, 0) + shift[utterance]
    first = np.maximum.accumulate(first) - shift[utterance]  # windows only move on
    end = np.minimum(latest + margin + 1, n_states[utterance])
    return Blocks.of(first, end - first, starts_of(n_states)[utterance], frames, columns)
