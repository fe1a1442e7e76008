"""Training by gradient: Adam on the likelihood under the best path, as Glow-TTS's encoder is trained.

B batch, T text tokens, S speech frames.
"""

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

import mas
from aligner.aligner import Aligner
from aligner.encoders.glow_tts import GlowTTSEncoder
from aligner.encoders.silence import settle_surplus
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import padded
from aligner.training.data import Batch
from aligner.training.diagonal_prior import beta_binomial_prior
from aligner.training.method import TrainingMethod
from aligner.training.processes import add_up

_BETAS, _EPSILON = (0.9, 0.98), 1e-9  # Glow-TTS, after Vaswani et al.
_GRADIENT_CLIP = 5.0  # of the norm; Glow-TTS clips values at 5


class Gradient(TrainingMethod):
    """Adam with the Noam schedule, for `aligner.encoders.GlowTTSEncoder`.

    Args:
        epochs: Passes over the corpus.
        learning_rate: Its peak, reached after the warm-up.
        warmup_steps: Steps until the peak; at least 1.
        prior_epochs: Epochs over which a beta-binomial prior on the diagonal fades out of the search; 0 for
            none.
    """

    def __init__(
        self,
        epochs: int = 60,
        learning_rate: float = 1e-3,
        warmup_steps: int = 4000,
        prior_epochs: int = 0,
    ) -> None:
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.prior_epochs = prior_epochs

    def optimizers(self, aligner: Aligner) -> Any:
        """As of every method."""
        optimizer = Adam(_encoder(aligner).parameters(), lr=self.learning_rate, betas=_BETAS, eps=_EPSILON)
        return [optimizer], [noam(optimizer, self.warmup_steps)]

    def step(
        self,
        module: lightning.LightningModule,
        aligner: Aligner,
        batch: Batch,
        versions: Sequence[PackedFeatures],
    ) -> None:
        """One step of Adam on the negative log-likelihood a frame and channel.

        All versions are scored along the best path of the first.
        """
        encoder = _encoder(aligner)
        optimizer: Any = module.optimizers()
        optimizer.zero_grad(set_to_none=False)
        loss = torch.zeros((), device=module.device)
        if len(batch):
            loss = self._loss(module.current_epoch, aligner, batch, versions)
            module.manual_backward(loss)
        # The sum over all processes, a number: so a batch shared out gives the step of a whole one.
        size = torch.tensor(
            float(versions[0].frames.count_nonzero() if len(batch) else 0), device=module.device
        )
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in encoder.parameters()]
        loss = loss.detach()
        add_up([*gradients, loss, size])
        for parameter, gradient in zip(encoder.parameters(), gradients, strict=True):
            parameter.grad = gradient.div_(size.clamp(min=1))  # 0 where all of a batch was refused
        module.clip_gradients(optimizer, gradient_clip_val=_GRADIENT_CLIP, gradient_clip_algorithm="norm")
        optimizer.step()
        module.lr_schedulers().step()  # type: ignore[union-attr]
        module.log("loss", loss / size.clamp(min=1), prog_bar=True, batch_size=1)

    def _loss(self, epoch: int, aligner: Aligner, batch: Batch, versions: Sequence[PackedFeatures]) -> Tensor:
        """Minus the log-likelihood of all frames and channels along the best path of the first version."""
        features = versions[0]
        tokens, device = batch.texts.tokens(), features.frames.device
        text_lengths = torch.from_numpy(tokens.lengths).to(device)
        skippable = torch.from_numpy(padded(tokens.skippable, tokens.lengths)).to(device)
        token_ids = torch.from_numpy(tokens.padded()).to(device)
        mean, log_scale = _encoder(aligner)(token_ids, text_lengths)
        speech = [version.padded() for version in versions]
        version_scores = [
            settle_surplus(mas.log_likelihood(mean, log_scale, own), token_ids == 0, own) for own in speech
        ]
        scores = version_scores[0]
        searched = scores.detach()
        if epoch < self.prior_epochs:
            fading = 1 - epoch / self.prior_epochs
            prior = _diagonal_prior(text_lengths, features.lengths, scores.shape[1], (speech[0] == 0).all(2))
            searched = searched + fading * aligner.frontend.channels * prior
        durations = mas.search(searched, text_lengths, features.lengths, skippable=skippable)
        path = mas.dense_path(durations, scores.shape[2])
        return -torch.stack([(own * path).sum() for own in version_scores]).mean()


def _diagonal_prior(text_lengths: Tensor, lengths: Tensor, n_tokens: int, surplus: Tensor) -> Tensor:
    """The beta-binomial prior `[B, T, S]` without the surplus silence `[B, S]`, in which it is 0."""
    n_frames = surplus.shape[1]
    surplus = surplus & (torch.arange(n_frames, device=surplus.device) < lengths[:, None])
    prior = beta_binomial_prior(text_lengths, lengths - surplus.sum(1), n_tokens, n_frames)
    place = ((~surplus).cumsum(1) - 1).clamp(min=0)[:, None].expand(-1, n_tokens, -1)
    return prior.gather(2, place).masked_fill(surplus[:, None], 0.0)


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
