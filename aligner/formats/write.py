"""Alignments in other programs' formats: one small writer per consumer.

The rules each writer keeps were read in that project's own code; they stand in its docstring. Frames per
token come from `Alignment.durations_on` with the consumer's grid, so their sum is the consumer's own frame
count.

T tokens, S speech frames.
"""

import contextlib
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, DoesNotFit, FrameGrid, Interval, is_pause
from aligner.errors import AlignerError
from aligner.formats.atomic import OutputFolder
from aligner.formats.manifest import MANIFEST, AlignmentWriter
from aligner.text.transcript import PAUSE

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
ARPABET = frozenset(f"{vowel}{stress}" for vowel in _VOWELS.split() for stress in ("", "0", "1", "2")) | {
    *_CONSONANTS.split()
}

# Each consumer's grid with its own LJSpeech settings. TensorFlowTTS trims silence first unless told
# otherwise.
PRESETS: dict[str, FrameGrid] = {
    "fastspeech2": FrameGrid(256, 22050, "centred"),
    "matcha": FrameGrid(256, 22050, "tiled"),
    "vits": FrameGrid(256, 22050, "tiled"),
    "espnet": FrameGrid(256, 22050, "centred"),
    "coqui": FrameGrid(256, 22050, "centred"),
    "nemo": FrameGrid(256, 22050, "centred_floor"),
    "everyvoice": FrameGrid(256, 22050, "centred_floor"),
    "tensorflowtts": FrameGrid(256, 22050, "centred"),
}


@dataclass(frozen=True)
class ExportSettings:
    """What a writer needs to know besides the alignments.

    grid: the consumer's frames; None for formats in seconds. blank: a symbol to put around every token, None
    for none. symbols: new names of tokens. tokens: the consumer's own token sequence by utterance id, to
    check against. speaker: instead of the alignments' own, None to keep them. language: for file names. wavs:
    the folder of the consumer's audio, files named by id; None for the recordings themselves.
    validation_share: the part of the utterances set apart for validation. any_symbols: leave symbols
    unchecked where the consumer's set is known.
    """

    grid: FrameGrid | None = None
    blank: str | None = None
    symbols: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, tuple[str, ...]] | None = None
    speaker: str | None = None
    language: str = "default"
    wavs: Path | None = None
    validation_share: float = 0.05
    any_symbols: bool = False


class Refused(AlignerError):
    """One utterance that a format cannot hold; the others are written."""


class Writer:
    """Writes alignments into a folder; use as a context manager. Lists appear when the block ends without an
    error.

    A child says what it writes of one alignment in `write`, and in `finish` what can only be written at the
    end. `write` raises Refused or DoesNotFit before anything of that utterance is written.
    """

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        self.settings = settings
        self.folder = OutputFolder(root)
        self._open = contextlib.ExitStack()

    def write(self, alignment: Alignment) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Nothing, unless a child has more to write."""

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self.finish()
            except BaseException:
                self._open.__exit__(*sys.exc_info())
                raise
        self._open.__exit__(kind, error, traceback)

    def list_file(self, name: str) -> BinaryIO:
        """A file written line by line that takes its name when the writer is done."""
        return self._open.enter_context(self.folder.file(name))

    @property
    def grid(self) -> FrameGrid:
        if self.settings.grid is None:
            raise AlignerError(f"say hop, sample rate and frame rule, or a preset ({', '.join(PRESETS)})")
        return self.settings.grid

    def speaker(self, alignment: Alignment) -> str:
        return alignment.speaker or "default"

    def wav(self, alignment: Alignment, name: str) -> str:
        """The absolute path of the consumer's audio of this utterance."""
        if self.settings.wavs is not None:
            return os.path.abspath(self.settings.wavs / f"{name}.wav")
        if not alignment.audio:
            raise Refused(f"{alignment.id}: its recording is not known; name the folder of WAVs with --wavs")
        return os.path.abspath(alignment.audio)

    def array(self, values: NDArray[Any], *parts: str) -> None:
        with self.folder.file(*parts) as file:
            np.lib.format.write_array(file, values, allow_pickle=False)


class Npy(Writer):
    """`durations/{id}.npy`, int64, and `tokens.txt` with lines `id|TOKEN TOKEN ...` to know them by."""

    dtype: type[np.integer] = np.int64
    subfolder: tuple[str, ...] = ("durations",)
    suffix = ".npy"

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._tokens = self.list_file("tokens.txt")

    def write(self, alignment: Alignment) -> None:
        durations = alignment.durations_on(self.grid)
        name = self.folder.name(alignment.id)
        self.array(durations.astype(self.dtype), *self.subfolder, f"{name}{self.suffix}")
        self._tokens.write(f"{name}|{_symbols(alignment)}\n".encode())


class Matcha(Npy):
    """`durations/{id}.npy` for Matcha-TTS, to lie beside its `wavs`; with --blanks where it has `add_blank`.

    `text_mel_datamodule.py` wants as many as there are tokens, with `add_blank` 2 n + 1, and their sum to be
    the mel's frames.
    """


class TensorFlowTTS(Npy):
    """`{id}-durations.npy`, int32 `[T]`, and `tokens.txt`."""

    dtype = np.int32
    subfolder = ()
    suffix = "-durations.npy"


class FastSpeech2(Writer):
    """Preprocessed folder of ming024/FastSpeech2 or StyleSpeech: TextGrids, durations and lists.

    `TextGrid/{speaker}/{id}.TextGrid` for its `preprocess.py`, which rounds boundaries to frames, so they lie
    on frames here; it trims the pauses at both ends, which must be called sil, sp or spn, drops intervals
    with an empty label, and cuts file names at their first dot. `duration/{speaker}-duration-{id}.npy`,
    `[T]`, with `train.txt`, `val.txt` (`id|speaker|{PH PH}|text`) and `speakers.json` for its `dataset.py`,
    which drops symbols it does not know without a word.
    """

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._train, self._val = self.list_file("train.txt"), self.list_file("val.txt")
        self._speakers: set[str] = set()
        self._held_back = b""  # a line, so that validation is not empty where chance would have it so

    def write(self, alignment: Alignment) -> None:
        grid, phones = self.grid, self._phones(alignment)
        durations = alignment.durations_on(grid)
        # Its rounding of the last boundary leaves this many frames, of which its trimmed mel has no fewer.
        frames = int(np.round(alignment.duration_s * grid.sample_rate_hz / grid.hop_samples))
        edges = np.cumsum(alignment.durations_on(grid, frames))[:-1]
        edges_s = [0.0, *(edges * grid.hop_samples / grid.sample_rate_hz).tolist(), alignment.duration_s]
        speaker = self.folder.name_of(self.speaker(alignment))
        name = self.folder.name(alignment.id.replace(".", "_"), speaker)
        tier = [*zip(edges_s[:-1], edges_s[1:], phones, strict=True)]
        words = _tiled(alignment.words, alignment.duration_s)
        text = _textgrid(alignment.duration_s, {"words": words, "phones": tier})
        self.folder.text(text, "TextGrid", speaker, f"{name}.TextGrid")
        self.array(durations, "duration", f"{speaker}-duration-{name}.npy")
        self._speakers.add(speaker)
        line = f"{name}|{speaker}|{{{' '.join(phones)}}}|{_field(_text(alignment))}\n".encode()
        if zlib.crc32(name.encode()) / 2**32 < self.settings.validation_share:
            self._val.write(line)
        else:
            self._train.write(self._held_back)
            self._held_back = line

    def finish(self) -> None:
        (self._train if self._val.tell() else self._val).write(self._held_back)
        numbers = {speaker: number for number, speaker in enumerate(sorted(self._speakers))}
        self.folder.text(json.dumps(numbers), "speakers.json")

    def _phones(self, alignment: Alignment) -> list[str]:
        last = len(alignment.tokens) - 1
        phones = []
        for index, token in enumerate(alignment.tokens):
            phone = ("sil" if index in (0, last) else "sp") if is_pause(token.symbol) else token.symbol
            if phone not in ARPABET and phone not in ("sil", "sp", "spn") and not self.settings.any_symbols:
                raise Refused(
                    f"{alignment.id}: FastSpeech2 would drop {phone!r}, which is not ARPAbet; align ARPAbet "
                    "phones, rename with --symbols, or let it pass with --any-symbols"
                )
            phones.append(_label(phone))
        return phones


class Espnet(Writer):
    """A set's folder of ESPnet2's `--teacher_dumpdir`: `durations` and `text`.

    Lines are `id d1 .. dn 0` and `id PH PH ..`.
    The 0 is for the `<eos>` that its text front end appends. Ids may not hold white space.
    """

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._durations, self._text = self.list_file("durations"), self.list_file("text")

    def write(self, alignment: Alignment) -> None:
        durations = alignment.durations_on(self.grid)
        name = self.folder.name(alignment.id)
        self._durations.write(f"{name} {' '.join(map(str, durations.tolist()))} 0\n".encode())
        self._text.write(f"{name} {_symbols(alignment)}\n".encode())


class Coqui(Writer):
    """`attention/{id}.npy`, bool `[S, T]`, and `metadata_attn_mask.txt` (`wav|npy`) for
    `meta_file_attn_mask`.

    Coqui takes the argmax over tokens of each frame; paths in the list must be those its formatter gives.
    """

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._list = self.list_file("metadata_attn_mask.txt")

    def write(self, alignment: Alignment) -> None:
        durations = alignment.durations_on(self.grid)
        name = self.folder.name(alignment.id)
        wav = self.wav(alignment, name)
        if "|" in wav or not wav.isprintable():
            raise Refused(f"{alignment.id}: Coqui cannot read a path with '|' or control characters: {wav!r}")
        owner = np.repeat(np.arange(len(durations)), durations)
        self.array(owner[:, None] == np.arange(len(durations)), "attention", f"{name}.npy")
        attention = os.path.abspath(self.folder.root / "attention" / f"{name}.npy")
        self._list.write(f"{wav}|{attention}\n".encode())


class Nemo(Writer):
    """`durations.pt`: one dictionary, wav stem to int64 tensor `[T]`, for NeMo's `durs_file`
    (`aligner-based`).
    """

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._durations: dict[str, NDArray[np.int64]] = {}

    def write(self, alignment: Alignment) -> None:
        durations = alignment.durations_on(self.grid)
        self._durations[self.folder.name(alignment.id)] = durations

    def finish(self) -> None:
        import torch

        with self.folder.file("durations.pt") as file:
            torch.save({name: torch.from_numpy(d) for name, d in self._durations.items()}, file)


class EveryVoice(Writer):
    """`duration/{id}--{speaker}--{language}--duration.pt`, int64 tensors `[T]`."""

    def write(self, alignment: Alignment) -> None:
        import torch

        durations = torch.from_numpy(alignment.durations_on(self.grid))
        speaker = self.folder.name_of(self.speaker(alignment))
        name = self.folder.name(alignment.id, speaker)
        buffer = io.BytesIO()
        torch.save(durations, buffer)
        language = self.folder.name_of(self.settings.language)
        with self.folder.file("duration", f"{name}--{speaker}--{language}--duration.pt") as file:
            file.write(buffer.getbuffer())


class TextGrid(Writer):
    """`{id}.TextGrid` with the tiers `words` and `phones`; in a folder of the speaker, if there is one.

    Both tiers tile [0, duration] without an empty label; what no word covers is `sil`.
    """

    def write(self, alignment: Alignment) -> None:
        parts = [self.folder.name_of(alignment.speaker)] if alignment.speaker else []
        name = self.folder.name(alignment.id, *parts)
        tiers = {
            "words": _tiled(alignment.words, alignment.duration_s),
            "phones": _tiled(alignment.tokens, alignment.duration_s),
        }
        self.folder.text(_textgrid(alignment.duration_s, tiers), *parts, f"{name}.TextGrid")


class Ctm(Writer):
    """`phones.ctm` and `words.ctm`: `id 1 start duration label [score]` in seconds, as Kaldi writes them."""

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._phones, self._words = self.list_file("phones.ctm"), self.list_file("words.ctm")

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        for file, intervals in ((self._phones, alignment.tokens), (self._words, alignment.words)):
            file.writelines(_ctm_line(name, interval) for interval in intervals)


class Json(Writer):
    """`{id}.json`: everything there is of one utterance, times in seconds."""

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        self.folder.text(json.dumps(alignment_to_json(alignment), ensure_ascii=False) + "\n", f"{name}.json")


class Lhotse(Writer):
    """`alignments.jsonl.gz`: a lhotse manifest, as `aligner align` writes it."""

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._manifest = self._open.enter_context(AlignmentWriter(self.folder.root / MANIFEST, resume=False))

    def write(self, alignment: Alignment) -> None:
        self._manifest.write(alignment)

    def finish(self) -> None:
        self.folder.files += 1


class Audacity(Writer):
    """`{id}.phones.txt` and `{id}.words.txt`: label tracks, `start<TAB>end<TAB>label`."""

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        for level, intervals in (("phones", alignment.tokens), ("words", alignment.words)):
            lines = (f"{i.start_s:.6f}\t{i.end_s:.6f}\t{_label(i.symbol)}\n" for i in intervals)
            self.folder.text("".join(lines), f"{name}.{level}.txt")


class Srt(Writer):
    """`{id}.srt`: a subtitle for every word."""

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        cues = (
            f"{number}\n{_clock(w.start_s, ',')} --> {_clock(w.end_s, ',')}\n{_label(w.symbol)}\n\n"
            for number, w in enumerate(alignment.words, 1)
        )
        self.folder.text("".join(cues), f"{name}.srt")


class Vtt(Writer):
    """`{id}.vtt`: a WebVTT cue for every word."""

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        cues = (
            f"{_clock(w.start_s, '.')} --> {_clock(w.end_s, '.')}\n{_escaped(_label(w.symbol))}\n\n"
            for w in alignment.words
        )
        self.folder.text("WEBVTT\n\n" + "".join(cues), f"{name}.vtt")


WRITERS: dict[str, type[Writer]] = {
    "fastspeech2": FastSpeech2,
    "matcha": Matcha,
    "espnet": Espnet,
    "coqui": Coqui,
    "nemo": Nemo,
    "everyvoice": EveryVoice,
    "tensorflowtts": TensorFlowTTS,
    "npy": Npy,
    "textgrid": TextGrid,
    "ctm": Ctm,
    "json": Json,
    "lhotse": Lhotse,
    "audacity": Audacity,
    "srt": Srt,
    "vtt": Vtt,
}


@dataclass
class Exported:
    """What an export wrote: utterances, files, and the reason for each utterance left out."""

    utterances: int = 0
    files: int = 0
    refused: list[str] = field(default_factory=list)


def export(
    alignments: Iterable[Alignment], roots: Mapping[str, str | Path], settings: ExportSettings | None = None
) -> dict[str, Exported]:
    """Write alignments in each format of `roots` into its folder, in one pass, holding one alignment at a
    time.

    Utterances that a format cannot hold (more tokens than frames, unknown symbols, not the consumer's tokens)
    are left out of it and named in the result. Without a grid in the settings a format named after a consumer
    takes its preset.

    Raises AlignerError for an unknown format, ids that clash, and formats in frames without a grid.
    """
    settings = settings or ExportSettings()
    results = {name: Exported() for name in roots}
    with contextlib.ExitStack() as stack:
        writers: dict[str, Writer] = {}
        for name, root in roots.items():
            if name not in WRITERS:
                raise AlignerError(f"unknown format {name!r}; known: {', '.join(WRITERS)}")
            own = settings if settings.grid is not None else replace(settings, grid=PRESETS.get(name))
            writers[name] = stack.enter_context(WRITERS[name](root, own))
        for alignment in alignments:
            try:
                alignment = prepared(alignment, settings)
            except Refused as error:
                for result in results.values():
                    result.refused.append(str(error))
                continue
            for name, writer in writers.items():
                try:
                    writer.write(alignment)
                    results[name].utterances += 1
                except (Refused, DoesNotFit) as error:
                    results[name].refused.append(str(error))
    for name, writer in writers.items():
        results[name].files = writer.folder.files
    return results


def prepared(alignment: Alignment, settings: ExportSettings) -> Alignment:
    """The alignment with speaker and tokens renamed, these checked against the consumer's, and blanks
    between them.

    A blank has no extent of its own: on a grid it gets the one frame that every token keeps.
    Raises Refused where the tokens are not the consumer's.
    """
    tokens = alignment.tokens
    if settings.symbols:
        tokens = tuple(
            replace(token, symbol=settings.symbols.get(token.symbol, token.symbol)) for token in tokens
        )
    if settings.blank is not None:
        tokens = tuple(_interspersed(tokens, settings.blank))
    if settings.tokens is not None:
        _check_tokens(alignment.id, [token.symbol for token in tokens], settings.tokens.get(alignment.id))
    if tokens is alignment.tokens and settings.speaker is None:
        return alignment
    return replace(alignment, tokens=tokens, speaker=settings.speaker or alignment.speaker)


def alignment_to_json(alignment: Alignment) -> dict[str, Any]:
    """Plain JSON types; `aligner.formats.read.alignment_from_json` is the inverse."""
    return {
        "id": alignment.id,
        "duration_s": alignment.duration_s,
        "speaker": alignment.speaker,
        "score": alignment.score,
        "text": alignment.text,
        "audio": alignment.audio,
        "words": [
            {"text": w.symbol, "start_s": w.start_s, "end_s": w.end_s, "score": w.score}
            for w in alignment.words
        ],
        "tokens": [
            {"symbol": t.symbol, "start_s": t.start_s, "end_s": t.end_s, "score": t.score, "word": t.word}
            for t in alignment.tokens
        ],
    }


def read_symbols(path: str | Path) -> dict[str, str]:
    """New names of tokens: lines of `old new`. Raises AlignerError for other lines."""
    names = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split()
        if fields and len(fields) != 2:
            raise AlignerError(f"{path}:{number}: not `old new`, separated by a space")
        if fields:
            names[fields[0]] = fields[1]
    return names


def read_tokens(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Token sequences by utterance: lines of `id|TOKEN TOKEN ...`. Raises AlignerError for other lines."""
    tokens = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        id, bar, symbols = line.partition("|")
        if line.strip() and not bar:
            raise AlignerError(f"{path}:{number}: not `id|TOKEN TOKEN ...`")
        if bar:
            tokens[id] = tuple(symbols.split())
    return tokens


def _check_tokens(id: str, ours: list[str], theirs: tuple[str, ...] | None) -> None:
    if theirs is None:
        raise Refused(f"{id}: not among the tokens it is to be checked against")
    if len(ours) != len(theirs):
        raise Refused(
            f"{id}: {len(ours)} tokens, but the consumer has {len(theirs)}; align the consumer's tokens"
        )
    for place, (own, their) in enumerate(zip(ours, theirs, strict=True)):
        if own != their:
            raise Refused(f"{id}: token {place} is {own!r}, but the consumer's is {their!r}")


def _interspersed(tokens: tuple[Interval, ...], blank: str) -> Iterator[Interval]:
    for token in tokens:
        yield Interval(blank, token.start_s, token.start_s)
        yield token
    yield Interval(blank, tokens[-1].end_s, tokens[-1].end_s)


@lru_cache(maxsize=65536)  # the same few symbols and words over and over
def _label(symbol: str, space: str = " ") -> str:
    return space.join(symbol.split()) or PAUSE


def _field(text: str) -> str:
    return " ".join(text.replace("|", " ").replace("{", "(").replace("}", ")").split())


def _text(alignment: Alignment) -> str:
    return alignment.text or " ".join(word.symbol for word in alignment.words)


def _symbols(alignment: Alignment) -> str:
    return " ".join([_label(token.symbol, "_") for token in alignment.tokens])


def _tiled(intervals: tuple[Interval, ...], duration_s: float) -> list[tuple[float, float, str]]:
    entries, filled_s = [], 0.0
    for interval in intervals:
        if interval.start_s > filled_s:
            entries.append((filled_s, interval.start_s, PAUSE))
        entries.append((interval.start_s, interval.end_s, _label(interval.symbol)))
        filled_s = interval.end_s
    if filled_s < duration_s:
        entries.append((filled_s, duration_s, PAUSE))
    return entries


def _textgrid(duration_s: float, tiers: dict[str, list[tuple[float, float, str]]]) -> str:
    """Praat's long text form, as praatio writes it but without exponents, which no TextGrid reader takes.

    praatio takes five times as long, which is felt where every utterance gets a file or two.
    """
    end = _seconds(duration_s)
    parts = [
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
        f"xmin = 0 \nxmax = {end} \ntiers? <exists> \nsize = {len(tiers)} \nitem []: \n"
    ]
    for number, (name, entries) in enumerate(tiers.items(), 1):
        parts.append(
            f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" \n'
            f"        xmin = 0 \n        xmax = {end} \n        intervals: size = {len(entries)} \n"
        )
        previous_s, written = 0.0, "0"
        for place, (start_s, end_s, label) in enumerate(entries, 1):
            start = written if start_s == previous_s else _seconds(start_s)
            previous_s, written = end_s, _seconds(end_s)
            text = label.replace('"', '""')
            parts.append(
                f"        intervals [{place}]:\n            xmin = {start} \n            xmax = {written} \n"
                f'            text = "{text}" \n'
            )
    return "".join(parts)


def _seconds(time_s: float) -> str:
    whole = int(time_s)
    return str(whole) if time_s - whole <= 1e-14 * time_s else f"{time_s:.9f}"


def _ctm_line(name: str, interval: Interval) -> bytes:
    score = "" if interval.score is None else f" {interval.score:.4f}"
    start_s, length_s = interval.start_s, interval.end_s - interval.start_s
    return f"{name} 1 {start_s:.6f} {length_s:.6f} {_label(interval.symbol, '_')}{score}\n".encode()


def _clock(time_s: float, point: str) -> str:
    ms = round(time_s * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
