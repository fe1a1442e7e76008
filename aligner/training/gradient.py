"""Training by gradient: Adam on the likelihood along the best path, as Glow-TTS's encoder is trained.

B batch, F packed frames, R feature streams, N states of the phones of the texts.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from aligner.aligner import Aligner
from aligner.corpus.prepared import Utterance
from aligner.devices import on_device
from aligner.encoders.base import PackedStates
from aligner.encoders.glow_tts import GlowTTSEncoder
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import padded
from aligner.search import StatePaths, align_states, states_of
from aligner.text.packed import PackedTokens
from aligner.training.data import Batch
from aligner.training.em import EM, MStep, accumulate, count_lengths, m_step
from aligner.training.init_alignments import InitialAlignment
from aligner.training.method import TrainingMethod
from aligner.training.processes import add_up

_BETAS, _EPSILON = (0.9, 0.98), 1e-9  # Glow-TTS, after Vaswani et al.
_GRADIENT_CLIP = 5.0  # of the norm; Glow-TTS clips values at 5
_ONE_GAUSSIAN = 0.4  # of the warm start has one Gaussian a state, and takes the first pronunciation
# Pronunciations are chosen in the first epoch of gradients and every so many after it.
_PRONUNCIATIONS_EVERY = 8
# Of the utterances of an epoch, in so many the encoder is not told who speaks.
_NOT_TOLD = 0.15


class Gradient(TrainingMethod):
    """Adam with the Noam schedule, for `aligner.encoders.GlowTTSEncoder`, after a warm start by EM.

    The encoder starts from mixtures without context. These go on learning, by EM, along the paths that the
    encoder finds. The offsets that context adds to the mixtures' means have a normal prior around 0 (maximum
    a posteriori): without one, word boundaries were no better than those that the mixtures find alone
    (recipes/ljspeech/ABLATIONS.md).

    Where the encoder has vectors for speakers, some utterances of every epoch, drawn anew, are trained on as
    if nobody knew who speaks: so it learns what to expect of a voice that it has not heard.

    Args:
        epochs: Passes over the corpus after the warm start.
        learning_rate: Its peak, reached after the warm-up.
        warmup_steps: Steps until the peak; at least 1.
        warm_start_epochs: Passes in which EM alone learns the mixtures without context. 1 is next to nothing:
            what a flat start says.
        offset_deviation: Standard deviation of the prior of an offset, in standard deviations of its channel
            in the corpus; `.inf` for no prior. For every state of a batch's texts, and every channel of each
            stream, `offset² / (2 * offset_deviation²)` is added to the loss.

    Raises:
        AlignerError: For less than one epoch of either, or a deviation that is not above 0.

    Source:
        Kim et al., "Glow-TTS", 2020, for Adam and its schedule. Gauvain and Lee, "Maximum a posteriori
        estimation for multivariate Gaussian mixture observations of Markov chains", 1994, for a normal prior
        around means that are known from elsewhere.
    """

    def __init__(
        self,
        epochs: int = 24,
        learning_rate: float = 1e-3,
        warmup_steps: int = 4000,
        warm_start_epochs: int = 10,
        offset_deviation: float = 0.3,
    ) -> None:
        for name, value in (("epochs", epochs), ("warm_start_epochs", warm_start_epochs)):
            if value < 1:
                raise AlignerError(f"Gradient: {name} is {value}, must be at least 1")
        if not offset_deviation > 0:  # nor is nan
            raise AlignerError(f"Gradient: offset_deviation is {offset_deviation}, must be above 0")
        self.epochs = warm_start_epochs + epochs
        first = max(1, int(_ONE_GAUSSIAN * warm_start_epochs))
        self.warm_start = EM(warm_start_epochs, gaussians={}, pronunciation_epoch=first)
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.offset_deviation = offset_deviation

    def optimizers(self, aligner: Aligner) -> Any:
        """As of every method."""
        encoder = _encoder(aligner)
        start = self.warm_start
        start.gaussians = growth(encoder.gaussians, start.pronunciation_epoch, start.epochs)
        adam = Adam(encoder.parameters(), lr=self.learning_rate, betas=_BETAS, eps=_EPSILON)
        return [MStep(encoder.mixtures), adam], [noam(adam, self.warmup_steps)]

    def hours_in(self, epoch: int) -> float | None:
        """As of every method."""
        return self.warm_start.hours_in(epoch) if epoch < self.warm_start.epochs else None

    def start_from(self, alignments: Mapping[str, InitialAlignment]) -> None:
        """As of every method."""
        self.warm_start.start_from(alignments)

    def state_dict(self) -> dict[str, Any]:
        """As of every method: that of the warm start."""
        return self.warm_start.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As of every method."""
        self.warm_start.load_state_dict(state)

    def step(
        self,
        module: lightning.LightningModule,
        aligner: Aligner,
        batch: Batch,
        versions: Sequence[PackedFeatures],
    ) -> None:
        """One step of the warm start, or of Adam on the negative log posterior a frame and stream.

        All versions are scored along the best paths of the first.
        """
        encoder, epoch = _encoder(aligner), module.current_epoch
        if epoch < self.warm_start.epochs:
            self.warm_start.step(module, aligner, batch, versions)
            if module.trainer.is_last_batch and epoch + 1 == self.warm_start.epochs:
                encoder.start_from_mixtures()
            return
        optimizer: Any = module.optimizers()[1]  # type: ignore[index]
        optimizer.zero_grad(set_to_none=False)
        loss = torch.zeros((), device=module.device)
        if len(batch):
            speakers = told_speakers(batch.utterances, f"{module.seed} {epoch}")
            loss = self._loss(epoch - self.warm_start.epochs, encoder, batch, speakers, versions)
            module.manual_backward(loss)
        # The sum over all processes, a number: so a batch shared out gives the step of a whole one.
        n_frames = len(versions[0].frames) if len(batch) else 0
        size = torch.tensor(float(n_frames * len(encoder.streams)), device=module.device)
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in encoder.parameters()]
        loss = loss.detach()
        add_up([*gradients, loss, size])
        for parameter, gradient in zip(encoder.parameters(), gradients, strict=True):
            parameter.grad = gradient.div_(size.clamp(min=1))  # 0 where all of a batch was refused
        module.clip_gradients(optimizer, gradient_clip_val=_GRADIENT_CLIP, gradient_clip_algorithm="norm")
        optimizer.step()
        module.log("learning_rate", optimizer.param_groups[0]["lr"], batch_size=1)
        module.lr_schedulers().step()  # type: ignore[union-attr]
        mean = loss / size.clamp(min=1)
        module.log("loss", mean, prog_bar=True, on_epoch=True, on_step=False, batch_size=max(1, n_frames))
        if module.trainer.is_last_batch:
            self.warm_start.share_choices()
            m_step(module).step()

    def _loss(
        self,
        epoch: int,
        encoder: GlowTTSEncoder,
        batch: Batch,
        speakers: tuple[str, ...],
        versions: Sequence[PackedFeatures],
    ) -> Tensor:
        """Minus the log-likelihood of all phones' frames and of the offsets.

        That of the frames is along each stream's best path of the first version.

        Args:
            epoch: Of gradients, from 0.
            encoder: What is trained.
            batch: B utterances.
            speakers: What the encoder is told of who speaks these.
            versions: As of `step`.
        """
        features, mixtures = versions[0], encoder.mixtures
        device = features.frames.device
        chosen_by = mixtures.emissions(features) if epoch % _PRONUNCIATIONS_EVERY == 0 else None
        tokens = batch.texts.tokens(self.warm_start.choice(mixtures, batch, features, chosen_by))
        tokens = replace(tokens, speakers=speakers)
        offsets = encoder.offsets(tokens, device)
        states = states_of(encoder, features, tokens)
        emissions = encoder.emissions_of(features, tokens, [own.detach() for own in offsets])
        with self.searching():
            paths = align_states(emissions.streams, features, states)
        if self.figures is not None:
            count_lengths(self.figures, tokens, states, paths)
        del emissions  # of a long text as large as all that follows
        found = _states_of_frames(encoder, tokens, states, paths)
        symbols = encoder.symbols(tokens, device)
        accumulate(mixtures, versions, torch.where(found < 0, 0, 1 + symbols[found]))
        loss = torch.zeros((), device=device)
        for stream, own, state in zip(encoder.streams, offsets, found, strict=True):
            for version in versions:
                heard = torch.nonzero((state >= 0) & ~features.surplus & ~version.surplus)[:, 0]
                frames = version.frames[heard][:, stream.channels]  # type: ignore[index]
                scores = stream.log_likelihood_of(frames, own, symbols, state[heard])  # type: ignore[operator]
                loss = loss - scores.sum()
        penalty = sum(own.square().sum() for own in offsets) / (2 * self.offset_deviation**2)
        return loss / len(versions) + penalty


def _states_of_frames(
    encoder: GlowTTSEncoder, tokens: PackedTokens, states: PackedStates, paths: StatePaths
) -> Tensor:
    """Which state of the texts' phones each frame is in, on each stream's path, `[R, F]`; -1: a pause."""
    phone = np.cumsum(tokens.is_phone) - 1
    part = (states.states - 1) % encoder.states_per_phone
    place = np.where(states.states > 0, phone[states.token] * encoder.states_per_phone + part, -1)
    device = paths.durations.device
    places = on_device(padded(place, states.lengths), device)
    n_streams = len(paths.lengths) // len(states.lengths)
    total = len(paths.state_of_frame)
    found = torch.repeat_interleave(
        places.repeat(n_streams, 1).flatten(), paths.durations.flatten(), output_size=total
    )
    return found.view(n_streams, -1)


def told_speakers(utterances: Sequence[Utterance], draw: str) -> tuple[str, ...]:
    """Who speaks each utterance, "" for those in which the encoder is not told.

    An utterance's draw depends on nothing but its id and `draw`: it is the same in any batch and process.

    Args:
        utterances: Of a batch.
        draw: Of an epoch; another one draws anew.
    """

    def drawn(id: str) -> float:
        digest = hashlib.blake2b(f"{draw} {id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    return tuple("" if drawn(own.id) < _NOT_TOLD else own.speaker for own in utterances)


def growth(gaussians: int, first: int, epochs: int) -> dict[int, int]:
    """How the number of Gaussians of a state doubles over a warm start, as `EM` takes it.

    Args:
        gaussians: In the end.
        first: The epoch of the second, at least 1.
        epochs: Of the warm start.
    """
    doublings = math.ceil(math.log2(gaussians))
    step = (epochs - first) // (doublings + 1)
    return {first + i * step: min(gaussians, 2 ** (i + 1)) for i in range(doublings)}


def noam_factor(step: int, warmup_steps: int) -> float:
    """The learning rate of step 1, 2, ... as a part of its peak.

    It rises linearly until `warmup_steps`, then falls with the square root of the step.

    Args:
        step: From 1.
        warmup_steps: The step of the peak.

    Source:
        Vaswani et al., "Attention Is All You Need", 2017, equation 3, divided by its greatest value (hidden *
        warmup_steps) ** -0.5. For Glow-TTS (192 wide, 4000 steps) that is 1.14e-3.
    """
    return min(step / warmup_steps, (warmup_steps / step) ** 0.5)


def noam(optimizer: Optimizer, warmup_steps: int = 4000) -> LambdaLR:
    """The Noam schedule, to be stepped after every optimizer step.

    Args:
        optimizer: Its own rate is the peak.
        warmup_steps: The step of the peak.

    Raises:
        ValueError: For less than 1 warm-up step.
    """
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps ({warmup_steps}) must be at least 1")
    return LambdaLR(optimizer, lambda steps_done: noam_factor(steps_done + 1, warmup_steps))


def _encoder(aligner: Aligner) -> GlowTTSEncoder:
    if not isinstance(aligner.encoder, GlowTTSEncoder):
        raise AlignerError(
            f"Gradient trains aligner.encoders.GlowTTSEncoder, not {type(aligner.encoder).__name__}; "
            "set model.training to aligner.training.EM for PhoneMixtures, or to a method of your own"
        )
    return aligner.encoder
