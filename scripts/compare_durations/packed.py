"""A corpus in the memory of a device, utterances one after the other, and its batches, padded.

B batch, T text tokens, S speech frames; ΣT, ΣS those of all utterances.
"""

import numpy as np
import torch
from durations import Durations
from features import Features
from numpy.typing import NDArray
from torch import Tensor

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class PackedCorpus:
    """Tokens, mels and durations of a corpus on a device.

    Args:
        features: The recordings.
        texts: Their tokens.
        numbers: The model's number of each token, `[ΣT]`.
        durations: Frames of each token, `[ΣT]`.
        device: Where.
    """

    def __init__(
        self,
        features: Features,
        texts: Durations,
        numbers: NDArray[np.int64],
        durations: NDArray[np.int64],
        device: torch.device,
    ) -> None:
        self.text_lengths, self.frames = texts.text_lengths, features.frames
        self._token_starts = np.cumsum(self.text_lengths) - self.text_lengths
        self._frame_starts = np.cumsum(self.frames) - self.frames
        self._device = device
        self._texts, self._durations = self.on_device(numbers), self.on_device(durations)
        self._mel = self.on_device(features.mel)

    def padded(self, utterances: NDArray[np.int64], multiple: int = 1) -> Batch:
        """Tokens `[B, T]`, how many `[B]`, mel `[B, S, 80]`, how many frames `[B]`, durations `[B, T]`.

        Args:
            utterances: Which, `[B]`.
            multiple: Of what S is one.
        """
        tokens, inside = self.token_places(utterances)
        frames = self.frames[utterances]
        most = -(-int(frames.max()) // multiple) * multiple
        speech, has_speech = self._padding(self._frame_starts[utterances], frames, most)
        mel = self._mel[speech].float() * has_speech[..., None]
        lengths = self.on_device(self.text_lengths[utterances])
        texts, durations = (values[tokens] * inside for values in (self._texts, self._durations))
        return texts, lengths, mel, self.on_device(frames), durations

    def token_places(self, utterances: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Where in values of all tokens each of a padded batch lies, and whether there is one, `[B, T]`."""
        lengths = self.text_lengths[utterances]
        return self._padding(self._token_starts[utterances], lengths, int(lengths.max()))

    def on_device(self, values: NDArray) -> Tensor:
        """An array as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device, non_blocking=True)

    def _padding(self, starts: NDArray, lengths: NDArray, longest: int) -> tuple[Tensor, Tensor]:
        places = np.arange(longest)
        inside = places < lengths[:, None]
        return self.on_device(np.where(inside, starts[:, None] + places, 0)), self.on_device(inside)
