"""The interface of a training method.

B batch, F packed frames.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import lightning

from aligner.aligner import Aligner
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.training.data import Batch
from aligner.training.figures import EpochFigures
from aligner.training.init_alignments import InitialAlignment

GOES_ON = "from_aligner"  # in what a method saves: that it began from another aligner


class TrainingMethod:
    """A way to train an aligner's encoder. Children: `EM` and `Gradient`."""

    epochs: int
    #: Whether several processes share out each batch, so that a step of all is a step of one, or the
    #: utterances of the epoch, so that each has fewer steps.
    shares_batches: bool = True
    #: Where `step` counts what it can of the epoch; set before each. None: nobody asks.
    figures: EpochFigures | None = None

    def hours_in(self, epoch: int) -> float | None:
        """How much of a large corpus an epoch hears; None: all of it.

        Args:
            epoch: From 0.
        """
        return None

    def optimizers(self, aligner: Aligner) -> Any:
        """What `LightningModule.configure_optimizers` returns.

        `step` must step it: Lightning counts only steps of optimizers (see `em.MStep`).

        Raises:
            AlignerError: For an encoder that this method cannot train, saying which can.
        """
        raise NotImplementedError

    def step(
        self,
        module: lightning.LightningModule,
        aligner: Aligner,
        batch: Batch,
        versions: Sequence[PackedFeatures],
    ) -> None:
        """Train on one batch, and log the loss.

        Args:
            module: Whose optimizers, epoch and log these are.
            aligner: What is trained.
            batch: B utterances; none, where all of a batch were refused.
            versions: Their features as recorded, then perturbed versions with the same frames.
        """
        raise NotImplementedError

    def searching(self) -> contextlib.AbstractContextManager[None]:
        """To be entered around the search in `step`, whose share of the time is then shown."""
        return contextlib.nullcontext() if self.figures is None else self.figures.search.running()

    def start_from(self, alignments: Mapping[str, InitialAlignment]) -> None:
        """Start from known times, by utterance id, instead of a flat start; ids may be missing.

        Raises:
            AlignerError: If this method has no flat start to replace.
        """
        raise AlignerError(
            f"{type(self).__name__} cannot start from alignments (--init-alignments): "
            "train with model.training aligner.training.EM"
        )

    def start_from_aligner(self) -> None:
        """Go on from what the aligner has learnt elsewhere, instead of a flat start.

        Raises:
            AlignerError: If this method cannot.
        """
        raise AlignerError(
            f"{type(self).__name__} cannot start from another aligner (--init-checkpoint): "
            "train with model.training aligner.training.EM"
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know besides weights and optimizers, in plain types."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
