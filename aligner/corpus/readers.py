"""Corpora as people have them: folders, file lists and lhotse manifests, read into one list of `Source`s."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from aligner.alignment import Alignment, Interval, is_pause
from aligner.errors import AlignerError
from aligner.formats.timit import merge_phones
from aligner.text.transcript import PAUSE

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".aiff", ".aif", ".au", ".w64", ".caf"}
)
TEXT_SUFFIXES = (".lab", ".txt")
FIELD_SEPARATOR = re.compile(r"(?<! )\||\|(?! )")
LHOTSE_SUFFIXES = (".jsonl", ".jsonl.gz")
REFERENCE_EXCESS_S = (
    0.1  # reference times that end later than this after the audio belong to another recording
)
TIMIT_TEXT = re.compile(r"\d+\s+\d+\s+(.*)", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """One utterance as found, not yet checked. `audio` None: there is none.

    start_s, duration_s: the part of the recording that is this utterance (None: all of it). channels: those
    to mix (None: all). reference: times that came with a manifest. problem: why it can already be said to be
    unusable.
    """

    id: str
    audio: Path | None
    text: str
    speaker: str = ""
    start_s: float = 0.0
    duration_s: float | None = None
    channels: tuple[int, ...] | None = None
    reference: Alignment | None = None
    problem: str = ""


def read_corpus(path: str | Path, audio_root: str | Path | None = None) -> list[Source]:
    """The utterances of a corpus, in the order they are listed, whichever of these `path` is.

    An LJSpeech folder (`metadata.csv` and `wavs/`), a folder of lhotse manifests (`cuts*.jsonl.gz`, or
    `recordings*` and `supervisions*`), any other folder (audio files with a `.txt` or `.lab` of the same
    name, searched in depth, the folder naming the speaker), a lhotse cut manifest, or a file list of
    `wav|text` or `wav|speaker|text`.

    audio_root: where the relative paths of a file list or manifest start; by default beside the file.
    Raises AlignerError if `path` does not exist, is none of these, or holds nothing.
    """
    path = Path(path)
    if not path.exists():
        raise AlignerError(f"{path}: no such file or folder")
    if path.is_dir():
        if (path / "metadata.csv").is_file():
            sources = _read_ljspeech(path)
        elif manifests := _lhotse_manifests(path):
            sources = _read_lhotse(manifests, Path(audio_root or path))
        else:
            sources = _read_folder(path)
    elif path.name.endswith(LHOTSE_SUFFIXES):
        sources = _read_lhotse([path], Path(audio_root or path.parent))
    elif path.name == "metadata.csv" and (path.parent / "wavs").is_dir():
        sources = _read_ljspeech(path.parent)
    else:
        sources = _read_filelist(path, Path(audio_root or path.parent))
    if not sources:
        raise AlignerError(
            f"{path}: no utterances found; give an LJSpeech folder, a folder of audio with .txt or .lab "
            "beside it, a list of wav|text lines, or lhotse manifests"
        )
    return sources


def reference_beside(audio: Path, id: str, duration_s: float) -> Alignment | None:
    """Hand-made times in files of the audio's name: `.phn`/`.wrd` of TIMIT (16 kHz samples) or a TextGrid.

    Phones of TIMIT come merged (see `aligner.formats.timit`). Raises AlignerError for a file that cannot be read, or
    whose times do not fit `duration_s`, the length of the audio.
    """
    from aligner.formats import read_textgrid, read_timit

    for suffix in (".phn", ".wrd", ".PHN", ".WRD"):
        if audio.with_suffix(suffix).is_file():
            reference = read_timit(audio.with_suffix(suffix), id)
            phones = merge_phones(_fitted(reference, duration_s))
            return Alignment(id, duration_s, _in_words(phones, reference.words), reference.words)
    for suffix in (".TextGrid", ".textgrid"):
        if audio.with_suffix(suffix).is_file():
            reference = read_textgrid(audio.with_suffix(suffix), id)
            return Alignment(id, duration_s, _fitted(reference, duration_s), reference.words)
    return None


def _fitted(reference: Alignment, duration_s: float) -> tuple[Interval, ...]:
    """The phones, made to end with the audio: hand-made times stop a little before or after it."""
    end_s = max((interval.end_s for interval in (*reference.tokens, *reference.words)), default=0.0)
    if end_s > duration_s + REFERENCE_EXCESS_S:
        raise AlignerError(f"its reference times end at {end_s:.2f} s, the audio at {duration_s:.2f} s")
    kept = [token for token in reference.tokens if token.start_s < duration_s]
    if kept and is_pause(kept[-1].symbol):
        kept[-1] = replace(kept[-1], end_s=duration_s)
    elif kept and kept[-1].end_s < duration_s:
        kept.append(Interval(PAUSE, kept[-1].end_s, duration_s))
    elif kept:
        kept[-1] = replace(kept[-1], end_s=duration_s)
    return tuple(kept)


def _in_words(phones: tuple[Interval, ...], words: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """Each phone with the word its middle lies in, or the nearest: TIMIT's words leave some phones out."""
    placed = []
    for phone in phones:
        index = -1
        if words and not is_pause(phone.symbol):
            middle_s = (phone.start_s + phone.end_s) / 2
            gaps_s = [max(word.start_s - middle_s, middle_s - word.end_s) for word in words]
            index = gaps_s.index(min(gaps_s))
        placed.append(replace(phone, word=index))
    return tuple(placed)


def _read_ljspeech(folder: Path) -> list[Source]:
    """`id|text|normalised text` lines, `|` as in file lists; audio in `wavs/` under any suffix; the folder's
    name is the speaker.
    """
    audio_files = _by_stem(_audio_files(folder / "wavs"))
    sources = []
    for number, line in _lines(folder / "metadata.csv"):
        fields = [field.strip() for field in FIELD_SEPARATOR.split(line)]
        id = fields[0]
        problem = "" if len(fields) > 1 else f"line {number} of metadata.csv has no `|`: write id|text"
        text = next((field for field in reversed(fields[1:3]) if field), "")
        sources.append(Source(id, audio_files.get(id), text, folder.resolve().name, problem=problem))
    return sources


def _read_filelist(path: Path, audio_root: Path) -> list[Source]:
    """`wav|text` or `wav|speaker|text` lines; the id is the file's name, after the speaker's if there is
    one. A `|` between spaces belongs to the text: in text that is tokens already it stands between words.
    """
    sources = []
    for number, line in _lines(path):
        fields = [field.strip() for field in FIELD_SEPARATOR.split(line)]
        audio = audio_root / fields[0]
        if len(fields) == 2:
            sources.append(Source(_make_id("", audio), audio, fields[1]))
        elif len(fields) == 3:
            sources.append(Source(_make_id(fields[1], audio), audio, fields[2], fields[1]))
        else:
            problem = f"line {number} of {path.name} is neither wav|text nor wav|speaker|text"
            sources.append(Source(_make_id("", audio), audio, "", problem=problem))
    return sources


def _read_folder(folder: Path) -> list[Source]:
    """Audio with a `.lab` or `.txt` of the same name beside it; the folder it lies in is the speaker."""
    sources = []
    paired = set()
    for audio in sorted(_audio_files(folder)):
        speaker = audio.parent.name if audio.parent != folder else ""
        text_file = next((t for t in _namesakes(audio) if t.is_file()), None)
        paired.add(text_file)
        if text_file is None:
            sources.append(
                Source(_make_id(speaker, audio), audio, "", speaker, problem="no .txt or .lab beside it")
            )
        else:
            sources.append(Source(_make_id(speaker, audio), audio, _read_text(text_file), speaker))
    spoken_folders = {source.audio.parent for source in sources if source.audio}
    for text_file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in TEXT_SUFFIXES):
        if text_file.parent in spoken_folders and text_file not in paired and not _is_note(text_file):
            speaker = text_file.parent.name if text_file.parent != folder else ""
            if not any(namesake in paired for namesake in _namesakes(text_file)):
                sources.append(Source(_make_id(speaker, text_file), None, _read_text(text_file), speaker))
    return sources


def _read_text(path: Path) -> str:
    """The text of one utterance; TIMIT's begins with the first and last sample, which nobody says."""
    text = " ".join(line for _, line in _lines(path))
    timit = TIMIT_TEXT.fullmatch(text)
    has_times = any(path.with_suffix(suffix).is_file() for suffix in (".wrd", ".phn", ".WRD", ".PHN"))
    return timit[1] if timit and has_times else text


def _read_lhotse(manifests: list[Path], audio_root: Path) -> list[Source]:
    """One utterance a supervision, wherever in its recording it lies."""
    from lhotse import CutSet, RecordingSet, SupervisionSet
    from lhotse.serialization import load_manifest

    try:
        loaded = [load_manifest(path) for path in manifests]
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise AlignerError(f"{manifests[0]}: not a lhotse manifest that can be read ({error})") from error
    cuts = [m for m in loaded if isinstance(m, CutSet)]
    recordings = [m for m in loaded if isinstance(m, RecordingSet)]
    supervisions = [m for m in loaded if isinstance(m, SupervisionSet)]
    if recordings and supervisions:
        cuts = [CutSet.from_manifests(recordings=_joined(recordings), supervisions=_joined(supervisions))]
    if not cuts:
        raise AlignerError(f"{manifests[0]}: give lhotse cuts, or a folder of recordings and supervisions")
    return [source for cut_set in cuts for cut in cut_set for source in _sources_of_cut(cut, audio_root)]


def _sources_of_cut(cut, audio_root: Path) -> Iterator[Source]:
    """Every supervision of a lhotse cut as an utterance of its own."""
    from aligner.formats import from_cut

    if not cut.supervisions:
        yield Source(cut.id, None, "", problem="the cut has no supervision, so no text")
    recording = getattr(cut, "recording", None)
    files = [s.source for s in recording.sources if s.type == "file"] if recording is not None else []
    for piece in cut.trim_to_supervisions(keep_overlapping=False):
        supervision = piece.supervisions[0]
        text, speaker = supervision.text or "", supervision.speaker or ""
        if not files:
            problem = "its audio is not in a file: save it with lhotse's CutSet.save_audios first"
            yield Source(supervision.id, None, text, speaker, problem=problem)
            continue
        yield Source(
            id=supervision.id,
            audio=audio_root / files[0],
            text=text,
            speaker=speaker,
            start_s=piece.start,
            duration_s=piece.duration,
            channels=tuple(piece.channel) if isinstance(piece.channel, list) else (piece.channel,),
            reference=from_cut(piece),
        )


def _lhotse_manifests(folder: Path) -> list[Path]:
    """`cuts*` if the folder has them, otherwise `recordings*` and `supervisions*` (also behind a corpus'
    name).
    """
    manifests = sorted(f for f in folder.iterdir() if f.name.endswith(LHOTSE_SUFFIXES))
    cuts = [f for f in manifests if "cuts" in f.name]
    return cuts or [f for f in manifests if "recordings" in f.name or "supervisions" in f.name]


def _joined(manifests: list):
    return sum(manifests[1:], manifests[0])


def _audio_files(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES and not f.name.startswith(".")]


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    return {path.stem: path for path in sorted(paths, reverse=True)}


def _namesakes(path: Path) -> list[Path]:
    return [path.with_suffix(case) for suffix in TEXT_SUFFIXES for case in (suffix, suffix.upper())]


def _is_note(path: Path) -> bool:
    """Files about the corpus, not of it."""
    return path.stem.upper() in {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "SPEAKERS", "CHANGELOG"}


def _make_id(speaker: str, file: Path) -> str:
    """`speaker-name`, without the speaker where the name already begins with it. White space becomes `_`."""
    name = file.stem if not speaker or file.stem.startswith(speaker) else f"{speaker}-{file.stem}"
    return re.sub(r"\s+", "_", name)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that hold anything. Raises AlignerError if the file is not UTF-8."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (UnicodeDecodeError, OSError) as error:
        raise AlignerError(f"{path}: not a UTF-8 text file ({error}); convert it with iconv") from error
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
