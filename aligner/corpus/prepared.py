"""A prepared corpus: a folder with `cuts.jsonl.gz` (a lhotse cut manifest) and `corpus.json` (what is in it).

N samples of audio. Times in seconds.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from aligner.alignment import Alignment, is_pause
from aligner.corpus.readers import Source, reference_beside
from aligner.errors import AlignerError
from aligner.formats.atomic import whole_file
from aligner.text.transcript import PAUSE, Tokens, Transcript, Word

if TYPE_CHECKING:
    from lhotse.cut import Cut

CUTS = "cuts.jsonl.gz"
INFO = "corpus.json"
SHORTEST_FRAME_S = 0.01  # every token needs one frame of the usual 10 ms
SILENCE_PEAK = 1e-3  # full scale is 1: -60 dB, quieter than any microphone's own noise in a usable recording
SAFE_ID = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,200}")


class Refused(AlignerError):
    """An utterance that cannot be used. `reason` is its kind, in a few words; the message says the rest."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Utterance:
    """One utterance of a prepared corpus.

    audio, start_s, duration_s: the file and the part of it; channels: those that are mixed down to one.
    audio_rate_hz: the file's own sample rate. reference: known times of words or phones, if there are any.
    """

    id: str
    audio: Path
    audio_rate_hz: int
    duration_s: float
    text: str
    transcript: Transcript
    speaker: str = ""
    start_s: float = 0.0
    channels: tuple[int, ...] = (0,)
    reference: Alignment | None = None

    @property
    def n_samples(self) -> int:
        """Samples at the file's own rate."""
        return round(self.duration_s * self.audio_rate_hz)


@dataclass(frozen=True)
class CorpusInfo:
    """What a prepared corpus holds and how its texts became tokens.

    symbols: every phone of every variant, sorted, the pause first; a model's vocabulary, where a token's
    index is its place. phonemizer, language and options are what `load_phonemizer` takes.
    """

    symbols: tuple[str, ...]
    phonemizer: str
    language: str
    options: dict[str, Any]
    utterances: int = 0
    speakers: int = 0
    hours: float = 0.0
    with_reference: int = 0
    refused: int = 0

    @cached_property
    def token_ids(self) -> dict[str, int]:
        """Each symbol's index."""
        return {symbol: index for index, symbol in enumerate(self.symbols)}


def load_info(folder: str | Path) -> CorpusInfo:
    """The `corpus.json` of a prepared corpus. Raises AlignerError if there is none that can be read."""
    path = Path(folder) / INFO
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return CorpusInfo(**{**data, "symbols": tuple(data["symbols"])})
    except FileNotFoundError as error:
        raise AlignerError(
            f"{folder}: not a prepared corpus (no {INFO}); run `aligner prepare` first"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise AlignerError(f"{path}: cannot be read ({error}); run `aligner prepare` again") from error


def load_cuts(folder: str | Path) -> list[Utterance]:
    """The utterances of a prepared corpus, in the manifest's order. Raises AlignerError if it cannot be
    read.
    """
    from lhotse.serialization import load_manifest_lazy

    path = Path(folder) / CUTS
    if not path.is_file():
        raise AlignerError(f"{folder}: not a prepared corpus (no {CUTS}); run `aligner prepare` first")
    try:
        return [_from_cut(cut, path.parent) for cut in load_manifest_lazy(path)]
    except (ValueError, TypeError, KeyError, OSError, EOFError) as error:
        raise AlignerError(f"{path}: cannot be read ({error}); run `aligner prepare` again") from error


def save_corpus(
    folder: Path, utterances: Iterable[Utterance], info: CorpusInfo, *, relative_paths: bool = False
) -> None:
    """Write `cuts.jsonl.gz` and `corpus.json`, each whole or not at all and with the same bytes for the same
    input.

    relative_paths: name audio relative to `folder`, so that both can move together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / CUTS) as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        for utterance in utterances:
            cut = _to_cut(utterance, info.language, folder if relative_paths else None)
            packed.write(json.dumps(cut.to_dict(), ensure_ascii=False, sort_keys=True).encode() + b"\n")
    with whole_file(folder / INFO) as file:
        file.write(json.dumps(asdict(info), ensure_ascii=False, indent=1).encode() + b"\n")


def load_audio(utterance: Utterance, sample_rate_hz: int) -> Tensor:
    """The utterance's audio at `sample_rate_hz`, float32 `[N]`, channels averaged; the same samples every
    time.

    Raises AlignerError, naming the utterance, if the file cannot be read or is no longer what was prepared.
    """
    try:
        audio = _read_audio(
            utterance.audio,
            utterance.start_s,
            utterance.n_samples,
            utterance.channels,
            utterance.audio_rate_hz,
        )
    except Refused as error:
        raise AlignerError(f"{utterance.id}: {error}") from error
    if len(audio) < utterance.n_samples:
        raise AlignerError(
            f"{utterance.id}: {utterance.audio} is shorter than when prepared; run `aligner prepare` again"
        )
    if sample_rate_hz != utterance.audio_rate_hz:
        audio = soxr.resample(audio, utterance.audio_rate_hz, sample_rate_hz)
    return torch.from_numpy(np.ascontiguousarray(audio))


def check_text(
    source: Source, phonemize: Callable[[str], Transcript], known_symbols: frozenset[str]
) -> Transcript:
    """The transcript of a source whose id and text can be used; raises `Refused` where they cannot.

    known_symbols: a model's vocabulary, if the corpus is for one; otherwise empty.
    """
    check_id(source.id)
    if source.problem:
        raise Refused("not readable as listed", source.problem)
    if not source.text.strip():
        raise Refused("no text", "its text is empty")
    try:
        transcript = phonemize(source.text)
    except AlignerError as error:
        raise Refused("text cannot be spoken", str(error)) from error
    check_symbols(transcript, known_symbols)
    return transcript


def check_id(id: str) -> None:
    """Ids become file names and fields of text files: no separators, no white space, no `..`."""
    if not SAFE_ID.fullmatch(id) or ".." in id or id.startswith((".", "-")):
        raise Refused(
            "unsafe id", f"id {id[:80]!r}: use letters, digits, - and _, at most 200, no path, no spaces"
        )


def check_symbols(transcript: Transcript, known_symbols: frozenset[str]) -> None:
    """Raises `Refused` if `known_symbols` are given and the transcript uses another."""
    if known_symbols and (unknown := symbols_of(transcript) - known_symbols - {PAUSE}):
        raise Refused("unknown symbols", f"not in the vocabulary: {' '.join(sorted(unknown))}")


def check_audio(source: Source, transcript: Transcript | None) -> Utterance:
    """Decode the whole of a source's audio and look at it; raises `Refused` where it cannot be used.

    transcript: None to take the phones of the reference times as tokens, which then must exist.
    """
    if source.audio is None or not source.audio.is_file():
        raise Refused("audio missing", f"no file {source.audio}" if source.audio else "no audio of this name")
    try:
        with soundfile.SoundFile(source.audio) as file:
            rate_hz, n_channels = file.samplerate, file.channels
    except (soundfile.SoundFileError, OSError) as error:
        raise Refused("audio undecodable", f"{source.audio}: {error}") from error
    channels = source.channels or tuple(range(n_channels))
    if max(channels) >= n_channels:
        raise Refused(
            "audio undecodable", f"{source.audio} has {n_channels} channels, not channel {max(channels)}"
        )
    wanted = -1 if source.duration_s is None else round(source.duration_s * rate_hz)
    audio = _read_audio(source.audio, source.start_s, wanted, channels, rate_hz)
    duration_s = len(audio) / rate_hz
    if len(audio) == 0 or (source.duration_s and duration_s < source.duration_s - SHORTEST_FRAME_S):
        raise Refused("audio too short", f"{source.audio} has {duration_s:.3f} s of it")
    if not np.isfinite(audio).all():
        raise Refused("audio not finite", f"{source.audio} holds NaN or infinite samples")
    peak = float(np.abs(audio - audio.mean()).max())
    if peak < SILENCE_PEAK:
        raise Refused("audio silent", f"{source.audio} never exceeds {20 * np.log10(max(peak, 1e-9)):.0f} dB")
    try:
        reference = source.reference or reference_beside(source.audio, source.id, duration_s)
    except AlignerError as error:
        raise Refused("reference times unusable", str(error)) from error
    transcript = transcript or transcript_of(reference)
    needed = min_frames(transcript)
    if duration_s / SHORTEST_FRAME_S < needed:
        raise Refused("shorter than its text", f"{duration_s:.2f} s for {needed} tokens")
    return Utterance(
        id=source.id,
        audio=source.audio.resolve(),
        audio_rate_hz=rate_hz,
        duration_s=duration_s,
        text=source.text,
        transcript=transcript,
        speaker=source.speaker,
        start_s=source.start_s,
        channels=channels,
        reference=reference,
    )


def transcript_of(reference: Alignment | None) -> Transcript:
    """The reference's own phones as fixed tokens, so that boundaries can be measured phone by phone.

    Raises `Refused` if there is no reference or it has no phones.
    """
    if reference is None or not any(
        token.word >= 0 or not is_pause(token.symbol) for token in reference.tokens
    ):
        raise Refused("no reference phones", "no .phn or TextGrid phones to take the tokens from")
    spoken = sorted({token.word for token in reference.tokens if token.word >= 0})
    place = {word: index for index, word in enumerate(spoken)}
    symbols = tuple(PAUSE if is_pause(token.symbol) else token.symbol for token in reference.tokens)
    indices = tuple(place.get(token.word, -1) for token in reference.tokens)
    words = tuple(
        Word(
            reference.words[word].symbol,
            (tuple(s for s, i in zip(symbols, indices, strict=True) if i == place[word]),),
            "given",
        )
        for word in spoken
    )
    fixed = Tokens(symbols, indices, (False,) * len(symbols))
    return Transcript(words, ("",) * (len(words) + 1), fixed)


def symbols_of(transcript: Transcript) -> set[str]:
    """Every phone symbol that its tokens can contain, in any variant."""
    if transcript.fixed is not None:
        return set(transcript.fixed.symbols)
    return {phone for word in transcript.words for variant in word.variants for phone in variant}


def min_frames(transcript: Transcript) -> int:
    """Tokens that cannot be skipped, with the shortest variant of every word."""
    if transcript.fixed is not None:
        return len(transcript.fixed)
    return sum(min(len(variant) for variant in word.variants) for word in transcript.words)


def vocabulary(transcripts: Iterable[Transcript]) -> tuple[str, ...]:
    """All phone symbols of a corpus, sorted, the pause first."""
    symbols: set[str] = set().union(*map(symbols_of, transcripts))
    return (PAUSE, *sorted(symbols - {PAUSE}))


def _read_audio(
    path: Path, start_s: float, n_samples: int, channels: tuple[int, ...], rate_hz: int
) -> np.ndarray:
    """Float32 `[N]` at the file's own rate, `channels` averaged; n_samples -1 reads to the end."""
    try:
        audio, found_hz = soundfile.read(
            path, frames=n_samples, start=round(start_s * rate_hz), dtype="float32", always_2d=True
        )
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise Refused("audio undecodable", f"{path}: {error}") from error
    if found_hz != rate_hz or audio.shape[1] <= max(channels):
        raise Refused("audio undecodable", f"{path} is not the file it was: run `aligner prepare` again")
    return audio[:, channels].mean(axis=1)


def _to_cut(utterance: Utterance, language: str, relative_to: Path | None) -> "Cut":
    from lhotse import AudioSource, MonoCut, MultiCut, Recording, SupervisionSegment
    from lhotse.supervision import AlignmentItem

    def items(intervals):
        return [
            AlignmentItem(i.symbol, round(i.start_s, 8), round(i.end_s - i.start_s, 8)) for i in intervals
        ]

    with soundfile.SoundFile(utterance.audio) as file:
        n_channels, n_frames = file.channels, file.frames
    end_samples = round(utterance.start_s * utterance.audio_rate_hz) + utterance.n_samples
    recorded_samples = max(n_frames, end_samples) if utterance.start_s else end_samples
    source = str(utterance.audio)
    if relative_to is not None:
        source = Path(_relative(utterance.audio, relative_to)).as_posix()
    recording = Recording(
        id=utterance.id,
        sources=[AudioSource("file", list(range(n_channels)), source)],
        sampling_rate=utterance.audio_rate_hz,
        num_samples=recorded_samples,
        duration=recorded_samples / utterance.audio_rate_hz,
    )
    custom: dict[str, Any] = {"transcript": utterance.transcript.to_dict()}
    alignment = None
    if utterance.reference is not None:
        custom["token_words"] = [token.word for token in utterance.reference.tokens]
        alignment = {
            "word": items(utterance.reference.words),
            "phone": items(utterance.reference.tokens),
        }
    one = len(utterance.channels) == 1
    channel: Any = utterance.channels[0] if one else list(utterance.channels)
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=utterance.id,
        start=0.0,
        duration=utterance.duration_s,
        channel=channel,
        text=utterance.text,
        language=language,
        speaker=utterance.speaker or None,
        custom=custom,
        alignment=alignment,
    )
    kind = MonoCut if one else MultiCut  # a MultiCut of both channels is lhotse's word for stereo
    return kind(
        id=utterance.id,
        start=utterance.start_s,
        duration=utterance.duration_s,
        channel=channel,
        supervisions=[supervision],
        recording=recording,
    )


def _relative(path: Path, folder: Path) -> str:
    import os

    return os.path.relpath(path, folder.resolve())


def _from_cut(cut: "Cut", folder: Path) -> Utterance:
    from aligner.formats import from_cut

    supervision = cut.supervisions[0]
    channels = cut.channel if isinstance(cut.channel, list) else [cut.channel]
    return Utterance(
        id=cut.id,
        audio=folder / cut.recording.sources[0].source,
        audio_rate_hz=cut.recording.sampling_rate,
        duration_s=cut.duration,
        text=supervision.text or "",
        transcript=Transcript.from_dict(supervision.custom["transcript"]),
        speaker=supervision.speaker or "",
        start_s=cut.start,
        channels=tuple(channels),
        reference=from_cut(cut),
    )
