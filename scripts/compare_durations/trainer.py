"""A voice in training, whatever its model is: the order of its batches, its curve, its clock.

ΣT the tokens of all utterances, one after the other.
"""

import argparse
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from durations import Durations
from features import Features
from numpy.typing import NDArray
from torch import Tensor

from aligner.errors import AlignerError

CURVE_EVERY = 250
CURVE_UTTERANCES = 16


class Trainer(ABC):
    """A voice in training.

    Args:
        args: As `add_commands` of `training.py` reads them.
    """

    LOSSES: ClassVar[tuple[str, ...]]  # what `step` and `losses` give, in their order
    OWN_DURATIONS: ClassVar[tuple[str, ...]] = ()  # which the model finds itself, beside those of aligners

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.features = Features.load(args.features)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.texts = Durations.read(self.features, args.durations)
        self.held_out = np.flatnonzero(self.features.held_out)
        self._order = np.random.default_rng(args.seed)
        self._waiting: list[NDArray] = []
        self.curve: list[list[float]] = []
        self.steps = 0

    def train(self, steps: int) -> None:
        """Take steps up to a number of them."""
        while self.steps < steps:
            if not self._waiting:
                training = np.flatnonzero(~self.features.held_out)
                self._waiting = self.epoch(self._order.permutation(training))
            losses = self.step(self._waiting.pop(0))
            self.steps += 1
            if self.steps % CURVE_EVERY == 0:
                held_out = self.losses(self.held_out[:CURVE_UTTERANCES])
                self.curve.append([self.steps, *(loss.item() for loss in losses), *held_out])

    def speak(self, utterance: int) -> NDArray[np.float16]:
        """The mel of one text, everything predicted, `[S, 80]`.

        Raises:
            AlignerError: If it is none.
        """
        mel = self.spoken(utterance)
        if not len(mel) or not torch.isfinite(mel).all():
            raise AlignerError(
                f"{self.features.ids[utterance]}: no frames, or some that are not finite; train longer"
            )
        return mel.half().cpu().numpy()

    def wait(self) -> float:
        """The clock, when the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    @abstractmethod
    def epoch(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The utterances of each batch.

        Args:
            order: Those to train on, in random order.
        """

    @abstractmethod
    def step(self, utterances: NDArray[np.int64]) -> Sequence[Tensor]:
        """Learn one batch; its losses."""

    @abstractmethod
    def losses(self, utterances: NDArray[np.int64]) -> list[float]:
        """The losses of some utterances together, nothing learnt."""

    @abstractmethod
    def spoken(self, utterance: int) -> Tensor:
        """As `speak`, unchecked."""

    def found(self) -> NDArray[np.int64] | None:
        """Durations that the model itself finds in the recordings, `[ΣT]`; None if it takes given ones."""
        return None
