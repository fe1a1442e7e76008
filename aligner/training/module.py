"""The aligner: how it is trained and what it says.

T tokens, N samples, F frames of a batch one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import mas
from aligner.alignment import Alignment
from aligner.boundaries.loudness import loudness_db
from aligner.boundaries.pauses import drop_short_pauses, fit_pauses_to_loudness
from aligner.boundaries.refine import BoundaryRefiner
from aligner.confidence import Calibration, phone_evidence, utterance_evidence
from aligner.corpus.audio import read_audio, resample
from aligner.corpus.prepared import Utterance, load_audio
from aligner.encoders.glow_tts import TextEncoder
from aligner.encoders.phone_mixtures import PhoneMixtures, mean_scores
from aligner.errors import AlignerError
from aligner.evaluate import boundary_figures, compare
from aligner.frontends.base import Frontend
from aligner.instantiate import build, in_full
from aligner.plot import plot_alignment
from aligner.search.forced_alignment import Locator, Speech
from aligner.text.transcript import PAUSE, Tokens, Transcript
from aligner.training.data import Batch
from aligner.training.diagonal_prior import beta_binomial_prior
from aligner.training.em import Maximisation
from aligner.training.flat_start import flat_states
from aligner.training.gradient import noam
from aligner.training.init_alignments import Start

if TYPE_CHECKING:
    from aligner.training.voice_perturbation import Perturbation

_STATISTICS_BATCHES = 100  # several hours: the mean and deviation of a channel do not change beyond


class Aligner(lightning.LightningModule):
    """Learns from recordings and texts alone who speaks which phone when.

    symbols: the vocabulary, the pause first. frontend, encoder: `{class_path, init_args}` of a
    `frontends.Frontend`, and of `mixture.PhoneMixtures` (the default recipe) or `encoder.TextEncoder`
    (Glow-TTS's). text: what `text.load_phonemizer` takes, so that `align` can read text. perturbation:
    `{class_path, init_args}` of a `frontends.perturb.Perturbation`; each utterance is then trained on twice
    an epoch, as it is and, along the same path, in another voice drawn anew.

    shortest_pause_s: a shorter one between words is none. pause_fraction: pauses take in what is quieter
    than this part of the way from the utterance's quietest to its loudest; 0 leaves them as found. refine:
    move boundaries between phones to where the spectrum changes most nearby. seed: of everything drawn in
    training; an epoch's draws depend on it and the epoch alone, so that a resumed run goes on as it was.

    learning_rate: the peak of a TextEncoder's, reached after warmup_steps. prior_epochs: epochs over which a
    beta-binomial prior on the diagonal fades out of a TextEncoder's search, 0 for none.
    """

    statistics_taken: Tensor

    def __init__(
        self,
        symbols: Sequence[str],
        frontend: dict,  # not dict[str, Any]: inside Any LightningCLI would build every class_path it sees
        encoder: dict,
        text: dict[str, Any] | None = None,
        perturbation: dict | None = None,
        shortest_pause_s: float = 0.05,
        pause_fraction: float = 0.3,
        refine: bool = True,
        learning_rate: float = 1e-3,
        warmup_steps: int = 4000,
        prior_epochs: int = 0,
        seed: int = 0,
        trust: bool = True,
    ) -> None:
        super().__init__()
        if not symbols or symbols[0] != PAUSE:
            raise AlignerError(f"symbols must begin with {PAUSE!r}, not {list(symbols)[:1]}")
        self.automatic_optimization = False
        self.symbols = tuple(symbols)
        self.frontend = build(frontend, Frontend, own_only=not trust)
        self.encoder: PhoneMixtures | TextEncoder
        kind = encoder.get("class_path", "") if isinstance(encoder, dict) else ""
        linked: dict[str, Any] = {"vocab_size": len(symbols)}
        if kind.endswith("TextEncoder"):
            linked["channels"] = self.frontend.channels
        else:
            linked["channel_names"] = self.frontend.channel_names
        self.encoder = build(encoder, (PhoneMixtures, TextEncoder), own_only=not trust, **linked)
        self.perturbation = _perturbation(perturbation, own_only=not trust)
        self.save_hyperparameters(
            {
                "symbols": list(symbols),
                "frontend": in_full(frontend),
                "encoder": in_full(encoder),
                "text": text,
                "perturbation": None if perturbation is None else in_full(perturbation),
                "shortest_pause_s": shortest_pause_s,
                "pause_fraction": pause_fraction,
                "refine": refine,
                "learning_rate": learning_rate,
                "warmup_steps": warmup_steps,
                "prior_epochs": prior_epochs,
                "seed": seed,
            }
        )
        self.calibration = Calibration()
        self.refiner = BoundaryRefiner(self.frontend.sample_rate_hz)
        self.register_buffer("statistics_taken", torch.tensor(False))
        self.locator = Locator(self.frontend, self.encoder, symbols)
        self._kept_features: dict[str, Tensor] = {}
        self._variants: dict[str, tuple[int, ...]] = {}
        self._starts: dict[str, Start] = {}

    # ---------------------------------------------------------------- using it

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", *, trust: bool = False) -> "Aligner":
        """The aligner in a checkpoint, ready to align. Nothing in the file is executed.

        trust: allow frontends and encoders from outside this package. Raises AlignerError if the file is not
        such a checkpoint.
        """
        try:
            checkpoint = torch.load(path, map_location=device, weights_only=True)
            settings, state = dict(checkpoint["hyper_parameters"]), checkpoint["state_dict"]
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
            raise AlignerError(f"{path}: not a checkpoint of `aligner fit` ({error})") from error
        except Exception as error:  # pickle's own, raised for anything but plain data
            raise AlignerError(f"{path}: holds more than plain data and was not loaded ({error})") from error
        module = cls(**settings, trust=trust)
        module.load_state_dict(state)
        return module.to(device).eval()

    def align(
        self,
        audio: str | Path | NDArray[np.float32],
        text: str | Transcript,
        sample_rate_hz: int | None = None,
    ) -> Alignment:
        """When each phone and word of `text` is spoken in `audio`, a file or samples `[N]` in -1..1.

        sample_rate_hz: of samples. Raises AlignerError for audio that cannot be read and text that cannot be
        pronounced or holds symbols the aligner has not learnt.
        """
        name = "utterance"
        if isinstance(audio, str | Path):
            (samples, rate), name = read_audio(audio), Path(audio).stem
        else:
            samples, rate = _checked_samples(audio, sample_rate_hz)
        if isinstance(text, Transcript):
            transcript = text
        else:
            transcript = self.phonemizer()(text)
        resampled = resample(samples, rate, self.frontend.sample_rate_hz)
        return self.align_many([name], [resampled], [transcript], [len(samples) / rate])[0]

    def phonemizer(self):
        """What turns text into a Transcript, as when this aligner's corpus was prepared."""
        from aligner.text.phonemizer import load_phonemizer

        if not self.hparams["text"]:
            raise AlignerError(
                "this checkpoint does not say how its texts were phonemized; pass a Transcript"
            )
        settings = dict(self.hparams["text"])
        return load_phonemizer(
            settings["phonemizer"], settings["language"], **(settings.get("options") or {})
        )

    @torch.inference_mode()
    def align_many(
        self,
        ids: Sequence[str],
        audio: Sequence[Tensor],
        transcripts: Sequence[Transcript],
        durations_s: Sequence[float] | None = None,
    ) -> list[Alignment]:
        """Alignments of several utterances at once: audio `[N]` each at the frontend's sample rate.

        durations_s: each one's exact duration, if resampling has blurred it.
        Raises AlignerError for an unknown symbol or more tokens than frames, naming the utterance.
        """
        tokens, together, evidence, speech, scores = self._locate(ids, audio, transcripts)
        by_member = [self.locator.durations(member, speech, tokens, ids) for member in scores]
        durations = [together, *by_member]
        rate = self.frontend.sample_rate_hz
        return [
            self._alignment(
                id,
                tokens[i],
                transcripts[i],
                [rows[i] for rows in durations],
                evidence[i],
                audio[i],
                durations_s[i] if durations_s else len(audio[i]) / rate,
            )
            for i, id in enumerate(ids)
        ]

    @torch.inference_mode()
    def evidence(
        self, ids: Sequence[str], audio: Sequence[Tensor], transcripts: Sequence[Transcript]
    ) -> list[tuple[Tokens, NDArray[np.int64], NDArray[np.float64]]]:
        """Of each utterance its tokens, their frames and how well each fits, `[T]` (`confidence`)."""
        tokens, durations, evidence, *_ = self._locate(ids, audio, transcripts)
        return list(zip(tokens, durations, evidence, strict=True))

    def _locate(self, ids, audio, transcripts):
        """Of each utterance tokens, durations by all members together, and evidence; the speech, and each
        member's scores of it.
        """
        locator = self.locator
        batch_audio = torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True).to(self.device)
        speech = locator.speech(batch_audio, torch.tensor([len(a) for a in audio]))
        scores = locator.scores(speech, transcripts, ids)
        together = mean_scores(scores)
        variants = locator.choose_variants(together, speech, transcripts, ids)
        tokens = [t.tokens(v) for t, v in zip(transcripts, variants, strict=True)]
        durations = locator.durations(together, speech, tokens, ids)
        posteriors = locator.symbol_posteriors(speech, together)
        evidence = phone_evidence(posteriors, speech.starts.tolist(), durations, tokens, locator.token_ids)
        return tokens, durations, evidence, speech, scores

    def align_utterances(self, utterances: Sequence[Utterance]) -> list[Alignment]:
        """As `align_many`, reading the audio of a prepared corpus' utterances."""
        audio = [load_audio(utterance, self.frontend.sample_rate_hz) for utterance in utterances]
        aligned = self.align_many(
            [u.id for u in utterances],
            audio,
            [u.transcript for u in utterances],
            [u.duration_s for u in utterances],
        )
        return [
            replace(alignment, speaker=u.speaker, text=u.text, audio=str(u.audio))
            for alignment, u in zip(aligned, utterances, strict=True)
        ]

    def _alignment(
        self,
        id,
        tokens: Tokens,
        transcript: Transcript,
        durations,
        evidence,
        audio: Tensor,
        duration_s: float,
    ) -> Alignment:
        edges = np.mean([np.concatenate([[0], np.cumsum(row)]) for row in durations], axis=0)
        boundaries = self.frontend.grid.boundary_s(edges).clip(0.0, duration_s)
        boundaries[0], boundaries[-1] = 0.0, duration_s
        boundaries = drop_short_pauses(tokens, boundaries, self.hparams["shortest_pause_s"])
        if self.hparams["refine"]:
            boundaries = self.refiner.refine(tokens, boundaries, audio)
        if self.hparams["pause_fraction"]:
            loudness = loudness_db(audio, self.frontend.sample_rate_hz)
            boundaries = fit_pauses_to_loudness(tokens, boundaries, loudness, self.hparams["pause_fraction"])
        return Alignment.from_boundaries(
            id,
            tokens.symbols,
            tokens.words,
            [word.text for word in transcript.words],
            boundaries,
            duration_s,
            scores=self.calibration.phones(evidence),
            score=self.calibration.utterance(utterance_evidence(evidence, tokens, durations[0])),
        )

    # ---------------------------------------------------------------- training

    def configure_optimizers(self):
        if isinstance(self.encoder, TextEncoder):
            optimizer = torch.optim.Adam(
                self.encoder.parameters(), lr=self.hparams["learning_rate"], betas=(0.9, 0.98), eps=1e-9
            )
            return [optimizer], [noam(optimizer, self.hparams["warmup_steps"])]
        return Maximisation(self.encoder)

    def start_from(self, starts: Mapping[str, Start]) -> None:
        """Begin training with these utterances' known times instead of flat; ids may be missing.

        Raises AlignerError if the encoder is a TextEncoder, which does not start flat.
        """
        if isinstance(self.encoder, TextEncoder):
            raise AlignerError(
                "known times can start phone mixtures only; use prior_epochs with a TextEncoder"
            )
        self._starts = dict(starts)
        self._variants.update((id, start.variants) for id, start in starts.items())

    def on_fit_start(self) -> None:
        if isinstance(self.encoder, PhoneMixtures):
            self.trainer.fit_loop.max_epochs = self.encoder.epochs
        if not self.statistics_taken:
            loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
            some = islice(loader, _STATISTICS_BATCHES)
            self.frontend.fit_statistics((batch.audio, batch.audio_lengths) for batch in some)
            self.statistics_taken.fill_(True)

    def training_step(self, batch: Batch, batch_index: int) -> None:
        if batch_index == 0:  # only now: a loader may or may not draw when an epoch starts
            torch.manual_seed(self.hparams["seed"] + self.current_epoch)
        speech = self._speech(batch)
        versions = [speech, *self._perturbed(batch)]
        if isinstance(self.encoder, TextEncoder):
            self._gradient_step(batch, versions)
        else:
            self._mixture_step(batch, versions)

    def _speech(self, batch: Batch) -> Speech:
        """A batch's features, computed when its audio first comes and kept."""
        if any(id not in self._kept_features for id in batch.ids):
            speech = self.locator.speech(batch.audio, batch.audio_lengths)
            self._kept_features.update(zip(batch.ids, speech.utterances(), strict=True))
        return Speech.of([self._kept_features[id] for id in batch.ids])

    def _perturbed(self, batch: Batch) -> list[Speech]:
        """The batch's features in other voices, drawn anew each time; none without a perturbation."""
        if self.perturbation is None:
            return []
        audio = torch.zeros_like(batch.audio)
        for row, sound, length in zip(audio, batch.audio, batch.audio_lengths.tolist(), strict=True):
            row[:length] = self.perturbation(sound[:length].cpu(), self.frontend.sample_rate_hz)
        return [self.locator.speech(audio, batch.audio_lengths)]

    def _gradient_step(self, batch: Batch, versions: Sequence[Speech]) -> None:
        """One step of Adam on the negative log-likelihood under the best path of the first version, a frame
        and channel.
        """
        assert isinstance(self.encoder, TextEncoder)
        optimizer: Any = self.optimizers()
        speech = versions[0]
        mean, log_scale = self.encoder(batch.token_ids, batch.text_lengths)
        version_scores = [
            mas.log_likelihood(
                mean,
                log_scale,
                torch.nn.utils.rnn.pad_sequence(version.utterances(), batch_first=True),
            )
            for version in versions
        ]
        scores = version_scores[0]
        searched = scores.detach()
        prior_epochs = self.hparams["prior_epochs"]
        if self.current_epoch < prior_epochs:
            fading = 1 - self.current_epoch / prior_epochs
            searched = searched + fading * self.frontend.channels * beta_binomial_prior(
                batch.text_lengths, speech.lengths, scores.shape[1], scores.shape[2]
            )
        durations = mas.search(searched, batch.text_lengths, speech.lengths, skippable=batch.skippable)
        path = mas.dense_path(durations, scores.shape[2])
        total = torch.stack([(scores * path).sum() for scores in version_scores]).mean()
        loss = -total / speech.features.numel()
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizer, gradient_clip_val=5.0, gradient_clip_algorithm="norm")
        optimizer.step()
        self.lr_schedulers().step()  # type: ignore[union-attr]
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))

    def _mixture_step(self, batch: Batch, versions: Sequence[Speech]) -> None:
        """The E-step on a batch, by the first version's path; after the last of an epoch the M-step."""
        assert isinstance(self.encoder, PhoneMixtures)
        speech = versions[0]
        epoch, encoder = self.current_epoch, self.encoder
        with torch.no_grad():
            if epoch == 0:
                states = [self._first_states(batch, speech)] * len(encoder.members)
                loss = torch.tensor(float("nan"))
            else:
                scores = self.locator.scores(speech, batch.transcripts, batch.ids)
                tokens = self._training_tokens(batch, speech, mean_scores(scores))
                paths = [self.locator.paths(member, speech, tokens, batch.ids)[0] for member in scores]
                states = [path.state for path in paths]
                loss = -paths[0].scores.mean()
            for member, state in zip(encoder.members, states, strict=True):
                for version in versions:
                    member.accumulate(version.features, state)  # type: ignore[operator]
        if epoch:
            self.log(
                "loss", loss, prog_bar=True, on_epoch=True, on_step=False, batch_size=len(speech.features)
            )
        if self.trainer.is_last_batch:
            self.optimizers().step()  # type: ignore[union-attr]
            following = min(epoch + 1, len(encoder.components) - 1)
            for member in encoder.members:
                member.split(encoder.components[following])  # type: ignore[operator]

    def _training_tokens(self, batch: Batch, speech: Speech, scores: Tensor) -> list[Tokens]:
        assert isinstance(self.encoder, PhoneMixtures)
        due = self.current_epoch - self.encoder.variant_epoch
        # every other epoch: the choice settles within a few, and costs as much as the rest of the epoch
        if due >= 0 and due % 2 == 0:
            chosen = self.locator.choose_variants(scores, speech, batch.transcripts, batch.ids)
            self._variants.update(zip(batch.ids, chosen, strict=True))
        return [
            transcript.tokens(self._variants.get(id))
            for transcript, id in zip(batch.transcripts, batch.ids, strict=True)
        ]

    def _first_states(self, batch: Batch, speech: Speech) -> Tensor:
        """The state of every frame when training starts, `[F]`."""
        rows = []
        lengths = zip(speech.lengths.tolist(), batch.audio_lengths.tolist(), strict=True)
        for index, (n_frames, n_samples) in enumerate(lengths):
            tokens = batch.transcripts[index].tokens(self._variants.get(batch.ids[index]))
            states, owners = self.locator.states_of(tokens, n_frames)
            if (start := self._starts.get(batch.ids[index])) is not None:
                known = start.states(states, owners, self.frontend.grid, n_frames)
                rows.append(torch.from_numpy(known))
                continue
            skippable = [tokens.skippable[owner] for owner in owners]
            audio = batch.audio[index, :n_samples]
            rows.append(flat_states(states, skippable, n_frames, audio, self.frontend.sample_rate_hz))
        return torch.cat(rows).to(speech.features.device)

    def on_train_epoch_end(self) -> None:
        needed = self.perturbation is not None
        self.trainer.datamodule.training_needs_audio = needed  # type: ignore[attr-defined]
        if isinstance(self.encoder, PhoneMixtures) and self.current_epoch + 1 == self.encoder.epochs:
            self._calibrate()

    def _calibrate(self) -> None:
        utterances = self.trainer.datamodule.utterances  # type: ignore[attr-defined]
        self.eval()
        self.calibration.fit(self, utterances, self.hparams["seed"])
        self.train()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["variants"] = {id: list(choice) for id, choice in self._variants.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._variants = {id: tuple(choice) for id, choice in checkpoint.get("variants", {}).items()}

    # ---------------------------------------------------------------- looking at it

    def on_validation_epoch_start(self) -> None:
        self._errors: dict[str, list[float]] = {"words": [], "phones": []}

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Boundary errors where the corpus has reference times, and a picture of the first alignment."""
        if self.trainer.sanity_checking:
            return
        known = {u.id: u for u in self.trainer.datamodule.utterances}  # type: ignore[attr-defined]
        utterances = [known[id] for id in batch.ids]
        for position, (utterance, alignment) in enumerate(
            zip(utterances, self.align_utterances(utterances), strict=True)
        ):
            if utterance.reference is not None:
                errors = compare(alignment, utterance.reference)
                self._errors["words"] += [*errors.word_starts_ms, *errors.word_ends_ms]
                self._errors["phones"] += errors.phones_ms
            if batch_index == 0 and position == 0:
                self._show(alignment, utterance, batch.audio[0, : batch.audio_lengths[0]])

    def on_validation_epoch_end(self) -> None:
        for level, errors in self._errors.items():
            if errors:
                figures = boundary_figures(errors)
                self.log(f"{level}_error_ms", float(figures["mean_ms"] or 0.0), prog_bar=True)
                self.log(f"{level}_within_20ms", float(figures["within_20ms"] or 0.0))

    def _show(self, alignment: Alignment, utterance: Utterance, audio: Tensor) -> None:
        board = getattr(self.logger, "experiment", None)
        if hasattr(board, "add_figure"):
            figure = plot_alignment(
                alignment, audio.cpu().numpy(), self.frontend.sample_rate_hz, utterance.reference
            )
            board.add_figure("alignment", figure, self.current_epoch)  # type: ignore[union-attr]


def _perturbation(spec: dict | None, *, own_only: bool) -> "Perturbation | None":
    if spec is None:
        return None
    from aligner.training.voice_perturbation import Perturbation  # loads numba, which few runs need

    return build(spec, Perturbation, own_only=own_only)


def _checked_samples(
    audio: NDArray[np.float32], sample_rate_hz: int | None
) -> tuple[NDArray[np.float32], int]:
    if sample_rate_hz is None:
        raise AlignerError("audio given as samples needs sample_rate_hz")
    samples = np.asarray(audio, np.float32)
    if samples.ndim != 1:
        raise AlignerError(f"audio has shape {samples.shape}; one channel, [N], is needed")
    return samples, sample_rate_hz
