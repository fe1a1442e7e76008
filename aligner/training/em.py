"""Training by expectation-maximisation around the Viterbi search, from a flat start.

B batch, F packed frames, M states.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from aligner.aligner import Aligner
from aligner.devices import on_device
from aligner.encoders.base import Emissions, PackedStates
from aligner.encoders.phone_mixtures import PhoneMixtures
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, inside
from aligner.search import StatePaths, align_states, choose_pronunciations, states_of
from aligner.text.packed import PackedTokens
from aligner.training.data import Batch
from aligner.training.figures import EpochFigures
from aligner.training.flat_start import flat_states
from aligner.training.init_alignments import InitialAlignment, states_of_frames
from aligner.training.method import GOES_ON, TrainingMethod
from aligner.training.processes import add_up, gathered

# A variance below this part of the corpus' own is noise of a Gaussian with few frames (Kaldi: 0.01).
_LEAST_VARIANCE = 0.01
# The choice of pronunciations settles within a few epochs, and costs as much as the rest of an epoch.
_PRONUNCIATIONS_EVERY = 2
_EPOCHS, _EPOCHS_FROM_ALIGNER = 14, 4


class EM(TrainingMethod):
    """Expectation-maximisation for `aligner.encoders.PhoneMixtures`.

    The E-step assigns each frame to a state by each stream's own best path (Viterbi training) and, within the
    state, to its Gaussians by their posteriors. After the last batch of an epoch comes the M-step.

    The defaults are the recipe's (recipes/ljspeech/ABLATIONS.md).

    Args:
        epochs: Passes over the corpus; null: 14, of which the first has the flat start, or 4 from another
            aligner (--init-checkpoint).
        gaussians: {epoch, counted from 0: Gaussians of a phone's state from then on}; 1 before the first.
        pronunciation_epoch: Pronunciations are chosen in this epoch, counted from 0, and every other one
            after it.
        early_hours: Of a larger corpus the epochs before that one hear only so many hours, spread evenly over
            it; null: all. One Gaussian a state learns no more from more.
        remembered_frames: From another aligner: what a Gaussian was counts in each M-step as so many frames
            of the corpus (maximum a posteriori). Those of phones that are rare in a small corpus stay.

    Raises:
        AlignerError: For an epoch or a number of Gaussians below 1.
    """

    shares_batches = False  # statistics are of an epoch, so each process may have batches of its own

    def __init__(
        self,
        epochs: int | None = None,
        gaussians: dict[int, int] = {6: 2, 8: 3, 10: 4, 12: 6},  # noqa: B006 (shown as help, never changed)
        pronunciation_epoch: int = 6,
        early_hours: float | None = 4.0,
        remembered_frames: float = 20.0,
    ) -> None:
        if epochs is not None and epochs < 1:
            raise AlignerError(f"EM: epochs is {epochs}, must be at least 1")
        if any(epoch < 1 or number < 1 for epoch, number in gaussians.items()):
            raise AlignerError(f"EM: gaussians is {gaussians}; epochs and numbers must be at least 1")
        if not remembered_frames >= 0:
            raise AlignerError(f"EM: remembered_frames is {remembered_frames}, must be at least 0")
        self.epochs = _EPOCHS if epochs is None else epochs
        self._epochs_given = epochs is not None
        self._remembered_frames = remembered_frames
        self._goes_on = False  # from another aligner
        self.pronunciation_epoch = pronunciation_epoch
        self.early_hours = early_hours
        self.gaussians = dict(sorted(gaussians.items()))
        self._variants: dict[str, tuple[int, ...]] = {}
        # Those chosen by this process that it has not shared: of the others' utterances it knows older ones.
        self._unshared: dict[str, tuple[int, ...]] = {}
        self._init_alignments: dict[str, InitialAlignment] = {}
        # Which utterances of the epoch's batches have a path by each stream: read at its end, since reading
        # would let the GPU wait for the next batch.
        self._found: list[tuple[Sequence[str], Tensor]] = []

    def optimizers(self, aligner: Aligner) -> "MStep":
        """As of every method."""
        if not isinstance(aligner.encoder, PhoneMixtures):
            raise AlignerError(
                f"EM trains aligner.encoders.PhoneMixtures, not {type(aligner.encoder).__name__}; "
                "set model.training to aligner.training.Gradient for GlowTTSEncoder or a method of your own"
            )
        return MStep(aligner.encoder, self._remembered_frames if self._goes_on else 0.0)

    def hours_in(self, epoch: int) -> float | None:
        """As of every method."""
        return self.early_hours if epoch < self.pronunciation_epoch and not self._goes_on else None

    def start_from(self, alignments: Mapping[str, InitialAlignment]) -> None:
        """As of every method."""
        self._init_alignments = dict(alignments)
        self._variants.update((id, alignment.variants) for id, alignment in alignments.items())

    def start_from_aligner(self) -> None:
        """As of every method."""
        self._goes_on, self.pronunciation_epoch = True, 0
        if not self._epochs_given:
            self.epochs = _EPOCHS_FROM_ALIGNER

    @torch.no_grad()
    def step(
        self,
        module: lightning.LightningModule,
        aligner: Aligner,
        batch: Batch,
        versions: Sequence[PackedFeatures],
    ) -> None:
        """The E-step on a batch, by the paths of its first version; the M-step after an epoch's last."""
        epoch, encoder = module.current_epoch, _mixtures(aligner)
        if len(batch):
            self._expect(module, aligner, batch, versions)
        if module.trainer.is_last_batch:
            self._check_found()
            self.share_choices()
            step = m_step(module)
            step.step()
            if self.figures is not None:
                self.figures.occupancy = getattr(step, "optimizer", step).occupancy
            for stream in encoder.streams:
                stream.split(self._gaussians_in(min(epoch + 1, self.epochs - 1)))  # type: ignore[operator]

    def _expect(
        self,
        module: lightning.LightningModule,
        aligner: Aligner,
        batch: Batch,
        versions: Sequence[PackedFeatures],
    ) -> None:
        """The E-step. Arguments as of `step`."""
        epoch, encoder, features = module.current_epoch, _mixtures(aligner), versions[0]
        if epoch == 0 and not self._goes_on:
            states = self._first_states(aligner, batch, features).expand(len(encoder.streams), -1)
        else:
            emissions = encoder.emissions(features)
            since = epoch - self.pronunciation_epoch
            due = since >= 0 and since % _PRONUNCIATIONS_EVERY == 0
            choice = self.choice(encoder, batch, features, emissions if due else None)
            tokens = batch.texts.tokens(choice)
            sequences = states_of(encoder, features, tokens)
            with self.searching():
                paths = align_states(emissions.streams, features, sequences, check=False)
            self._found.append((batch.ids, paths.found.view(len(encoder.streams), -1).all(0)))
            states = paths.state_of_frame.view(len(encoder.streams), -1)
            if self.figures is not None:
                count_lengths(self.figures, tokens, sequences, paths)
            module.log(
                "loss",
                -paths.log_likelihood[: len(features.frames)].mean(),
                prog_bar=True,
                on_epoch=True,
                on_step=False,
                batch_size=len(features.frames),
            )
        accumulate(encoder, versions, states)

    def _check_found(self) -> None:
        """Raise AlignerError if an utterance of the epoch had no path: its emissions were not finite."""
        found, self._found = self._found, []
        if found and not bool(torch.cat([own for _, own in found]).all()):
            lost = [id for ids, own in found for id, ok in zip(ids, own.tolist(), strict=True) if not ok]
            raise AlignerError(
                f"{lost[0]}: no path through its states has a finite score (nor of {len(lost) - 1} others); "
                "the mixtures have come to nothing: train with fewer gaussians"
            )

    def share_choices(self) -> None:
        """Let every process know the pronunciations that all of them chose; any may write the checkpoint."""
        for choices in gathered(self._unshared):
            self._variants.update(choices)
        self._unshared = {}

    def state_dict(self) -> dict[str, Any]:
        """As of every method: the pronunciations chosen so far, and whether another aligner was the start."""
        variants = {id: list(choice) for id, choice in self._variants.items()}
        return {"variants": variants, **({GOES_ON: True} if self._goes_on else {})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As of every method."""
        self._variants = {id: tuple(choice) for id, choice in state["variants"].items()}

    def _gaussians_in(self, epoch: int) -> int:
        due = [number for first, number in self.gaussians.items() if first <= epoch]
        return due[-1] if due else 1

    def choice(
        self, encoder: PhoneMixtures, batch: Batch, features: PackedFeatures, emissions: Emissions | None
    ) -> Indices:
        """The pronunciations chosen so far, or anew by emissions, as `PackedTexts.tokens` takes them."""
        if emissions is not None:
            with self.searching():
                choice = choose_pronunciations(encoder, emissions.joint, features, batch.texts)
            chosen = dict(zip(batch.ids, batch.texts.variants_of(choice), strict=True))
            self._variants |= chosen
            self._unshared |= chosen
        else:
            choice = batch.texts.choice_of([self._variants.get(id) for id in batch.ids])
        return batch.texts.fitting(features.n_frames, choice)

    def _first_states(self, aligner: Aligner, batch: Batch, features: PackedFeatures) -> Tensor:
        """The state of every frame when training starts, `[F]`."""
        known = [self._init_alignments.get(id) for id in batch.ids]
        has_known = np.array([own is not None for own in known])
        choice = batch.texts.choice_of([None if own is None else own.variants for own in known])
        fitting = batch.texts.fitting(features.n_frames, choice)
        tokens = batch.texts.tokens(np.where(np.repeat(has_known, batch.texts.text_slots), choice, fitting))
        states = _mixtures(aligner).states(tokens, features.n_frames)
        rate_hz = aligner.frontend.sample_rate_hz
        flat = flat_states(states, features, batch.audio, batch.audio_lengths, rate_hz)
        if not has_known.any():
            return flat
        nothing = [np.zeros(length + 1) for length in tokens.lengths]
        boundaries_s = [
            none if own is None else own.boundaries_s for own, none in zip(known, nothing, strict=True)
        ]
        found = states_of_frames(
            np.concatenate(boundaries_s), tokens.lengths, states, aligner.frontend.grid, features.n_frames
        )
        is_known = on_device(np.repeat(has_known, features.n_frames), flat.device)
        return torch.where(is_known, on_device(found, flat.device), flat)


def count_lengths(
    figures: EpochFigures, tokens: PackedTokens, sequences: PackedStates, paths: StatePaths
) -> None:
    """Count the durations of tokens on the paths of the first stream.

    Args:
        figures: Where they are counted.
        tokens: Of a batch.
        sequences: Their states.
        paths: Through these, first those of the first stream.
    """
    device = paths.durations.device
    own = paths.durations[: len(sequences.lengths)].flatten()
    is_state = on_device(np.flatnonzero(inside(sequences.lengths)), device)
    durations = torch.zeros(len(tokens.token_ids), dtype=torch.int64, device=device)
    durations.index_add_(0, on_device(sequences.token, device), own[is_state])
    figures.count(on_device(tokens.token_ids, device), durations)


class MStep(torch.optim.Optimizer):
    """The M-step as an optimizer, because Lightning counts and checkpoints steps of optimizers only.

    Without one, `global_step` stays 0, and with it the steps in TensorBoard and in checkpoints.

    Args:
        encoder: What is trained.
        remembered_frames: See `GaussianMixtures.update`.
    """

    def __init__(self, encoder: PhoneMixtures, remembered_frames: float = 0.0) -> None:
        # An optimizer must have parameters; it never looks at these.
        super().__init__([stream.phones.mean for stream in encoder.streams], {})  # type: ignore[union-attr,misc,arg-type]
        self._encoder = encoder
        self.occupancy: Tensor | None = None  # of the first stream, `[M]`, in the last step
        self._remembered_frames = remembered_frames

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Add up the statistics of all processes, and update the mixtures."""
        streams = list(self._encoder.streams)
        add_up(s for stream in streams for mixtures in stream.mixtures for s in mixtures.statistics)  # type: ignore[union-attr]
        first: Any = streams[0]
        self.occupancy = torch.cat([mixtures.occupancy.sum(1) for mixtures in first.mixtures])
        for stream in streams:
            stream.update(_LEAST_VARIANCE, self._remembered_frames)  # type: ignore[operator]


def m_step(module: lightning.LightningModule) -> "MStep":
    """The M-step among a module's optimizers: the only one, or the first."""
    optimizers: Any = module.optimizers()
    return optimizers[0] if isinstance(optimizers, list) else optimizers


def accumulate(encoder: PhoneMixtures, versions: Sequence[PackedFeatures], states: Tensor) -> None:
    """The E-step for frames whose states are known.

    Args:
        encoder: What is trained.
        versions: The features of a batch, as of `EM.step`.
        states: `[R, F]`, of each frame in each stream.
    """
    for stream, state in zip(encoder.streams, states, strict=True):
        for version in versions:
            learnt = torch.where(versions[0].surplus | version.surplus, -1, state)
            stream.accumulate(version.frames, learnt)  # type: ignore[operator]


def _mixtures(aligner: Aligner) -> PhoneMixtures:
    """What is trained: the encoder, or that which it starts from."""
    encoder = aligner.encoder.without_context
    assert isinstance(encoder, PhoneMixtures)
    return encoder
