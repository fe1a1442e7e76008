"""Lhotse manifests: cuts, or recordings and supervisions. Each supervision is an utterance."""

import contextlib
import gzip
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.corpus.readers.raw import RawCorpus, RawUtterance
from aligner.errors import AlignerError
from aligner.formats import from_cut
from aligner.formats.tar_member import audio_place

if TYPE_CHECKING:
    from lhotse import Recording
    from lhotse.cut import Cut

LHOTSE_SUFFIXES = (".jsonl", ".jsonl.gz")
# Resampling changes neither times nor sound; the file is read as it is, and resampled later.
_HARMLESS = frozenset({"Resample"})
_NO_FILE = "its audio is not in a file ({}): save it with lhotse's CutSet.save_audios first"
_NOT_HERE = {
    "shar": "its audio is in a tar of lhotse's Shar: give the folder that has the tars beside the cuts"
}
Item = tuple[int, Any, str]
_CUTS = frozenset({"MonoCut", "MultiCut", "Cut", "MixedCut", "PaddingCut"})


def lhotse_manifests(folder: Path) -> list[Path]:
    """The cut manifests of a folder, or else its manifests of recordings and supervisions; [] if none.

    Their names may begin with a corpus' name.
    """
    manifests = sorted(
        f for f in folder.iterdir() if f.name.endswith(LHOTSE_SUFFIXES) and not f.name.startswith(".")
    )
    cuts = [f for f in manifests if "cuts" in f.name]
    others = [f for f in manifests if "recordings" in f.name or "supervisions" in f.name]
    return cuts or others


def is_lhotse(path: Path) -> bool:
    """Whether the first line of a file is a cut, a recording or a supervision."""
    try:
        item = first_item(path)
    except AlignerError:
        return False
    return isinstance(item, dict) and (
        str(item.get("type")) in _CUTS
        or "sources" in item
        or "recording_id" in item
        or "supervisions" in item
    )


def read_lhotse(
    paths: list[Path], audio_root: Path, items_of: "Callable[[Path], Iterable[Item]] | None" = None
) -> RawCorpus:
    """The utterances of lhotse manifests, wherever each lies in its recording.

    Args:
        paths: Manifests of cuts, or of recordings and of supervisions.
        audio_root: Where relative paths start.
        items_of: Reads a manifest; None: `manifest_items`.

    Raises:
        AlignerError: If a file cannot be read, or there are neither cuts nor recordings with supervisions.
    """
    found: list[RawUtterance] = []
    recordings: dict[str, Recording] = {}
    supervisions: dict[str, list[Any]] = {}
    lost: list[RawUtterance] = []
    for path in paths:
        for number, data, problem in (items_of or manifest_items)(path):
            id = str(data.get("id", "")) if isinstance(data, dict) else ""
            item, wrong = (None, problem) if problem else _lhotse_object(data)
            if item is None:
                where = f"line {number} of {path.name}: " if number else ""
                lost.append(RawUtterance(id or f"line-{number}", None, "", problem=where + wrong))
            elif type(item).__name__ in _CUTS:
                found += _utterances_of(item, audio_root)
            elif type(item).__name__ == "Recording":
                recordings[item.id] = item
            else:
                supervisions.setdefault(item.recording_id, []).append(item)
    if recordings and supervisions:
        for cut in _cuts_of(recordings, supervisions, lost):
            found += _utterances_of(cut, audio_root)
    if not found and not (recordings and supervisions):
        if lost:
            raise AlignerError(f"{paths[0]}: no cut of it can be read ({lost[0].problem})")
        raise AlignerError(f"{paths[0]}: give lhotse cuts, or a folder of recordings and supervisions")
    return RawCorpus([*found, *lost], f"{paths[0].name}: a lhotse manifest")


def first_item(path: Path) -> Any:
    """The first JSON object of a manifest; None if that cannot be read, or there is none.

    Raises:
        AlignerError: If the file cannot be read.
    """
    with contextlib.closing(manifest_items(path)) as items:
        return next((item for _, item, _ in items), None)


def manifest_items(path: Path) -> Generator[Item, None, None]:
    """The JSON objects of a manifest: number of the line, object, and why it cannot be read.

    Raises:
        AlignerError: If the file cannot be read.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield number, json.loads(line), ""
                    except (ValueError, RecursionError) as error:
                        yield number, None, f"not JSON ({error})"
    except (OSError, EOFError) as error:
        if number:
            yield number + 1, None, f"the file is damaged from here on ({error})"
            return
        raise AlignerError(f"{path}: cannot be read ({error})") from error
    except Exception as error:  # zlib's own
        raise AlignerError(f"{path}: cannot be unpacked ({error})") from error


def _lhotse_object(data: Any) -> tuple[Any, str]:
    """The lhotse object of one line, or None and the reason."""
    from lhotse.serialization import deserialize_item

    try:
        item = deserialize_item(dict(data))
    except Exception as error:  # whatever lhotse makes of somebody's line
        return None, f"no lhotse object ({type(error).__name__}: {_one_line(error)})"
    if not isinstance(item.id, str) or not isinstance(getattr(item, "recording_id", ""), str):
        return None, "its id is no text"
    known = type(item).__name__ in (*_CUTS, "Recording", "SupervisionSegment")
    return (item, "") if known else (None, f"a {type(item).__name__}, which has no text")


def _cuts_of(
    recordings: "dict[str, Recording]", supervisions: dict[str, list[Any]], lost: list[RawUtterance]
) -> "Iterable[Cut]":
    """A cut for each recording with its supervisions; what has no counterpart is added to `lost`."""
    from lhotse import CutSet, RecordingSet, SupervisionSet

    for id, own in supervisions.items():
        if id not in recordings:
            lost += [RawUtterance(s.id, None, s.text or "", problem=f"no recording {id!r}") for s in own]
            continue
        try:
            made = CutSet.from_manifests(
                recordings=RecordingSet.from_recordings([recordings[id]]),
                supervisions=SupervisionSet.from_segments(own),
            )
            yield from made
        except Exception as error:  # whatever lhotse makes of times and channels that do not go together
            lost += [
                RawUtterance(s.id, None, s.text or "", problem=f"lhotse: {_one_line(error)}") for s in own
            ]
    lost += [
        RawUtterance(id, None, "", problem="the recording has no supervision, so no text")
        for id in recordings
        if id not in supervisions
    ]


def _utterances_of(cut: Any, audio_root: Path) -> Iterator[RawUtterance]:
    """Every supervision of a lhotse cut as an utterance of its own."""
    from lhotse.utils import fastcopy

    kind = type(cut).__name__
    if kind in ("MixedCut", "PaddingCut"):
        problem = (
            f"a {kind}: take the cuts before they were padded, mixed or joined, or save their audio with "
        )
        yield RawUtterance(str(cut.id), None, "", problem=problem + "lhotse's CutSet.save_audios")
        return
    if not cut.supervisions:
        yield RawUtterance(str(cut.id), None, "", problem="the cut has no supervision, so no text")
    for supervision in cut.supervisions:
        try:
            alone = fastcopy(cut, supervisions=[supervision])
            (piece,) = alone.trim_to_supervisions(keep_overlapping=False)
            yield _utterance(piece, audio_root)
        except Exception as error:  # lhotse's own, about times and channels that do not go together
            what = f"lhotse cannot cut it out of {cut.id} ({_one_line(error)})"
            yield RawUtterance(str(supervision.id), None, str(supervision.text or ""), problem=what)


def _utterance(piece: Any, audio_root: Path) -> RawUtterance:
    """The utterance of a cut with one supervision of the same extent."""
    supervision = piece.supervisions[0]
    channels = tuple(piece.channel) if isinstance(piece.channel, list) else (piece.channel,)
    source, places, problem = _source(piece, channels)
    reference, reference_problem = _reference(piece)
    return RawUtterance(
        id=str(supervision.id),
        audio=None if source is None else audio_place(source, audio_root),
        text=str(supervision.text or ""),
        speaker=str(supervision.speaker or ""),
        language=str(supervision.language or ""),
        start_s=piece.start,
        duration_s=piece.duration,
        channels=places,
        reference=reference,
        reference_problem=reference_problem,
        problem=problem,
    )


def _source(
    piece: Any, channels: tuple[int, ...]
) -> tuple[dict[str, Any] | None, tuple[int, ...] | None, str]:
    """The file of a cut's channels, their places in it, and why it cannot be read ("" if it can)."""
    recording = getattr(piece, "recording", None)
    if recording is None:
        return None, None, "the cut has no recording"
    changed = [_transform_name(transform) for transform in recording.transforms or ()]
    if changes := [name for name in changed if name not in _HARMLESS]:
        return (
            None,
            None,
            (
                f"the cut changes its audio ({', '.join(changes)}), which is not in the file: take the cut "
                "before that, or write its audio with lhotse's CutSet.save_audios"
            ),
        )
    for source in recording.sources:
        if set(channels) <= set(source.channels):
            if audio_place(vars(source), Path()) is None:
                return None, None, _NOT_HERE.get(source.type, _NO_FILE.format(source.type))
            return vars(source), tuple(source.channels.index(channel) for channel in channels), ""
    return None, None, f"no one file of its recording has the channels {', '.join(map(str, channels))}"


def _transform_name(transform: Any) -> str:
    if isinstance(transform, dict):
        return str(transform.get("name", "a transform"))
    return type(transform).__name__


def _reference(piece: Any) -> tuple[Any, str]:
    """The times that came with a cut (None if there are none), and why they cannot be used."""
    try:
        return from_cut(piece), ""
    except Exception as error:  # times of anybody's making
        return None, _one_line(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
