"""The aligner as it is used: from recordings and their transcripts to alignments.

N samples. How it is trained: `aligner.training`.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligner.alignment import Alignment
from aligner.boundaries import (
    DECAY_FRACTION,
    PAUSE_FRACTION,
    SHORTEST_PAUSE_S,
    BoundaryCorrection,
    PlacedBoundaries,
    boundary_spreads_s,
    hold,
)
from aligner.checkpoint import CHECKPOINT_KEY, OTHER_VERSION, read_checkpoint, weights
from aligner.confidence import Calibration, goodness_of_pronunciation, utterance_evidence
from aligner.corpus.audio import LOWEST_RATE_HZ, read_audio
from aligner.corpus.recording import Recording, checked_samples, heard, padded_audio
from aligner.decoded import Decoded, marked
from aligner.devices import check_device
from aligner.encoders import Encoder
from aligner.encoders.base import Emissions
from aligner.errors import AlignerError, reason
from aligner.formats.atomic import atomic_write
from aligner.frontends import Frontend
from aligner.frontends.packed import PackedFeatures
from aligner.frontends.usable import usable_features
from aligner.instantiate import UnknownSetting, instantiate
from aligner.naming import naming_the_utterance
from aligner.ragged import starts_of
from aligner.search import (
    CommonWords,
    HeldBoundaries,
    SpokenLikelihoods,
    check_frames,
    choose_pronunciations,
    forced_alignment,
    spoken_likelihoods,
)
from aligner.spread import with_spreads
from aligner.text.common_words import CommonWord
from aligner.text.packed import PackedTexts
from aligner.text.reading import REFERENCE, TextReading
from aligner.text.transcript import GAP, Transcript
from aligner.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from aligner.text.phonemizer import Phonemizer


class Aligner(nn.Module):
    """Finds when each phone and word is spoken.

    Args:
        symbols: The vocabulary, the pause first.
        frontend: Audio to features.
        encoder: Tokens to priors, made for these symbols and the frontend's channels.
        text: How texts become tokens, as `text.load_phonemizer` takes it, so that `align` can read text.
        shortest_pause_s: A shorter pause between words is dropped.
        pause_fraction: Audio counts as quiet up to this part of the way from the utterance's quietest to its
            loudest; pauses extend over it. 0 leaves them as found.
        refine: Move boundaries between phones to where the spectrum changes most nearby.
        decay_fraction: A word that ends before a pause has about what is louder than this part of that way:
            where its dying away ends is a convention. 0.45 is TIMIT's; 0.15 is that of people who leave next
            to nothing of it to the pause; the default lies between.
        common_words: Of which one that a text lacks is found sooner (`text.common_words`).

    Raises:
        AlignerError: If the symbols do not begin with the pause.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        frontend: Frontend,
        encoder: Encoder,
        text: dict[str, Any] | None = None,
        shortest_pause_s: float = SHORTEST_PAUSE_S,
        pause_fraction: float = PAUSE_FRACTION,
        refine: bool = True,
        decay_fraction: float = DECAY_FRACTION,
        common_words: Sequence[CommonWord] = (),
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(symbols)
        self.frontend = frontend
        self.encoder = encoder
        self.calibration = Calibration()
        self._plain_settings = {
            "text": text,
            "shortest_pause_s": shortest_pause_s,
            "pause_fraction": pause_fraction,
            "refine": refine,
            "decay_fraction": decay_fraction,
        }
        self.common_words = tuple(common_words)
        #: Texts are taken as said, word for word: no gaps are looked for.
        self.text_as_said = False
        self._phonemizer: Phonemizer | None = None  # loaded with the first text
        self._boundaries = BoundaryCorrection(
            frontend.grid, shortest_pause_s, pause_fraction, refine, decay_fraction, symbols
        )

    # The methods that follow call the stages of the drawing in README.md, in its order.

    @naming_the_utterance
    @torch.inference_mode()
    def align_batch(self, recordings: Sequence[Recording]) -> list[Alignment]:
        """Alignments of several recordings at once, with gaps marked where text and audio differ.

        Their scores are of the whole text, with what is not said.

        Args:
            recordings: With audio at the frontend's sample rate.

        Raises:
            AlignerError: For an unknown symbol, more tokens than frames, audio without features and whatever
                else went wrong, naming the utterance.
        """
        if not recordings:
            return []
        decoded, boundaries = self.boundaries(recordings)
        posterior_s, held = self.posterior_spread_s(decoded), HeldBoundaries.of(recordings)
        is_read = np.array([own.is_read for own in recordings])
        spreads_s = boundary_spreads_s(decoded.tokens, boundaries, posterior_s, is_read, held)
        return self._alignments(recordings, decoded, boundaries.times_s, spreads_s)

    @torch.inference_mode()
    def boundaries(self, recordings: Sequence[Recording]) -> tuple[Decoded, PlacedBoundaries]:
        """As `align_batch`, up to the times around each token of each utterance."""
        audio, audio_lengths = self._padded(recordings)
        decoded, features, emissions, posteriors = self._decode(recordings, audio, audio_lengths)
        if self.encoder.context_free and not self.text_as_said:
            wanted = {b: r.transcript for b, r in enumerate(recordings) if r.may_have_gaps}
            words = CommonWords.of(self.encoder, self.vocabulary, self.common_words)
            decoded = decoded.with_gaps(self.encoder, emissions, features, posteriors, wanted, words)
        tokens, frames = decoded.tokens, decoded.durations.boundaries_frames(decoded.tokens.lengths)
        durations_s = np.array([recording.duration_s for recording in recordings])
        found = self._boundaries.correct(tokens, frames, audio, audio_lengths, features.surplus, durations_s)
        return decoded, replace(found, times_s=hold(HeldBoundaries.of(recordings), tokens, found.times_s))

    def posterior_spread_s(self, decoded: Decoded) -> NDArray[np.float64]:
        """The standard deviation in seconds that the search gives each boundary, not calibrated."""
        return decoded.durations.spread_frames() * self.frontend.grid.hop_s

    @torch.inference_mode()
    def decode(self, recordings: Sequence[Recording], edges: bool = True) -> Decoded:
        """As `align_batch`, up to the frames of each token, or without their edges."""
        return self._decode(recordings, *self._padded(recordings), edges)[0]

    def _decode(
        self, recordings: Sequence[Recording], audio: Tensor, audio_lengths: Tensor, edges: bool = True
    ) -> tuple[Decoded, PackedFeatures, Emissions, Tensor]:
        """What was found, the features, their emissions, and the log posteriors of the symbols."""
        texts = PackedTexts.of(
            self.vocabulary, [r.id for r in recordings], [r.transcript for r in recordings]
        )
        features = self._features(recordings, audio, audio_lengths)
        tokens, emissions = texts.tokens(), None
        if (chooser := self.encoder.without_context) is not None:
            emissions = chooser.emissions(features, tokens)
            tokens = texts.tokens(choose_pronunciations(chooser, emissions.joint, features, texts))
        tokens = replace(tokens, speakers=tuple(recording.speaker for recording in recordings))
        if emissions is None or chooser is not self.encoder:
            check_frames(features, tokens)  # before whatever an encoder of context does with both
            emissions = self.encoder.emissions(features, tokens)
        held = HeldBoundaries.of(recordings)
        if held and self.encoder.context_free:  # the states of others are of whole texts
            part_frames, part_tokens = held.cut(features, tokens, self.frontend.grid)
            parts = forced_alignment(self.encoder, emissions, part_frames, part_tokens, edges)
            durations = parts.joined(part_tokens.lengths, part_frames.n_frames, tokens.lengths)
        else:
            durations = forced_alignment(self.encoder, emissions, features, tokens, edges)
        posteriors = self.encoder.log_posteriors(features, emissions)
        goodness = goodness_of_pronunciation(
            posteriors, starts_of(features.n_frames), durations.joint, tokens
        )
        evidence = utterance_evidence(goodness, tokens, durations.joint, self.frontend.grid.hop_s)
        return Decoded(texts, tokens, durations, goodness, evidence), features, emissions, posteriors

    def align(
        self,
        audio: str | Path | NDArray[np.float32],
        text: str | Transcript,
        sample_rate_hz: int | None = None,
        speaker: str = "",
    ) -> Alignment:
        """When each phone and word of a text is spoken in a recording.

        Args:
            audio: As of `recording`, like all that follows.
            text: As written, or a transcript.
            sample_rate_hz: Of samples.
            speaker: Who speaks, if known.

        Raises:
            AlignerError: As `recording` and `align_batch`.
        """
        return self.align_batch([self.recording(audio, text, sample_rate_hz, speaker)])[0]

    @torch.inference_mode()
    def likelihoods(self, recording: Recording, most_frames: int | None = None) -> SpokenLikelihoods:
        """The log-likelihood of every frame in the states of a recording's tokens, and the best path in it.

        Args:
            recording: As of `align_batch`. What a person set in it is not held.
            most_frames: Of the matrix; None: all, which of half an hour are 42 GB.

        Raises:
            AlignerError: As `align_batch`.
        """
        audio, audio_lengths = self._padded([recording])
        decoded, features, *_ = self._decode([recording], audio, audio_lengths, edges=False)
        return spoken_likelihoods(
            self.encoder, features, decoded.tokens, self.vocabulary.symbols, most_frames
        )

    def recording(
        self,
        audio: str | Path | NDArray[np.float32],
        text: str | Transcript,
        sample_rate_hz: int | None = None,
        speaker: str = "",
    ) -> Recording:
        """A recording with its text, as this aligner takes it.

        Args:
            audio: A sound file, or samples `[N]` in -1..1.
            text: As written, or a transcript.
            sample_rate_hz: Of samples.
            speaker: Who speaks, "" if unknown. An aligner that has learnt speakers expects this one's voice.

        Raises:
            AlignerError: For audio that cannot be read, and text that cannot be pronounced or holds symbols
                that the aligner has not learnt, naming the utterance: the file, or "utterance".
        """
        if not isinstance(text, str | Transcript):
            raise AlignerError(f"text is {type(text).__name__}; a text (str) or a Transcript is needed")
        if isinstance(audio, str | Path):
            (samples, rate_hz), id, path = read_audio(audio), Path(audio).stem, str(audio)
            if rate_hz < LOWEST_RATE_HZ:
                raise AlignerError(f"{audio}: {rate_hz} Hz by its header; {LOWEST_RATE_HZ} are needed")
        else:
            (samples, rate_hz), id, path = checked_samples(audio, sample_rate_hz), "utterance", ""
        transcript = text if isinstance(text, Transcript) else self._read(id, text)
        return Recording(
            id=id,
            audio=heard(samples, rate_hz, self.frontend.sample_rate_hz),
            transcript=transcript,
            duration_s=len(samples) / rate_hz,
            speaker=speaker,
            text="" if isinstance(text, Transcript) else text,
            path=path,
        )

    def _read(self, id: str, text: str) -> Transcript:
        if self._phonemizer is None:
            self._phonemizer = self.phonemizer()
        try:
            return self._phonemizer(text)
        except AlignerError as error:
            raise AlignerError(f"{id}: {error}") from error

    def phonemizer(self) -> "Phonemizer":
        """What turns text into a transcript, as when this aligner's corpus was prepared.

        Raises:
            AlignerError: If the checkpoint does not say.
        """
        from aligner.text.phonemizer import load_phonemizer

        reading = self.reading
        if reading is None:
            raise AlignerError(
                "this checkpoint does not say how its texts were phonemized; pass a Transcript"
            )
        if reading.phonemizer == REFERENCE:
            raise AlignerError("this aligner's tokens were not made of text; pass a Transcript")
        return load_phonemizer(reading.phonemizer, reading.language, **reading.options)

    @property
    def reading(self) -> TextReading | None:
        """How the texts that it learnt from became tokens; None: the checkpoint does not say."""
        return TextReading.stated(self._plain_settings["text"])

    def settings(self) -> dict[str, Any]:
        """What makes this aligner again but for what it has learnt, in plain types."""
        return {
            "symbols": list(self.vocabulary.symbols),
            "frontend": self.frontend.configuration(),
            "encoder": self.encoder.configuration(),
            **self._plain_settings,
            "common_words": self.common_words,
        }

    def save(self, path: str | Path) -> None:
        """Write a checkpoint that `load` reads: plain data."""
        state = {f"{CHECKPOINT_KEY}.{name}": value for name, value in self.state_dict().items()}
        content = io.BytesIO()  # torch makes a RuntimeError of a disk that is full
        torch.save({CHECKPOINT_KEY: self.settings(), "state_dict": state}, content)
        with atomic_write(path) as file:
            file.write(content.getbuffer())

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", *, trust: bool = False) -> "Aligner":
        """The aligner in a checkpoint, ready to align. Nothing in the file is executed.

        Args:
            path: Of what `save` or `aligner fit` wrote; or the name of a model that comes with this package,
                such as "en-us".
            device: Where it is to run, such as "cuda".
            trust: Allow frontends and encoders from outside this package.

        Raises:
            AlignerError: If the file is not such a checkpoint.
        """
        check_device(device)
        content = read_checkpoint(path)
        settings = dict(content[CHECKPOINT_KEY])
        try:
            frontend = instantiate(settings.pop("frontend"), Frontend, allow_external=trust)
            encoder = instantiate(settings.pop("encoder"), Encoder, allow_external=trust)
            aligner = cls(frontend=frontend, encoder=encoder, **settings)
            aligner.load_state_dict(weights(content))
        except (KeyError, TypeError, RuntimeError, UnknownSetting) as error:
            # a setting or a weight too many or too few
            raise AlignerError(f"{path}: {OTHER_VERSION}") from error
        try:
            return aligner.to(device).eval()
        except RuntimeError as error:  # a GPU that is full, or that its driver has lost
            raise AlignerError(f"device {device!r} cannot be used: {reason(error)}") from error

    def _features(
        self, recordings: Sequence[Recording], audio: Tensor, audio_lengths: Tensor
    ) -> PackedFeatures:
        features, reasons = usable_features(self.frontend, audio, audio_lengths)
        for place, why in reasons.items():
            raise AlignerError(f"{recordings[place].id}: {why}")
        assert features is not None
        return features

    def _padded(self, recordings: Sequence[Recording]) -> tuple[Tensor, Tensor]:
        """The audio `[B, N]`, on the aligner's device, and the samples of each recording `[B]`."""
        device = self.calibration.phone_weights.device
        audio, lengths = padded_audio([own.audio for own in recordings], for_gpu=device.type == "cuda")
        return audio.to(device, non_blocking=True), lengths

    def _alignments(
        self,
        recordings: Sequence[Recording],
        decoded: Decoded,
        boundaries_s: NDArray[np.float64],
        spreads_s: NDArray[np.float64],
    ) -> list[Alignment]:
        """The end of the drawing: goodness to confidence, and each utterance's alignment."""
        scores = self.calibration.phone_scores(decoded.goodness)
        utterance_scores = self.calibration.utterance_score(decoded.evidence).tolist()
        lengths = decoded.tokens.lengths
        ends = np.cumsum(lengths).tolist()
        own_boundaries_s, own_spreads_s = (
            np.split(of_all, np.cumsum(lengths + 1)[:-1]) for of_all in (boundaries_s, spreads_s)
        )
        tokens = decoded.tokens.unpack((*self.vocabulary.symbols, GAP))
        alignments = []
        for b, (recording, own, end) in enumerate(zip(recordings, tokens, ends, strict=True)):
            words = [word.text for word in recording.transcript.words]
            gaps = decoded.gaps.get(b)
            alignment = Alignment.from_boundaries(
                recording.id,
                own.symbols,
                own.words,
                words if gaps is None else gaps.said(words),
                own_boundaries_s[b],
                recording.duration_s,
                scores=scores[end - len(own) : end],
                added=own.skippable if recording.transcript.fixed is not None else None,
                score=utterance_scores[b],
                speaker=recording.speaker,
                text=recording.text,
                audio=recording.path,
            )
            if gaps is not None:
                alignment = marked(alignment, words, gaps)
            alignment = recording.kept.noted(alignment)
            alignments.append(with_spreads(alignment, own_boundaries_s[b], own_spreads_s[b]))
        return alignments
