"""Vectors of speakers: what a text encoder is told of who speaks.

B batch, D hidden width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aligner.devices import on_device


class SpeakerVectors(nn.Module):
    """A vector for each speaker of the training corpus, and one for everybody else.

    All are 0 at first: nothing is known of anybody, and no random numbers are drawn.

    Args:
        names: Of the speakers, each once.
        hidden: Width; D.
    """

    def __init__(self, names: Sequence[str], hidden: int) -> None:
        super().__init__()
        self._places = {name: place for place, name in enumerate(names, 1)}
        self.vectors = nn.Parameter(torch.zeros(1 + len(names), hidden))

    def forward(self, speakers: Sequence[str]) -> Tensor:
        """`[B, D]`.

        Args:
            speakers: Of B utterances. Whoever is not known is nobody: the first vector.
        """
        places = np.array([self._places.get(name, 0) for name in speakers], np.int64)
        return F.embedding(on_device(places, self.vectors.device), self.vectors)
