"""The prepared corpus: a folder of `cuts.jsonl.gz`, a lhotse cut manifest, and `corpus.json`, what is in it.

`aligner prepare` writes one; `fit` and `align` read it.
"""

import contextlib
import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from aligner.alignment import Alignment, Interval
from aligner.corpus.audio import audio_format, read_audio_part, resample
from aligner.errors import AlignerError, reason
from aligner.formats import from_cut_data
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import make_folder
from aligner.formats.tar_member import AudioPlace, audio_place, source_of
from aligner.text.reading import TextReading
from aligner.text.transcript import PAUSE, Transcript

CUTS = "cuts.jsonl.gz"
INFO = "corpus.json"
_HEAD = re.compile(rb'\{"channel": [][\d, ]+, "duration": ([\d.eE+-]+), "id": ("(?:[^"\\]|\\.)*"), ')


@dataclass(frozen=True, slots=True)  # there are millions in a large corpus
class Utterance:
    """One utterance of a prepared corpus: its audio, its transcript and, if known, its times.

    Args:
        id: Its name, unique in the corpus and fit for a file name.
        audio: The sound file, or where in a tar it lies.
        audio_rate_hz: The file's own sample rate.
        duration_s: The length of the utterance in seconds.
        text: What is said, as written.
        transcript: What is said, as words and phones.
        speaker: The speaker's name; "" if unknown.
        start_s: Where in the file the utterance begins, in seconds.
        channels: The file's channels that are averaged, from 0.
        reference: Known times of words or phones; None if there are none.
    """

    id: str
    audio: AudioPlace
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
        """Its length in samples, at the file's own rate."""
        return round(self.duration_s * self.audio_rate_hz)


@dataclass(frozen=True)
class CorpusInfo:
    """What a prepared corpus holds, and how its texts became tokens.

    Args:
        symbols: Every phone of every pronunciation, sorted, the pause first. It is a model's vocabulary: a
            token's index is its place here.
        phonemizer: The name that `load_phonemizer` takes, or "reference".
        language: The language that `load_phonemizer` takes.
        options: The other arguments that `load_phonemizer` takes.
        utterances: How many there are.
        speakers: How many there are.
        hours: The length of all audio.
        with_reference: How many utterances have reference times.
        refused: How many utterances were refused.
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

    @property
    def reading(self) -> TextReading:
        """How its texts became tokens."""
        return TextReading(self.phonemizer, self.language, self.options)

    @cached_property
    def token_ids(self) -> dict[str, int]:
        """Each symbol's index."""
        return {symbol: index for index, symbol in enumerate(self.symbols)}


def load_info(folder: str | Path) -> CorpusInfo:
    """The `corpus.json` of a prepared corpus.

    Raises:
        AlignerError: If there is none, or it cannot be read.
    """
    path = Path(folder) / INFO
    if not path.is_file():
        raise AlignerError(f"{folder}: not a prepared corpus (no {INFO}); run `aligner prepare` first")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        symbols, options = data["symbols"], data["options"]
        if not isinstance(options, dict) or not isinstance(symbols, list) or not all(map(str.strip, symbols)):
            raise TypeError("its symbols or options are of another kind")
        return CorpusInfo(**{**data, "symbols": tuple(symbols)})
    except Exception as error:  # whatever is in the file
        raise AlignerError(
            f"{path}: damaged ({reason(error)}); delete it and run `aligner prepare` again"
        ) from error


def load_utterances(folder: str | Path, ids: Container[str] | None = None) -> list[Utterance]:
    """The utterances of a prepared corpus, in the manifest's order.

    Args:
        folder: Of the corpus.
        ids: Of those that are wanted; None: all. Others take neither time nor memory.

    Raises:
        AlignerError: If there is no manifest, or it cannot be read.
    """
    utterances = list(iter_utterances(folder, ids))
    with _damage_named(folder):
        _check_ids([utterance.id for utterance in utterances])
    return utterances


def iter_utterances(folder: str | Path, ids: Container[str] | None = None) -> Iterator[Utterance]:
    """As `load_utterances`, one at a time, for a corpus that need not be held."""
    same: dict[Any, Any] = {}
    with _damage_named(folder) as path:
        for line in cut_lines(folder, ids):
            yield _from_data(json.loads(line), path.parent, same)


def load_lengths(folder: str | Path) -> dict[str, float]:
    """The length in seconds of each utterance of a prepared corpus, by id, in the manifest's order.

    Raises:
        AlignerError: If there is no manifest, or it cannot be read.
    """
    with _damage_named(folder):
        listed = [_id_and_length(line) for line in cut_lines(folder)]
        lengths = dict(listed)
        if len(lengths) < len(listed):
            _check_ids([id for id, _ in listed])
        return lengths


def _check_ids(ids: Sequence[str]) -> None:
    """Check that no two utterances have one id, as in a manifest edited by hand.

    Raises:
        ValueError: If two have.
    """
    if len(set(ids)) < len(ids):
        twice, count = Counter(ids).most_common(1)[0]
        raise ValueError(f"{count} of its utterances have the id {twice}")


def cut_lines(folder: str | Path, ids: Container[str] | None = None) -> Iterator[bytes]:
    """The lines of a prepared corpus' manifest, each a cut as JSON. Arguments and errors as of
    `load_utterances`.
    """
    with _damage_named(folder) as path, gzip.open(path, "rb") as lines:
        empty = True
        for line in lines:
            empty = False
            if ids is None or _id_and_length(line)[0] in ids:
                yield line
        if empty:
            raise ValueError("it holds no utterance")


@contextlib.contextmanager
def _damage_named(folder: str | Path) -> Iterator[Path]:
    """The manifest of a prepared corpus; whatever is raised while it is read says which is damaged."""
    path = Path(folder) / CUTS
    if not path.is_file():
        raise AlignerError(f"{folder}: not a prepared corpus (no {CUTS}); run `aligner prepare` first")
    try:
        yield path
    except AlignerError:
        raise
    except Exception as error:  # here a file is read that may be damaged or somebody else's
        raise AlignerError(
            f"{path}: damaged ({reason(error)}); delete it and run `aligner prepare` again"
        ) from error


def _id_and_length(line: bytes) -> tuple[str, float]:
    """Of a cut, without reading the rest of it where it is as `save_corpus` writes it."""
    if head := _HEAD.match(line):
        return json.loads(head[2]), float(head[1])
    data = json.loads(line)
    return data["id"], data["duration"]


def save_corpus(
    folder: Path, utterances: Iterable[Utterance], info: CorpusInfo, *, relative_paths: bool = False
) -> None:
    """Write `cuts.jsonl.gz` and `corpus.json`, each atomically; the same input gives the same bytes.

    Args:
        folder: Where to write; it is made if it is not there.
        utterances: The utterances, in the order to store.
        info: The content of `corpus.json`.
        relative_paths: Store audio paths relative to `folder`, so that corpus and audio can move together.
    """
    make_folder(folder)
    with atomic_write(folder / CUTS) as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        for utterance in utterances:
            cut = _to_cut(utterance, info.language, folder if relative_paths else None)
            packed.write(json.dumps(cut, ensure_ascii=False, sort_keys=True).encode() + b"\n")
    with atomic_write(folder / INFO) as file:
        file.write(json.dumps(asdict(info), ensure_ascii=False, indent=1).encode() + b"\n")


def evenly_spread(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """A sample of a corpus, spread evenly over it.

    Args:
        utterances: Of the corpus, in its order.
        most: How many at most.
    """
    return list(utterances[:: max(1, len(utterances) // most)][:most])


def evenly_spread_hours(utterances: Sequence[Utterance], most_hours: float | None) -> list[Utterance]:
    """A sample of a corpus of about so many hours, spread evenly over it; all of it if it is no longer.

    Args:
        utterances: Of the corpus, in its order.
        most_hours: None: all.
    """
    hours = sum(utterance.duration_s for utterance in utterances) / 3600
    if most_hours is None or hours <= most_hours:
        return list(utterances)
    wanted = max(1, round(len(utterances) * most_hours / hours))
    return [utterances[index * len(utterances) // wanted] for index in range(wanted)]


def load_audio(utterance: Utterance, sample_rate_hz: int) -> Tensor:
    """The audio of an utterance, channels averaged and resampled; the same samples every time.

    Args:
        utterance: An utterance of a prepared corpus.
        sample_rate_hz: The wanted rate.

    Returns:
        The samples `[N]`, float32.

    Raises:
        AlignerError: Naming the utterance, if the file cannot be read, is no longer what was prepared, or has
            samples that are no numbers.
    """
    try:
        audio = read_audio_part(
            utterance.audio,
            utterance.start_s,
            utterance.n_samples,
            utterance.channels,
            utterance.audio_rate_hz,
        )
        if len(audio) < utterance.n_samples:
            raise AlignerError(
                f"{utterance.audio} is shorter than when prepared; run `aligner prepare` again"
            )
        if not np.isfinite(audio).all():
            raise AlignerError(f"{utterance.audio} has samples that are not finite numbers")
        return resample(audio, utterance.audio_rate_hz, sample_rate_hz)
    except Exception as error:  # here soundfile and soxr read what may have changed since it was prepared
        raise AlignerError(f"{utterance.id}: {reason(error)}") from error


def vocabulary(transcripts: Iterable[Transcript]) -> tuple[str, ...]:
    """All phones of a corpus in any pronunciation, sorted, the pause first."""
    symbols: set[str] = set().union(*(transcript.symbols() for transcript in transcripts))
    return (PAUSE, *sorted(symbols - {PAUSE}))


def _to_cut(utterance: Utterance, language: str, relative_to: Path | None) -> dict[str, Any]:
    """A lhotse cut with one supervision. Its `custom` holds what lhotse has no field for.

    It is what lhotse's own objects would give (a test compares), without the time that these take to make.
    """
    one = len(utterance.channels) == 1
    channel: Any = utterance.channels[0] if one else list(utterance.channels)
    supervision: dict[str, Any] = {
        "id": utterance.id,
        "recording_id": utterance.id,
        "start": 0.0,
        "duration": utterance.duration_s,
        "channel": channel,
        "text": utterance.text,
        "language": language,
        "custom": {
            "transcript": utterance.transcript.to_dict(),
            "text_crc32": zlib.crc32(utterance.text.encode()),
        },
    }
    if utterance.speaker:
        supervision["speaker"] = utterance.speaker
    if utterance.reference is not None:
        supervision["custom"]["token_words"] = [token.word for token in utterance.reference.tokens]
        supervision["alignment"] = {
            "word": _items(utterance.reference.words),
            "phone": _items(utterance.reference.tokens),
        }
    return {
        "id": utterance.id,
        "start": utterance.start_s,
        "duration": utterance.duration_s,
        "channel": channel,
        "supervisions": [supervision],
        "recording": _recording(utterance, relative_to),
        "type": "MonoCut" if one else "MultiCut",  # lhotse's word for several channels of one recording
    }


def _recording(utterance: Utterance, relative_to: Path | None) -> dict[str, Any]:
    """The whole file that the utterance is in; an utterance from its start also sets its length."""
    found = audio_format(utterance.audio)
    end_samples = round(utterance.start_s * utterance.audio_rate_hz) + utterance.n_samples
    recorded_samples = max(found.n_samples, end_samples) if utterance.start_s else end_samples
    channels = list(range(found.n_channels))
    return {
        "id": utterance.id,
        "sources": [{"channels": channels, **source_of(utterance.audio, relative_to)}],
        "sampling_rate": utterance.audio_rate_hz,
        "num_samples": recorded_samples,
        "duration": recorded_samples / utterance.audio_rate_hz,
        "channel_ids": channels,
    }


def _items(intervals: Iterable[Interval]) -> list[list[Any]]:
    return [[i.symbol, round(i.start_s, 8), round(i.end_s - i.start_s, 8), None] for i in intervals]


def _from_data(data: dict[str, Any], folder: Path, same: dict[Any, Any]) -> Utterance:
    """An utterance from its cut, as `_to_cut` made it; lhotse's own objects take four times as long to make.

    Args:
        data: The cut.
        folder: That of the corpus.
        same: Words, speakers and channels of the utterances before; equal ones are the same object, so that a
            large corpus fits into memory.
    """
    supervision, channel = data["supervisions"][0], data["channel"]
    text = supervision.get("text") or ""
    known = supervision["custom"].get("text_crc32")  # older corpora do not say
    if known is not None and known != zlib.crc32(text.encode()):
        raise ValueError(f"the text of {data['id']} is not the one that its words were made of")
    transcript = Transcript.from_dict(supervision["custom"]["transcript"])
    audio = audio_place(data["recording"]["sources"][0], folder)
    if audio is None:
        raise ValueError(f"the audio of {data['id']} is in no file")
    speaker, channels = supervision.get("speaker") or "", (channel,)
    if isinstance(channel, list):
        channels = tuple(channel)
    return Utterance(
        id=data["id"],
        audio=audio,
        audio_rate_hz=data["recording"]["sampling_rate"],
        duration_s=data["duration"],
        text=text,
        transcript=replace(transcript, words=tuple(same.setdefault(w, w) for w in transcript.words)),
        speaker=same.setdefault(speaker, speaker),
        start_s=data["start"],
        channels=same.setdefault(channels, channels),
        reference=from_cut_data(data),
    )
