"""Several frontends side by side.

B batch, N samples, S speech frames, C channels.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from aligner.frontends.base import Frontend


class Combine(Frontend):
    """Several frontends side by side: their channels one after another, on the same frames.

    Each keeps its own corpus statistics.

    Args:
        frontends: At least one. They must share sample rate, hop and frame rule.
    """

    def __init__(self, frontends: list[Frontend]) -> None:
        if not frontends:
            raise ValueError("frontends is empty: at least one is needed")
        first = frontends[0]
        for frontend in frontends:
            if frontend.grid != first.grid:
                raise ValueError(
                    f"frontends have different frames: {type(first).__name__} {first.grid}, "
                    f"{type(frontend).__name__} {frontend.grid}; they must share rate, hop and frame rule"
                )
        names = [name for frontend in frontends for name in frontend.channel_names]
        super().__init__(first.grid, names)
        self.frontends = nn.ModuleList(frontends)

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`."""
        return torch.cat([frontend(audio, audio_lengths)[0] for frontend in self.frontends], -1)

    def fit_normalisation(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """As `Frontend.fit_normalisation`, for each frontend.

        Args:
            batches: `(audio, audio_lengths)`; gone through once for each frontend.
        """
        batches = list(batches) if iter(batches) is batches else batches
        for frontend in self.frontends:
            assert isinstance(frontend, Frontend)
            frontend.fit_normalisation(batches)
