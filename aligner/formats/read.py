"""Alignments made elsewhere: TextGrid (Praat, MFA), CTM, TIMIT's .phn and .wrd, JSON, lhotse manifests."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from aligner.alignment import Alignment, Interval, is_pause
from aligner.errors import AlignerError
from aligner.formats.manifest import MANIFEST, read_alignments
from aligner.formats.tiers import Entry, assign_words, tile

TIMIT_SAMPLE_RATE_HZ = 16000
_WORD_TIERS = ("words", "word", "wrd")
_PHONE_TIERS = ("phones", "phone", "segments", "phn")
_UTTERANCE_SUFFIXES = (".TextGrid", ".textgrid", ".phn", ".PHN", ".wrd", ".WRD", ".json")


def read(
    path: str | Path, words_tier: str | None = None, phones_tier: str | None = None
) -> Iterator[Alignment]:
    """Alignments of any format read here, by what `path` is.

    A file: a lhotse manifest, .ctm (phones), .TextGrid, .phn, .wrd or .json. A folder: what `aligner align`
    or `aligner prepare` wrote; an export of .ctm; otherwise every TextGrid, .phn/.wrd or .json in it and
    below (an MFA output folder is one). There, ids are file names if those all differ, otherwise the path
    with "-" for "/", and the speaker is the folder.

    Raises AlignerError where there is nothing to read.
    """
    path = Path(path)
    if not path.exists():
        raise AlignerError(f"{path}: no such file or folder")
    manifest = find_manifest(path)
    if manifest is not None:
        return read_alignments(manifest)
    ctm = path / "phones.ctm" if path.is_dir() else path
    if ctm.suffix == ".ctm" and ctm.exists():
        return read_ctm(ctm)
    if path.is_file():
        return iter([read_utterance(path, path.stem, words_tier=words_tier, phones_tier=phones_tier)])
    return _read_folder(path, words_tier, phones_tier)


def find_manifest(path: Path) -> Path | None:
    """The lhotse manifest that `path` is or, a folder, directly holds; None if there is none.

    Raises AlignerError where a folder holds several and none has a name that `aligner align` or `prepare`
    gives.
    """
    if path.is_file():
        return path if path.name.endswith((".jsonl", ".jsonl.gz")) else None
    for usual in (MANIFEST, "cuts.jsonl.gz"):
        if (path / usual).exists():
            return path / usual
    found = sorted(f for f in (*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")) if ".partial." not in f.name)
    if len(found) > 1:
        raise AlignerError(
            f"{path}: several manifests ({', '.join(f.name for f in found)}); name one of them"
        )
    return found[0] if found else None


def utterance_files(folder: Path) -> dict[str, Path]:
    """The TextGrid, .phn/.wrd and .json files in and below `folder`, by path without suffix ("/" between
    parts).
    """
    found = {}
    for suffix in reversed(_UTTERANCE_SUFFIXES):  # so that the first of them wins where a name has several
        for path in sorted(folder.rglob(f"*{suffix}")):
            found[path.relative_to(folder).with_suffix("").as_posix()] = path
    return dict(sorted(found.items()))


def read_utterance(
    path: Path, id: str, speaker: str = "", words_tier: str | None = None, phones_tier: str | None = None
) -> Alignment:
    """One utterance from its own file, by suffix. Raises AlignerError if it cannot be read."""
    try:
        suffix = path.suffix.lower()
        if suffix == ".textgrid":
            return read_textgrid(path, id, speaker, words_tier, phones_tier)
        if suffix in (".phn", ".wrd"):
            return read_timit(path, id, speaker)
        if suffix == ".json":
            return alignment_from_json(json.loads(path.read_text(encoding="utf-8")))
    except AlignerError:
        raise
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise AlignerError(f"{path}: cannot be read ({error})") from error
    raise AlignerError(f"{path}: unknown kind of file; known: {', '.join(sorted(set(_UTTERANCE_SUFFIXES)))}")


def read_textgrid(
    path: Path, id: str, speaker: str = "", words_tier: str | None = None, phones_tier: str | None = None
) -> Alignment:
    """A Praat TextGrid, any of its text forms. Unnamed tiers are found as "words" and "phones" and the like,
    also behind a speaker's name as MFA writes them ("anna - words").

    Raises AlignerError if a named tier is not there, or neither kind is.
    """
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="silence")
    except (PraatioException, IndexError, UnicodeError) as error:
        raise AlignerError(f"{path}: not a TextGrid that can be read ({error})") from error
    tiers = {name: grid.getTier(name) for name in grid.tierNames}
    word_entries = _tier_entries(path, tiers, words_tier, _WORD_TIERS)
    phone_entries = _tier_entries(path, tiers, phones_tier, _PHONE_TIERS)
    if word_entries is None and phone_entries is None:
        raise AlignerError(f"{path}: no tier of words or phones among {list(tiers)}; name one with --tier")
    duration_s = float(grid.maxTimestamp)
    return _from_entries(id, duration_s, phone_entries or (), word_entries or (), speaker)


def read_timit(path: Path, id: str, speaker: str = "") -> Alignment:
    """TIMIT's `.phn` and/or `.wrd` of the stem of `path`: lines of `start end label` in samples at 16 kHz."""
    phones = _read_timit_lines(path, ".phn")
    words = _read_timit_lines(path, ".wrd")
    duration_s = max(end_s for _, _, end_s, _ in (*phones, *words))
    return _from_entries(id, duration_s, phones, words, speaker)


def read_ctm(phones_path: str | Path, words_path: str | Path | None = None) -> Iterator[Alignment]:
    """CTM: lines of `utterance channel start duration label [score]`, an utterance's lines together.

    words_path: the same for words; without it `words.ctm` beside `phones.ctm` is taken if it is there. CTM
    does not say how long a recording is: it ends with its last phone.
    """
    phones_path = Path(phones_path)
    beside = phones_path.with_name("words.ctm")
    if words_path is None and phones_path.name == "phones.ctm" and beside.exists():
        words_path = beside
    words = {id: list(entries) for id, entries in _ctm_utterances(Path(words_path))} if words_path else {}
    for id, phones in _ctm_utterances(phones_path):
        yield _from_entries(id, max(end_s for _, _, end_s, _ in phones), phones, words.get(id, ()))


def alignment_from_json(data: dict[str, Any]) -> Alignment:
    """The inverse of `aligner.formats.write.alignment_to_json`."""
    tokens = tuple(
        Interval(t["symbol"], t["start_s"], t["end_s"], t["score"], t["word"]) for t in data["tokens"]
    )
    words = tuple(
        Interval(w["text"], w["start_s"], w["end_s"], w["score"], i) for i, w in enumerate(data["words"])
    )
    return Alignment(
        data["id"],
        data["duration_s"],
        tokens,
        words,
        data["speaker"],
        data["score"],
        data["text"],
        data["audio"],
    )


def _read_folder(folder: Path, words_tier: str | None, phones_tier: str | None) -> Iterator[Alignment]:
    files = utterance_files(folder)
    if not files:
        raise AlignerError(f"{folder}: holds no lhotse manifest, TextGrid, .phn, .wrd, .ctm or .json")
    stems_differ = len({path.stem for path in files.values()}) == len(files)
    for name, path in files.items():
        id = path.stem if stems_differ else name.replace("/", "-")
        speaker = path.parent.name if path.parent != folder else ""
        yield read_utterance(path, id, speaker, words_tier, phones_tier)


def _from_entries(
    id: str, duration_s: float, phones: Iterable[Entry], words: Iterable[Entry], speaker: str = ""
) -> Alignment:
    spoken = [word for word in words if not is_pause(word[0])]
    spans = tuple(Interval(w, start, end, score, i) for i, (w, start, end, score) in enumerate(spoken))
    tokens = assign_words(tile(phones, duration_s, id), spans)
    return Alignment(id, duration_s, tokens, spans, speaker, text=" ".join(w.symbol for w in spans))


def _tier_entries(path: Path, tiers: dict, asked: str | None, usual: tuple[str, ...]) -> list[Entry] | None:
    names = [asked] if asked else [n for n in tiers if n.lower().split(" - ")[-1].strip() in usual]
    if asked and asked not in tiers:
        raise AlignerError(f"{path}: no tier {asked!r}; it has {list(tiers)}")
    if len(names) > 1:
        raise AlignerError(f"{path}: several tiers could be meant ({names}); name one with --tier")
    return [(e.label, float(e.start), float(e.end), None) for e in tiers[names[0]].entries] if names else None


def _read_timit_lines(path: Path, suffix: str) -> list[Entry]:
    spelled = next((p for s in (suffix, suffix.upper()) if (p := path.with_suffix(s)).exists()), None)
    if spelled is None:
        return []
    lines = [
        line.split(maxsplit=2) for line in spelled.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    rate = TIMIT_SAMPLE_RATE_HZ
    return [(label.strip(), int(start) / rate, int(end) / rate, None) for start, end, label in lines]


def _ctm_utterances(path: Path) -> Iterator[tuple[str, list[Entry]]]:
    with open(path, encoding="utf-8") as file:
        lines = (line.split() for line in file if line.strip() and not line.startswith(";;"))
        for id, fields in groupby(lines, key=lambda line: line[0]):
            try:
                yield id, [_ctm_entry(*line) for line in fields]
            except (ValueError, TypeError) as error:
                raise AlignerError(f"{path}: {id}: not `utterance channel start duration label`") from error


def _ctm_entry(
    _id: str, _channel: str, start: str, duration: str, label: str, score: str | None = None
) -> Entry:
    return label, float(start), float(start) + float(duration), float(score) if score else None
