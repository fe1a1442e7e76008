"""Reading alignments: which reader for which path."""

from collections.abc import Callable, Iterator
from pathlib import Path

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats.corrections import is_corrections, read_corrections
from aligner.formats.ctm import PHONES_FILE, ctm_files, read_ctm
from aligner.formats.json_file import read_json
from aligner.formats.manifest import MANIFEST, SHARDS, read_alignments
from aligner.formats.textgrid import read_textgrid
from aligner.formats.timit import PHONE_SUFFIXES, WORD_SUFFIXES, read_timit

# Files that hold one utterance. Where a name has several of them, the first in this list is read.
_UTTERANCE_SUFFIXES = (".TextGrid", ".textgrid", *PHONE_SUFFIXES, *WORD_SUFFIXES, ".json")


def read(
    path: str | Path,
    words_tier: str | None = None,
    phones_tier: str | None = None,
    on_error: Callable[[AlignerError], None] | None = None,
) -> Iterator[Alignment]:
    """The alignments at a path, in any format that can be read here.

    A file: a lhotse manifest, .ctm (of words if its name has "word" or "wrd" in it, otherwise of phones),
    .TextGrid, .phn, .wrd or .json (also the corrections saved from a report). A folder: what `aligner align`
    or `aligner prepare` wrote; one with `phones.ctm`; otherwise every TextGrid, .phn/.wrd or .json in it and
    below (an MFA output folder is one); otherwise its .ctm files. Of single files, ids are file names if
    those all differ, otherwise the path with "-" for "/", and the speaker is the folder.

    Args:
        path: A file or folder.
        words_tier: Name of the word tier in TextGrids; None: the usual names.
        phones_tier: Name of the phone tier in TextGrids; None: the usual names.
        on_error: Called with the reason for each utterance that cannot be read, which is left out; None:
            raise it.

    Raises:
        AlignerError: There is nothing to read, or an utterance cannot be read and `on_error` is None.
    """
    path = Path(path)
    if not path.exists():
        raise AlignerError(f"{path}: no such file or folder")
    manifest = find_manifest(path)
    if manifest is not None:
        return read_alignments(manifest, on_error)
    if path.is_file() or (path / PHONES_FILE).exists() or not utterance_files(path):
        phones, words = ctm_files(path)
        if phones or words:
            return read_ctm(phones, words, on_error)
    if path.is_file() and is_corrections(path):
        return read_corrections(path, on_error)
    if path.is_file():
        return iter([read_utterance(path, path.stem, words_tier=words_tier, phones_tier=phones_tier)])
    return _read_folder(path, words_tier, phones_tier, on_error)


def find_manifest(path: Path) -> Path | None:
    """The lhotse manifest that `path` is or, a folder, directly holds; None if there is none.

    Args:
        path: A file or folder.

    Raises:
        AlignerError: A folder holds several, and none has a name that `aligner align` or `prepare` gives.
    """
    if path.is_file():
        return path if path.name.endswith((".jsonl", ".jsonl.gz")) else None
    for usual in (MANIFEST, "cuts.jsonl.gz"):
        if (path / usual).exists():
            return path / usual
    if (path / SHARDS).is_dir() and any((path / SHARDS).glob("*.jsonl*")):
        raise AlignerError(
            f"{path}: not all shards of `aligner align --shard` are there yet; run those that are missing, "
            "and the last one puts them together"
        )
    if any(path.glob("*.partial.jsonl")):
        raise AlignerError(f"{path}: `aligner align` was interrupted here; run it again, and it goes on")
    found = sorted(f for f in (*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")) if ".partial." not in f.name)
    if len(found) > 1:
        raise AlignerError(
            f"{path}: several manifests ({', '.join(f.name for f in found)}); name one of them"
        )
    return found[0] if found else None


def utterance_files(folder: Path) -> dict[str, Path]:
    """The files of single utterances (TextGrid, .phn/.wrd, .json) in a folder and below.

    Names that begin with a point are no alignments: macOS leaves such files beside the true ones.

    Args:
        folder: Where to search, in depth.

    Returns:
        The files by their path in the folder without suffix ("/" between the parts), in that order.
    """
    found = {}
    for suffix in reversed(_UTTERANCE_SUFFIXES):  # so that the first of them wins where a name has several
        for path in sorted(folder.rglob(f"*{suffix}")):
            if not path.name.startswith(".") and path.is_file():
                found[path.relative_to(folder).with_suffix("").as_posix()] = path
    return dict(sorted(found.items()))


def read_utterance(
    path: Path, id: str, speaker: str = "", words_tier: str | None = None, phones_tier: str | None = None
) -> Alignment:
    """The alignment in a file of a single utterance, by the file's suffix.

    Args:
        path: A TextGrid, .phn, .wrd or .json file.
        id: The utterance's id (a .json file has its own).
        speaker: The speaker's name, "" if unknown (a .json file has its own).
        words_tier: As in `read`.
        phones_tier: As in `read`.

    Raises:
        AlignerError: The file cannot be read, or its suffix is unknown.
    """
    try:
        suffix = path.suffix.lower()
        if suffix == ".textgrid":
            return read_textgrid(path, id, speaker, words_tier, phones_tier)
        if suffix in (*PHONE_SUFFIXES, *WORD_SUFFIXES):
            return read_timit(path, id, speaker)
        if suffix == ".json":
            return read_json(path)
    except AlignerError:
        raise
    except Exception as error:  # whatever may be in a file of somebody else's, or keep it from being read
        raise AlignerError(f"{path}: cannot be read ({_reason(error)})") from error
    known = sorted({*_UTTERANCE_SUFFIXES, ".ctm", ".jsonl", ".jsonl.gz"})
    raise AlignerError(f"{path}: unknown kind of file; known: {', '.join(known)}")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "not UTF-8"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__


def _read_folder(
    folder: Path,
    words_tier: str | None,
    phones_tier: str | None,
    on_error: Callable[[AlignerError], None] | None,
) -> Iterator[Alignment]:
    files = utterance_files(folder)
    if not files:
        raise AlignerError(f"{folder}: holds no lhotse manifest, TextGrid, .phn, .wrd, .ctm or .json")
    stems_differ = len({path.stem for path in files.values()}) == len(files)
    for name, path in files.items():
        id = path.stem if stems_differ else name.replace("/", "-")
        speaker = path.parent.name if path.parent != folder else ""
        try:
            alignment = read_utterance(path, id, speaker, words_tier, phones_tier)
        except AlignerError as error:
            if on_error is None:
                raise
            on_error(error)
            continue
        yield alignment
