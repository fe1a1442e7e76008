"""Features of a batch, packed: the frames of all utterances one after the other, without padding.

B batch, N samples, S speech frames, F packed frames, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from aligner.frontends.base import Frontend
from aligner.ragged import Indices


@dataclass(frozen=True)
class PackedFeatures:
    """The features of B utterances, one after the other.

    Args:
        frames: `[F, C]`.
        starts: `[B]`, each utterance's first frame.
        lengths: `[B]`, each utterance's number of frames, S.
    """

    frames: Tensor
    starts: Tensor
    lengths: Tensor

    @cached_property
    def n_frames(self) -> Indices:
        """`[B]`, the lengths, on the host."""
        return self.lengths.cpu().numpy()

    @classmethod
    def pack(cls, utterances: Sequence[Tensor]) -> "PackedFeatures":
        """Pack the features `[S, C]` of each utterance."""
        lengths = torch.tensor([len(item) for item in utterances], device=utterances[0].device)
        return cls(torch.cat(list(utterances)), lengths.cumsum(0) - lengths, lengths)

    def unpack(self) -> list[Tensor]:
        """The features `[S, C]` of each utterance."""
        return list(self.frames.split(self.lengths.tolist()))

    def padded(self) -> Tensor:
        """`[B, S, C]` with zeros after each utterance's end."""
        return torch.nn.utils.rnn.pad_sequence(self.unpack(), batch_first=True)


def packed_features(frontend: Frontend, audio: Tensor, audio_lengths: Tensor) -> PackedFeatures:
    """Features of a padded batch, the mean of each utterance taken off.

    The mean is the microphone and much of the speaker (cepstral mean normalisation).

    Args:
        frontend: What computes them.
        audio: `[B, N]`, float32 at the frontend's sample rate.
        audio_lengths: `[B]`, samples of each utterance.
    """
    features, lengths = frontend(audio, audio_lengths)
    items = [item[:length] for item, length in zip(features, lengths.tolist(), strict=True)]
    return PackedFeatures.pack([item - item.mean(0) for item in items])
