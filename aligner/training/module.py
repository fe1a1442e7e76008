"""The training of an aligner as Lightning runs it: the steps and what is logged.

B batch, N samples, F packed frames.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor

from aligner.align_batches import align_usable, load_usable
from aligner.aligner import Aligner
from aligner.boundaries import DECAY_FRACTION, PAUSE_FRACTION, SHORTEST_PAUSE_S
from aligner.calibrate import calibrate
from aligner.checkpoint import CHECKPOINT_KEY
from aligner.encoders import Encoder
from aligner.errors import reason
from aligner.evaluate import boundary_figures, compare
from aligner.frontends import Frontend
from aligner.instantiate import public_path
from aligner.text.common_words import common_words
from aligner.training.augmentation import Augmentation
from aligner.training.board import pictured, show_figures, show_utterance
from aligner.training.data import AlignerData, Batch
from aligner.training.feature_store import FeatureStore
from aligner.training.figures import EpochFigures
from aligner.training.method import TrainingMethod
from aligner.training.processes import gathered
from aligner.training.usable import NothingToTrainOn, fit_normalisation, usable_versions
from aligner.training.voice_perturbation import Perturbation

_RANK_SEED = 1_000_003  # keeps the draws of the processes apart
_COUNTED = 50_000  # utterances, of more evenly: their words are counted in a second


class AlignerModule(lightning.LightningModule):
    """Trains an aligner from recordings and texts alone.

    Args:
        symbols: The vocabulary, the pause first; set by the corpus.
        frontend: Audio to features.
        encoder: Tokens to priors; its `vocab_size` and `channel_names` are set by symbols and frontend.
        training: How the encoder is trained, and for how many epochs.
        text: How texts become tokens, so that the aligner can read text; set by the corpus.
        perturbation: Each utterance is then trained on twice an epoch, as it is and, along the same path, in
            another voice (Perturbation) or recorded less well (Degradation), drawn anew. null for none.
        shortest_pause_s: A shorter pause between words is dropped.
        pause_fraction: Audio counts as quiet up to this part of the way from the utterance's quietest to its
            loudest; pauses extend over it. 0 leaves them as found.
        refine: Move boundaries between phones to where the spectrum changes most nearby.
        decay_fraction: A word that ends before a pause has about what is louder than this part of that way:
            where its dying away ends is a convention. 0.45 is TIMIT's; 0.15 is that of people who leave next
            to nothing of it to the pause; the default lies between.
        seed: Of everything drawn in training. An epoch's draws depend on it and the epoch alone, so that a
            resumed run ends as an uninterrupted one.
        features: Where features are kept between epochs; set by the data, which then leaves out audio.
        speakers: Names of those who speak; set by the corpus.
    """

    normalisation_fitted: Tensor

    def __init__(
        self,
        symbols: Sequence[str],
        frontend: Frontend,
        encoder: Callable[[int, Sequence[str]], Encoder],
        training: TrainingMethod,
        text: dict[str, Any] | None = None,
        perturbation: Augmentation | None = None,
        shortest_pause_s: float = SHORTEST_PAUSE_S,
        pause_fraction: float = PAUSE_FRACTION,
        refine: bool = True,
        decay_fraction: float = DECAY_FRACTION,
        seed: int = 0,
        features: FeatureStore | None = None,
        speakers: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        made = encoder(len(symbols), frontend.channel_names)
        made.meet(speakers)
        self.aligner = Aligner(  # named as CHECKPOINT_KEY says
            symbols,
            frontend,
            made,
            text,
            shortest_pause_s,
            pause_fraction,
            refine,
            decay_fraction,
        )
        self.method = training
        self.perturbation = perturbation
        self.seed = seed
        self.problem = ""  # with what is only measured and shown; the last
        self._calibrated_on = ""  # as `checkpoint.calibrated_on`
        self._kept = FeatureStore() if features is None else features
        self.register_buffer("normalisation_fitted", torch.tensor(False))

    def configure_optimizers(self) -> Any:
        """Those of the training method."""
        return self.method.optimizers(self.aligner)

    def on_fit_start(self) -> None:
        """Take the number of epochs from the method and, once, the statistics of the features."""
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.trainer.fit_loop.max_epochs = self.method.epochs
        if not self.normalisation_fitted:
            fit_normalisation(self.aligner.frontend, self._normalisation_batches, self._data.refused)
            self.normalisation_fitted.fill_(True)

    @property
    def _data(self) -> AlignerData:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def _normalisation_batches(self) -> Iterator[Batch]:
        for batch in self._data.normalisation_batches():
            self._data.refused |= batch.refused
            if len(batch):
                yield batch

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One step of the training method on the batch as recorded and, if asked for, in other voices."""
        if batch_index == 0:  # only now: a loader may or may not draw when an epoch starts
            torch.manual_seed(self.seed + self.current_epoch + _RANK_SEED * self.global_rank)
        figures = self.method.figures
        assert figures is not None
        with figures.step.running():
            usable, versions, refused = usable_versions(self.aligner, batch, self._kept, self.perturbation)
            self._data.refused |= refused
            self.method.step(self, self.aligner, usable, versions)
        figures.step_done(len(versions[0].frames) if len(usable) else 0)

    def on_train_epoch_start(self) -> None:
        """Begin to count."""
        self.method.figures = EpochFigures(len(self.aligner.vocabulary), self.device)

    def on_train_epoch_end(self) -> None:
        """Log how fast it went and agree with other processes on what was refused; in the end calibrate, and
        count words.
        """
        self._log_speed()
        data = self._data
        data.refused = {id: why for own in gathered(data.refused) for id, why in own.items()}
        usable = [utterance for utterance in data.utterances if utterance.id not in data.refused]
        if not usable:
            raise NothingToTrainOn(data.refused)
        if self.current_epoch + 1 == self.method.epochs:
            self.eval()
            calibrate(self.aligner, usable, self.seed, Perturbation())
            self._calibrated_on = data.manifest_sha256
            step = -(-len(usable) // _COUNTED)
            self.aligner.common_words = common_words(own.transcript for own in usable[::step])
            self.train()

    def _log_speed(self) -> None:
        """Frames a second, of all processes if they are alike, and the search's part of the steps' time."""
        figures, self.method.figures = self.method.figures, None
        assert figures is not None
        self.log("frames_per_s", figures.frames_a_second() * self.trainer.world_size)
        if (share := figures.search_share()) is not None:
            self.log("search_share", share)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what `Aligner.load` and a resumed run need."""
        checkpoint[CHECKPOINT_KEY] = self.aligner.settings()
        checkpoint["training"] = {
            "method": public_path(type(self.method)),
            "corpus": self._data.fingerprint,
            "calibrated_on": self._calibrated_on,
            **self.method.state_dict(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume the training method."""
        self.method.load_state_dict(checkpoint["training"])

    def on_validation_epoch_start(self) -> None:
        """Begin to collect boundary errors, and choose what to draw."""
        self._pictured = pictured(self._data.validation_sample())
        self._errors_ms: dict[str, list[float]] = {"words": [], "phones": []}

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Boundary errors where the corpus has reference times, and pictures of a few utterances."""
        if self.trainer.sanity_checking:
            return
        rate_hz = self.aligner.frontend.sample_rate_hz
        loaded = [load_usable(utterance, rate_hz) for utterance in batch.utterances]
        alignments, failed = align_usable(self.aligner, loaded)
        for id, why in (batch.refused | failed).items():
            self.problem = f"{id} could not be measured: {why}"
        aligned = [utterance for utterance in batch.utterances if utterance.id in alignments]
        for utterance in aligned:
            if utterance.reference is not None:
                errors = compare(alignments[utterance.id], utterance.reference)
                self._errors_ms["words"] += [*errors.word_starts_ms, *errors.word_ends_ms]
                self._errors_ms["phones"] += errors.phones_ms
            if utterance.id in self._pictured:
                self._show(utterance.id, show_utterance, self.aligner, utterance, alignments[utterance.id])

    def on_validation_epoch_end(self) -> None:
        """Log the mean boundary errors; of an epoch of training show what it counted."""
        for level, errors_ms in self._errors_ms.items():
            if errors_ms:
                figures = boundary_figures(errors_ms)
                self.log(f"{level}_error_ms", float(figures["mean_ms"] or 0.0), prog_bar=True)
                self.log(f"{level}_within_20ms", float(figures["within_20ms"] or 0.0))
        if self.method.figures is not None:
            symbols, hop_s = self.aligner.vocabulary.symbols, self.aligner.frontend.grid.hop_s
            self._show("the epoch", show_figures, self.method.figures, symbols, hop_s)

    @property
    def _board(self) -> Any:
        """TensorBoard's writer; None where there is none, or another process has it."""
        board = getattr(self.logger, "experiment", None)
        return board if self.trainer.is_global_zero and hasattr(board, "add_figure") else None

    def _show(self, what: str, show: Callable[..., None], *shown: Any) -> None:
        """Show something on TensorBoard; what goes wrong is told in the end.

        Args:
            what: It is.
            show: Of `board`.
            *shown: Its arguments after the writer and the epoch.
        """
        try:
            if (board := self._board) is not None:
                show(board, self.current_epoch, *shown)
        except Exception as error:  # a picture is worth no training: librosa, matplotlib, TensorBoard, a disk
            self.problem = f"there is no picture of {what}: {reason(error)}"
