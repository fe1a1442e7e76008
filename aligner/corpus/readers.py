"""Readers of corpora as people have them: LJSpeech folders, file lists, folders and lhotse manifests.

One function a layout; each gives `RawUtterance`s, not checked yet.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import from_cut
from aligner.formats.timit import reference_files, spoken_text

if TYPE_CHECKING:
    from lhotse.cut import Cut

# The formats that libsndfile reads.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".aiff", ".aif", ".au", ".w64", ".caf"}
)
TEXT_SUFFIXES = (".lab", ".txt")
# A `|` with a space on each side stands between words in a text of tokens, and does not separate fields.
FIELD_SEPARATOR = re.compile(r"(?<! )\||\|(?! )")
LHOTSE_SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class RawUtterance:
    """One utterance as it was found, not yet checked.

    Args:
        id: Its name.
        audio: The sound file; None if there is none.
        text: What is said; "" if there is no text.
        speaker: The speaker's name; "" if unknown.
        start_s: Where in the file it begins, in seconds.
        duration_s: Its length in seconds; None if it is the rest of the file.
        channels: The channels to average, from 0; None for all.
        reference: Times of phones and words that came with a manifest.
        problem: Why it cannot be used, where that is known already.
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


def read_corpus(path: str | Path, audio_root: str | Path | None = None) -> list[RawUtterance]:
    """The utterances of a corpus, in the order in which they are listed.

    Args:
        path: An LJSpeech folder (`metadata.csv` and `wavs/`); a folder of lhotse manifests
            (`cuts*.jsonl.gz`, or `recordings*` and `supervisions*`); any other folder (audio files with a
            `.txt` or `.lab` of the same name, at any depth; the folder is the speaker); a lhotse cut
            manifest; or a file list of `wav|text` or `wav|speaker|text`.
        audio_root: Where the relative paths of a file list or manifest start; by default its own folder.

    Raises:
        AlignerError: If `path` does not exist, is none of these, or has no utterances.
    """
    path = Path(path)
    if not path.exists():
        raise AlignerError(f"{path}: no such file or folder")
    if path.is_dir():
        if (path / "metadata.csv").is_file():
            found = _read_ljspeech(path)
        elif manifests := _lhotse_manifests(path):
            found = _read_lhotse(manifests, Path(audio_root or path))
        else:
            found = _read_folder(path)
    elif path.name.endswith(LHOTSE_SUFFIXES):
        found = _read_lhotse([path], Path(audio_root or path.parent))
    elif path.name == "metadata.csv" and (path.parent / "wavs").is_dir():
        found = _read_ljspeech(path.parent)
    else:
        found = _read_filelist(path, Path(audio_root or path.parent))
    if not found:
        raise AlignerError(
            f"{path}: no utterances found; give an LJSpeech folder, a folder of audio with .txt or .lab "
            "beside it, a list of wav|text lines, or lhotse manifests"
        )
    return found


def _read_ljspeech(folder: Path) -> list[RawUtterance]:
    """LJSpeech: `id|text|normalised text` lines with `|` as in file lists, and `wavs/` with any audio suffix.

    The folder's name is the speaker.
    """
    audio_files = _by_stem(_audio_files(folder / "wavs"))
    found = []
    for number, line in _lines(folder / "metadata.csv"):
        fields = [field.strip() for field in FIELD_SEPARATOR.split(line)]
        id = fields[0]
        problem = "" if len(fields) > 1 else f"line {number} of metadata.csv has no `|`: write id|text"
        text = next((field for field in reversed(fields[1:3]) if field), "")
        found.append(RawUtterance(id, audio_files.get(id), text, folder.resolve().name, problem=problem))
    return found


def _read_filelist(path: Path, audio_root: Path) -> list[RawUtterance]:
    """A file list of `wav|text` or `wav|speaker|text` lines.

    The id is the file's name, after the speaker's if there is one. A `|` between spaces belongs to the text:
    in a text of tokens it stands between words.
    """
    found = []
    for number, line in _lines(path):
        fields = [field.strip() for field in FIELD_SEPARATOR.split(line)]
        audio = audio_root / fields[0]
        if len(fields) == 2:
            found.append(RawUtterance(_make_id("", audio), audio, fields[1]))
        elif len(fields) == 3:
            found.append(RawUtterance(_make_id(fields[1], audio), audio, fields[2], fields[1]))
        else:
            problem = f"line {number} of {path.name} is neither wav|text nor wav|speaker|text"
            found.append(RawUtterance(_make_id("", audio), audio, "", problem=problem))
    return found


def _read_folder(folder: Path) -> list[RawUtterance]:
    """A folder of audio files, each with a `.lab` or `.txt` beside it; the folder of each is its speaker."""
    found = []
    paired = set()
    for audio in sorted(_audio_files(folder)):
        speaker = audio.parent.name if audio.parent != folder else ""
        text_file = next((t for t in _namesakes(audio) if t.is_file()), None)
        paired.add(text_file)
        if text_file is None:
            found.append(
                RawUtterance(
                    _make_id(speaker, audio), audio, "", speaker, problem="no .txt or .lab beside it"
                )
            )
        else:
            found.append(RawUtterance(_make_id(speaker, audio), audio, _read_text(text_file), speaker))
    spoken_folders = {utterance.audio.parent for utterance in found if utterance.audio}
    for text_file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in TEXT_SUFFIXES):
        if text_file.parent in spoken_folders and text_file not in paired and not _is_note(text_file):
            speaker = text_file.parent.name if text_file.parent != folder else ""
            if not any(namesake in paired for namesake in _namesakes(text_file)):
                found.append(RawUtterance(_make_id(speaker, text_file), None, _read_text(text_file), speaker))
    return found


def _read_text(path: Path) -> str:
    """The text of one utterance in a file of its own, without the sample numbers that TIMIT's have."""
    text = " ".join(line for _, line in _lines(path))
    return spoken_text(text) if reference_files(path) else text


def _read_lhotse(manifests: list[Path], audio_root: Path) -> list[RawUtterance]:
    """Lhotse manifests: each supervision is an utterance, wherever it lies in its recording."""
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
    return [
        utterance for cut_set in cuts for cut in cut_set for utterance in _utterances_of_cut(cut, audio_root)
    ]


def _utterances_of_cut(cut: "Cut", audio_root: Path) -> Iterator[RawUtterance]:
    """Every supervision of a lhotse cut as an utterance of its own."""
    if not cut.supervisions:
        yield RawUtterance(cut.id, None, "", problem="the cut has no supervision, so no text")
    recording = getattr(cut, "recording", None)
    files = [s.source for s in recording.sources if s.type == "file"] if recording is not None else []
    for piece in cut.trim_to_supervisions(keep_overlapping=False):
        supervision = piece.supervisions[0]
        text, speaker = supervision.text or "", supervision.speaker or ""
        if not files:
            problem = "its audio is not in a file: save it with lhotse's CutSet.save_audios first"
            yield RawUtterance(supervision.id, None, text, speaker, problem=problem)
            continue
        yield RawUtterance(
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
    """The cut manifests of a folder, or else its manifests of recordings and supervisions; [] if none.

    Their names may begin with a corpus' name.
    """
    manifests = sorted(f for f in folder.iterdir() if f.name.endswith(LHOTSE_SUFFIXES))
    cuts = [f for f in manifests if "cuts" in f.name]
    return cuts or [f for f in manifests if "recordings" in f.name or "supervisions" in f.name]


def _joined(manifests: list[Any]) -> Any:
    """Lhotse manifests of one kind as one."""
    return sum(manifests[1:], manifests[0])


def _audio_files(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES and not f.name.startswith(".")]


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    return {path.stem: path for path in sorted(paths, reverse=True)}


def _namesakes(path: Path) -> list[Path]:
    return [path.with_suffix(case) for suffix in TEXT_SUFFIXES for case in (suffix, suffix.upper())]


def _is_note(path: Path) -> bool:
    """Whether a text file is about the corpus and not the text of an utterance."""
    return path.stem.upper() in {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "SPEAKERS", "CHANGELOG"}


def _make_id(speaker: str, file: Path) -> str:
    """The id `speaker-name`, or `name` if that begins with the speaker. White space becomes `_`."""
    name = file.stem if not speaker or file.stem.startswith(speaker) else f"{speaker}-{file.stem}"
    return re.sub(r"\s+", "_", name)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, with their numbers.

    Raises:
        AlignerError: If the file is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (UnicodeDecodeError, OSError) as error:
        raise AlignerError(f"{path}: not a UTF-8 text file ({error}); convert it with iconv") from error
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
