"""The aligner: features, priors, search; how it is trained and what it says.

B batch, T tokens, N samples, S frames of the longest utterance, F frames of a batch one after the other, C
channels, M states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import mas
from aligner.alignment import Alignment
from aligner.build import build
from aligner.confidence import Calibration, phone_evidence, utterance_evidence
from aligner.corpus import Utterance
from aligner.data import Batch
from aligner.encoder import TextEncoder
from aligner.errors import AlignerError
from aligner.evaluate import boundary_figures, compare
from aligner.frontends.base import Frontend
from aligner.loudness import loudness_db, threshold_db
from aligner.mixture import PhoneMixtures
from aligner.paths import Paths, best_paths
from aligner.pauses import drop_short_pauses, fit_pauses_to_loudness
from aligner.prior import beta_binomial_prior
from aligner.pronunciation import choose_variants
from aligner.refine import BoundaryRefiner
from aligner.report import plot_alignment
from aligner.schedule import noam
from aligner.transcript import PAUSE, Tokens, Transcript

# A variance below this part of the corpus' own is noise of a component with few frames (Kaldi: 0.01).
_LEAST_VARIANCE = 0.01
_STATISTICS_BATCHES = 100  # several hours: the mean and deviation of a channel do not change beyond
_VARIANT_ROUNDS = 2  # a word's variant depends on its neighbours'; a third round changes next to nothing


@dataclass
class Speech:
    """The features of a batch, frames of all utterances one after the other.

    features: `[F, C]`. starts, lengths: `[B]`, each utterance's first frame and number of frames.
    """

    features: Tensor
    starts: Tensor
    lengths: Tensor


class Aligner(lightning.LightningModule):
    """Learns from recordings and texts alone who speaks which phone when.

    symbols: the vocabulary, the pause first. frontend, encoder: `{class_path, init_args}` of a
    `frontends.Frontend`, and of `mixture.PhoneMixtures` (the default recipe) or `encoder.TextEncoder`
    (Glow-TTS's). text: what `text.load_phonemizer` takes, so that `align` can read text.

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
        frontend: dict[str, Any],
        encoder: dict[str, Any],
        text: dict[str, Any] | None = None,
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
        self.save_hyperparameters(
            {
                "symbols": list(symbols),
                "frontend": frontend,
                "encoder": encoder,
                "text": text,
                "shortest_pause_s": shortest_pause_s,
                "pause_fraction": pause_fraction,
                "refine": refine,
                "learning_rate": learning_rate,
                "warmup_steps": warmup_steps,
                "prior_epochs": prior_epochs,
                "seed": seed,
            }
        )
        self.automatic_optimization = False
        self.symbols = tuple(symbols)
        self.token_ids = {symbol: index for index, symbol in enumerate(symbols)}
        self.frontend = build(frontend, Frontend, own_only=not trust)
        self.encoder: PhoneMixtures | TextEncoder
        kind = encoder.get("class_path", "") if isinstance(encoder, dict) else ""
        linked: dict[str, Any] = {"vocab_size": len(symbols)}
        if kind.endswith("TextEncoder"):
            linked["channels"] = self.frontend.channels
        else:
            linked["channel_names"] = self.frontend.channel_names
        self.encoder = build(encoder, (PhoneMixtures, TextEncoder), own_only=not trust, **linked)
        self.calibration = Calibration()
        self.refiner = BoundaryRefiner(self.frontend.sample_rate_hz)
        self.register_buffer("statistics_taken", torch.tensor(False))
        self._cache: dict[str, Tensor] = {}
        self._variants: dict[str, tuple[int, ...]] = {}

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
        samples, rate, name = _read(audio, sample_rate_hz)
        if isinstance(text, Transcript):
            transcript = text
        else:
            transcript = self.phonemizer()(text)
        resampled = _resampled(samples, rate, self.frontend.sample_rate_hz)
        return self.align_many([name], [resampled], [transcript], [len(samples) / rate])[0]

    def phonemizer(self):
        """What turns text into a Transcript, as when this aligner's corpus was prepared."""
        from aligner.text import load_phonemizer

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
        tokens, durations, evidence = self._locate(ids, audio, transcripts)
        rate = self.frontend.sample_rate_hz
        return [
            self._alignment(
                id,
                tokens[i],
                transcripts[i],
                [member[i] for member in durations],
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
        tokens, durations, evidence = self._locate(ids, audio, transcripts)
        return list(zip(tokens, durations[0], evidence, strict=True))

    def _locate(self, ids, audio, transcripts):
        """Tokens and evidence of each utterance, and durations by member and utterance."""
        batch_audio = torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True).to(self.device)
        speech = self.speech(batch_audio, torch.tensor([len(a) for a in audio]))
        scores = self._member_scores(speech, transcripts, ids)
        tokens = self._choose_tokens(scores[0], speech, transcripts, ids)
        durations = [self._search(member, speech, tokens, ids) for member in scores]
        posteriors = self.symbol_posteriors(speech, scores[0])
        return (
            tokens,
            durations,
            phone_evidence(posteriors, speech.starts.tolist(), durations[0], tokens, self.token_ids),
        )

    def symbol_posteriors(self, speech: Speech, scores: Tensor) -> Tensor:
        """Log probability of every symbol at every frame, `[F, V]`, from the first member's scores `[F, M]`.

        A TextEncoder is asked for the prior of each symbol standing alone.
        """
        if isinstance(self.encoder, PhoneMixtures):
            log_states = scores.log_softmax(1)
            phones = log_states[:, 1:].unflatten(1, (len(self.symbols) - 1, self.encoder.states)).logsumexp(2)
            return torch.cat([log_states[:, :1], phones], 1)
        alone = torch.arange(len(self.symbols), device=self.device)[:, None]
        mean, log_scale = self.encoder(alone, torch.ones_like(alone[:, 0]))
        likelihood = mas.log_likelihood(mean[:, 0][None], log_scale[:, 0][None], speech.features[None])[0]
        return likelihood.T.log_softmax(1)

    def align_utterances(self, utterances: Sequence[Utterance]) -> list[Alignment]:
        """As `align_many`, reading the audio of a prepared corpus' utterances."""
        from dataclasses import replace

        from aligner.corpus import load_audio

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

    # ---------------------------------------------------------------- from audio to durations

    def speech(self, audio: Tensor, audio_lengths: Tensor, ids: Sequence[str] | None = None) -> Speech:
        """Features of `[B, N]`, each utterance's own mean taken off (the microphone, and much of the
        speaker).

        ids: given in training, where they are computed once and kept.
        """
        if ids is not None and audio.shape[1] == 0:
            parts = [self._cache[id] for id in ids]
        else:
            features, lengths = self.frontend(audio, audio_lengths)
            parts = [item[:length] for item, length in zip(features, lengths.tolist(), strict=True)]
            parts = [part - part.mean(0) for part in parts]
            if ids is not None:
                self._cache.update(zip(ids, parts, strict=True))
        lengths = torch.tensor([len(part) for part in parts], device=parts[0].device)
        return Speech(torch.cat(parts), lengths.cumsum(0) - lengths, lengths)

    def _member_scores(self, speech: Speech, transcripts, ids) -> list[Tensor]:
        """Scores `[F, M]` of each member of the mixtures, or of the TextEncoder."""
        if isinstance(self.encoder, TextEncoder):
            tokens = [transcript.tokens() for transcript in transcripts]
            return self._encoder_scores(speech, tokens, ids)
        return [member.scores(speech.features) for member in self.encoder.members]  # type: ignore[operator]

    def _encoder_scores(self, speech: Speech, tokens: Sequence[Tokens], ids: Sequence[str]) -> list[Tensor]:
        """The same for a TextEncoder, whose states are the tokens of the batch: `[F, B * T]`."""
        assert isinstance(self.encoder, TextEncoder)
        token_ids, lengths = self._token_ids(tokens, ids)
        mean, log_scale = self.encoder(token_ids, lengths)
        return [
            torch.cat(
                [
                    mas.log_likelihood(mean.flatten(0, 1)[None], log_scale.flatten(0, 1)[None], part[None])[
                        0
                    ].T
                    for part in speech.features.split(8192)
                ]
            )
        ]

    def _choose_tokens(
        self, scores: Tensor, speech: Speech, transcripts: Sequence[Transcript], ids: Sequence[str]
    ) -> list[Tokens]:
        variants = self._choose_variants(scores, speech, transcripts, ids)
        return [t.tokens(v) for t, v in zip(transcripts, variants, strict=True)]

    def _choose_variants(self, scores, speech, transcripts, ids) -> list[tuple[int, ...]]:
        """A TextEncoder takes the first of each word: its scores hold for one token sequence alone."""
        chosen = [(0,) * len(transcript.words) for transcript in transcripts]
        if isinstance(self.encoder, TextEncoder):
            return chosen
        for _ in range(_VARIANT_ROUNDS):
            tokens = [t.tokens(v) for t, v in zip(transcripts, chosen, strict=True)]
            owned = self._search(scores, speech, tokens, ids)
            spans = [
                _word_spans(item, durations, start)
                for item, durations, start in zip(tokens, owned, speech.starts.tolist(), strict=True)
            ]
            before = chosen
            chosen = choose_variants(scores, spans, transcripts, chosen, self._states_of)
            if chosen == before:
                break
        return chosen

    def _states_of(self, tokens: Tokens, n_frames: int) -> tuple[list[int], list[int]]:
        assert isinstance(self.encoder, PhoneMixtures)
        return self.encoder.states_of([self.token_ids[symbol] for symbol in tokens.symbols], n_frames)

    def _paths(
        self, scores: Tensor, speech: Speech, tokens: Sequence[Tokens], ids: Sequence[str]
    ) -> tuple[Paths, list[list[int]]]:
        """The best path of every utterance, and for each of its states the token that owns it."""
        states, owners, skippable = [], [], []
        widest = max(len(item) for item in tokens)
        for index, (item, id, n_frames) in enumerate(zip(tokens, ids, speech.lengths.tolist(), strict=True)):
            needed = len(item) - sum(item.skippable)
            if needed > n_frames:
                raise AlignerError(
                    f"{id}: {needed} tokens in {n_frames} frames; is this the text of this audio?"
                )
            self._check_symbols(item, id)
            if isinstance(self.encoder, TextEncoder):
                own = list(range(len(item)))
                states.append([index * widest + t for t in own])
            else:
                sequence, own = self._states_of(item, n_frames)
                states.append(sequence)
            owners.append(own)
            skippable.append([item.skippable[owner] for owner in own])
        return best_paths(scores, speech.starts, speech.lengths, states, skippable), owners

    def _check_symbols(self, tokens: Tokens, id: str) -> None:
        unknown = sorted(set(tokens.symbols) - set(self.token_ids))
        if unknown:
            raise AlignerError(
                f"{id}: the aligner has not learnt {', '.join(unknown)}; it knows {', '.join(self.symbols)}"
            )

    def _search(self, scores, speech, tokens, ids) -> list[NDArray[np.int64]]:
        """Frames of each token, for every utterance."""
        paths, owners = self._paths(scores, speech, tokens, ids)
        rows = paths.durations.cpu().numpy()
        return [
            np.bincount(own, row[: len(own)], minlength=len(item)).astype(np.int64)
            for row, own, item in zip(rows, owners, tokens, strict=True)
        ]

    def _token_ids(self, tokens: Sequence[Tokens], ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = []
        for item, id in zip(tokens, ids, strict=True):
            self._check_symbols(item, id)
            rows.append(torch.tensor([self.token_ids[symbol] for symbol in item.symbols]))
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self.device)
        return padded, torch.tensor([len(row) for row in rows], device=self.device)

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
        return ExpectationMaximisation(self.encoder)

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
        speech = self.speech(batch.audio, batch.audio_lengths, batch.ids)
        if isinstance(self.encoder, TextEncoder):
            self._gradient_step(batch, speech)
        else:
            self._mixture_step(batch, speech)

    def _gradient_step(self, batch: Batch, speech: Speech) -> None:
        """One step of Adam on the negative log-likelihood under the best path, a frame and channel."""
        assert isinstance(self.encoder, TextEncoder)
        optimizer: Any = self.optimizers()
        features = torch.nn.utils.rnn.pad_sequence(
            list(speech.features.split(speech.lengths.tolist())), batch_first=True
        )
        mean, log_scale = self.encoder(batch.token_ids, batch.text_lengths)
        scores = mas.log_likelihood(mean, log_scale, features)
        searched = scores.detach()
        prior_epochs = self.hparams["prior_epochs"]
        if self.current_epoch < prior_epochs:
            fading = 1 - self.current_epoch / prior_epochs
            searched = searched + fading * self.frontend.channels * beta_binomial_prior(
                batch.text_lengths, speech.lengths, scores.shape[1], scores.shape[2]
            )
        durations = mas.search(searched, batch.text_lengths, speech.lengths, skippable=batch.skippable)
        path = mas.dense_path(durations, scores.shape[2])
        loss = -(scores * path).sum() / speech.features.numel()
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizer, gradient_clip_val=5.0, gradient_clip_algorithm="norm")
        optimizer.step()
        self.lr_schedulers().step()  # type: ignore[union-attr]
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))

    def _mixture_step(self, batch: Batch, speech: Speech) -> None:
        """The E-step on a batch; after the last of an epoch the M-step."""
        assert isinstance(self.encoder, PhoneMixtures)
        epoch, encoder = self.current_epoch, self.encoder
        with torch.no_grad():
            if epoch == 0:
                states = [self._flat_states(batch, speech)] * len(encoder.members)
                loss = torch.tensor(float("nan"))
            else:
                scores = [member.scores(speech.features) for member in encoder.members]  # type: ignore[operator]
                tokens = self._training_tokens(batch, speech, scores[0])
                paths = [self._paths(member, speech, tokens, batch.ids)[0] for member in scores]
                states = [path.state for path in paths]
                loss = -paths[0].scores.mean()
            for member, state in zip(encoder.members, states, strict=True):
                member.accumulate(speech.features, state)  # type: ignore[operator]
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
            chosen = self._choose_variants(scores, speech, batch.transcripts, batch.ids)
            self._variants.update(zip(batch.ids, chosen, strict=True))
        return [
            transcript.tokens(self._variants.get(id))
            for transcript, id in zip(batch.transcripts, batch.ids, strict=True)
        ]

    def _flat_states(self, batch: Batch, speech: Speech) -> Tensor:
        """Where training starts: quiet edges are pauses, phones share the rest evenly."""
        states = []
        for index, (transcript, n_frames) in enumerate(
            zip(batch.transcripts, speech.lengths.tolist(), strict=True)
        ):
            tokens = transcript.tokens(self._variants.get(batch.ids[index]))
            sequence, owners = self._states_of(tokens, n_frames)
            audio = batch.audio[index, : batch.audio_lengths[index]]
            loudness = loudness_db(audio, self.frontend.sample_rate_hz)
            step = max(1, round(len(loudness) / n_frames))
            quiet = (loudness[::step] < threshold_db(loudness, 0.3)).tolist()
            spoken = [s for s, owner in zip(sequence, owners, strict=True) if not tokens.skippable[owner]]
            lead = _run(quiet, n_frames // 3) if sequence[0] == 0 else 0
            tail = _run(quiet[::-1], n_frames // 3) if sequence[-1] == 0 else 0
            if n_frames - lead - tail < len(spoken):
                lead = tail = 0
            share = torch.arange(n_frames - lead - tail) * len(spoken) // (n_frames - lead - tail)
            middle = torch.tensor(spoken)[share]
            states.append(torch.cat([torch.zeros(lead), middle, torch.zeros(tail)]).long())
        return torch.cat(states).to(speech.features.device)

    def on_train_epoch_end(self) -> None:
        self.trainer.datamodule.training_needs_audio = False  # type: ignore[attr-defined]
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


class ExpectationMaximisation(torch.optim.Optimizer):
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


def _word_spans(tokens: Tokens, durations: NDArray[np.int64], start: int) -> list[tuple[int, int]]:
    edges = start + np.concatenate([[0], np.cumsum(durations)])
    spans: dict[int, tuple[int, int]] = {}
    for t, word in enumerate(tokens.words):
        if word >= 0:
            spans[word] = (spans.get(word, (int(edges[t]), 0))[0], int(edges[t + 1]))
    return [spans[word] for word in sorted(spans)]


def _run(flags: Sequence[bool], longest: int) -> int:
    """How many flags at the beginning are true, at most `longest`."""
    for index, flag in enumerate(flags[:longest]):
        if not flag:
            return index
    return min(longest, len(flags))


def _read(
    audio: str | Path | NDArray[np.float32], sample_rate_hz: int | None
) -> tuple[NDArray[np.float32], int, str]:
    if isinstance(audio, str | Path):
        import soundfile

        try:
            samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
        except (OSError, RuntimeError) as error:
            raise AlignerError(f"{audio}: cannot be read as audio ({error})") from error
        return samples.mean(1), rate, Path(audio).stem
    if sample_rate_hz is None:
        raise AlignerError("audio given as samples needs sample_rate_hz")
    samples = np.asarray(audio, np.float32)
    if samples.ndim != 1:
        raise AlignerError(f"audio has shape {samples.shape}; one channel, [N], is needed")
    return samples, sample_rate_hz, "utterance"


def _resampled(samples: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> Tensor:
    if rate_hz != wanted_hz:
        import soxr

        samples = soxr.resample(samples, rate_hz, wanted_hz)
    return torch.from_numpy(np.ascontiguousarray(samples))
