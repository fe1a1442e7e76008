"""Features of a batch, packed: the frames of all utterances one after the other, without padding.

B batch, N samples, S speech frames, F packed frames, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from aligner.devices import on_device
from aligner.frontends.base import Frontend
from aligner.frontends.surplus_silence import surplus_silence
from aligner.ragged import Indices, inside, ranges, rows_of, starts_of

# What the corpus counts in an utterance's mean: a second; half of it makes words alone worse.
_CORPUS_FRAMES = 100


@dataclass(frozen=True)
class PackedFeatures:
    """The features of B utterances, one after the other.

    Args:
        frames: `[F, C]`. All channels of a frame of surplus silence (`surplus_silence`) are 0: there is
            nothing in it to learn or to compare.
        n_frames: `[B]`, each utterance's number of frames, S; on the host, where it decides shapes.
    """

    frames: Tensor
    n_frames: Indices

    @cached_property
    def lengths(self) -> Tensor:
        """`[B]`, the number of frames on the device of the frames."""
        return on_device(self.n_frames, self.frames.device)

    @cached_property
    def surplus(self) -> Tensor:
        """Bool `[F]`, the frames of surplus silence: only a pause can be there, whatever it sounds like."""
        return (self.frames == 0).all(1)

    @classmethod
    def pack(cls, utterances: Sequence[Tensor]) -> "PackedFeatures":
        """Pack the features `[S, C]` of each utterance."""
        return cls(torch.cat(list(utterances)), np.array([len(item) for item in utterances]))

    def unpack(self) -> list[Tensor]:
        """The features `[S, C]` of each utterance."""
        return list(self.frames.split(self.n_frames.tolist()))

    def only(self, rows: Sequence[int]) -> tuple["PackedFeatures", Tensor]:
        """The features of the utterances at these places, and their frames among all, `[F']`.

        Args:
            rows: Of B; possibly none.
        """
        chosen = np.array(rows, np.int64)
        n_frames = self.n_frames[chosen]
        frames = on_device(ranges(starts_of(self.n_frames)[chosen], n_frames), self.frames.device)
        return PackedFeatures(self.frames[frames], n_frames), frames

    def padded(self) -> Tensor:
        """`[B, S, C]` with zeros after each utterance's end."""
        padded = self.frames.new_zeros(*inside(self.n_frames).shape, self.frames.shape[1])
        place = on_device(np.flatnonzero(inside(self.n_frames)), self.frames.device)
        padded.flatten(0, 1).index_copy_(0, place, self.frames)
        return padded


def packed_features(frontend: Frontend, audio: Tensor, audio_lengths: Tensor) -> PackedFeatures:
    """Features of a padded batch, each utterance's mean taken off.

    That mean is the microphone and much of the speaker (cepstral mean normalisation). Surplus silence has no
    part in it: otherwise all phones would sound different in a recording with more of it. The corpus has a
    small one, its mean being 0: that of a single word says more of its phones than of who speaks.

    Args:
        frontend: What computes them.
        audio: `[B, N]`, float32 at the frontend's sample rate.
        audio_lengths: `[B]`, samples of each utterance.
    """
    features, _ = frontend(audio, audio_lengths)
    surplus = surplus_silence(audio, audio_lengths, frontend.grid)
    n_frames = frontend.frame_count(audio_lengths.cpu()).numpy()
    place = rows_of(n_frames) * features.shape[1] + ranges(np.zeros_like(n_frames), n_frames)
    inside = on_device(place, features.device)
    frames, surplus = features.flatten(0, 1)[inside], surplus.flatten()[inside, None]
    # Sums over each utterance's own frames: over padded rows they would depend on what shares the batch.
    lengths = on_device(n_frames, features.device)
    sums, counts = (
        torch.segment_reduce(values.double(), "sum", lengths=lengths)
        for values in (frames.masked_fill(surplus, 0.0), ~surplus)
    )
    mean = (sums / (counts + _CORPUS_FRAMES)).float().repeat_interleave(lengths, 0, output_size=len(frames))
    # times 0, so that what is no number stays none, and is told
    return PackedFeatures(torch.where(surplus, 0.0 * frames, frames - mean), n_frames)
