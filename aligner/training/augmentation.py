"""Augmentation: a recording changed anew in each epoch, every sound where it was.

N samples, on the CPU.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Augmentation(ABC):
    """What makes another recording of one, in another voice or a worse room, to be trained on beside it."""

    @abstractmethod
    def __call__(
        self, audio: Tensor, sample_rate_hz: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """The changed recording, `[N]`, as an aligner hears it.

        Args:
            audio: `[N]` float32.
            sample_rate_hz: Its sample rate.
            generator: Draws everything; torch's own without one.
        """
