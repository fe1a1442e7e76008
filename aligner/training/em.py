"""The M-step of phone mixtures."""

from typing import Any

import torch

from aligner.encoders.phone_mixtures import PhoneMixtures

# A variance below this part of the corpus' own is noise of a component with few frames (Kaldi: 0.01).
_LEAST_VARIANCE = 0.01


class Maximisation(torch.optim.Optimizer):
    """The M-step as an optimizer, so that Lightning counts and checkpoints it as any other step."""

    def __init__(self, encoder: PhoneMixtures) -> None:
        super().__init__([member.phones.mean for member in encoder.members], {})  # type: ignore
        self._encoder = encoder

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for member in self._encoder.members:
            for mixtures in (member.pause, member.phones):
                if torch.distributed.is_available() and torch.distributed.is_initialized():
                    for statistic in mixtures.statistics:  # type: ignore[union-attr]
                        torch.distributed.all_reduce(statistic)
            member.update(_LEAST_VARIANCE)  # type: ignore[operator]
