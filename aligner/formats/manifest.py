"""Lhotse cut manifests, one line an utterance: this program's own format on disk.

Times of words and phones stand in `supervision.alignment["word"]` and `["phone"]` with their scores, those of
pauses that were added among a consumer's own tokens in `["added_pause"]`. lhotse has no place for an
utterance's score, spreads, gaps, the word of each phone and what a person corrected: `supervision.custom` has
them.
"""

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.formats.atomic import atomic_write, errors_named
from aligner.formats.folder import make_folder
from aligner.formats.gzip_file import compressed, damage_named
from aligner.formats.json_file import marks_from_json, marks_to_json
from aligner.formats.tar_member import TarMember
from aligner.formats.tiers import (
    Entry,
    assign_words,
    check_times,
    tile,
    with_added_pauses,
    without_rounding_gaps,
)
from aligner.formats.writer import Writer
from aligner.spread import spread_column, spreads_of_column

if TYPE_CHECKING:
    from lhotse.cut import Cut

MANIFEST = "alignments.jsonl.gz"
SHARDS = "shards"  # the folder of manifests that are not put together yet, where the manifest is to be


class DamagedManifest(AlignerError):
    """A manifest that ends too early: nobody knows which utterances are missing."""


def to_cut(alignment: Alignment, cut: "Cut | None" = None) -> "Cut":
    """The alignment as a lhotse cut.

    Args:
        alignment: One utterance.
        cut: The cut that was aligned, whose recording, text and language are kept; None: there is none.
    """
    from lhotse.serialization import deserialize_item

    return deserialize_item(_cut_data(alignment, cut.to_dict() if cut is not None else {}))


def from_cut(cut: "Cut") -> Alignment | None:
    """The alignment in a lhotse cut, made by `to_cut` or by any other program.

    Args:
        cut: With one supervision.

    Returns:
        The alignment, or None if the cut has none.

    Raises:
        AlignerError: The cut has several supervisions, or its phones overlap.
    """
    recording = getattr(cut, "recording", None)
    supervisions = [supervision.to_dict() for supervision in cut.supervisions]
    return from_cut_data(
        {
            "id": cut.id,
            "start": getattr(cut, "start", 0.0),
            "duration": cut.duration,
            "supervisions": supervisions,
            "recording": recording.to_dict() if recording is not None else None,
        }
    )


def read_alignments(
    path: str | Path, on_error: Callable[[AlignerError], None] | None = None
) -> Iterator[Alignment]:
    """The alignments of a lhotse manifest, one at a time.

    Args:
        path: `.jsonl` or `.jsonl.gz`, of cuts or of supervisions.
        on_error: Called with the reason for each line that cannot be read or has no times, and for a file
            that ends too early (`DamagedManifest`). None: what cannot be read is raised, cuts without times
            are left out.

    Raises:
        AlignerError: The manifest holds anything else.
    """
    path = Path(path)
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    alignment = _from_line(line, f"{path}:{number}")
                except AlignerError as error:
                    if on_error is None:
                        raise
                    on_error(error)
                    continue
                if alignment is not None:
                    yield alignment
                elif on_error is not None:
                    on_error(AlignerError(f"{json.loads(line)['id']}: has no times in {path}"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        broken = DamagedManifest(
            f"{path}: cannot be read beyond line {number}: it is cut off or damaged ({error}); "
            "delete it and run the command again that wrote it"
        )
        if on_error is None:
            raise broken from error
        on_error(broken)


def _from_line(line: bytes, path: str) -> Alignment | None:
    # Parsed here, since lhotse's own objects take three times as long to make, and every command reads these.
    try:
        data = json.loads(line)
        return _from_json(data, path)
    except AlignerError:
        raise
    except Exception as error:  # whatever may be in a line of somebody else's
        raise AlignerError(f"{path}: not a manifest that can be read ({error!r})") from error


def _from_json(data: Any, path: str) -> Alignment | None:
    if isinstance(data, dict) and not isinstance(data.get("id"), str):
        raise AlignerError(f"{path}: its id is no text")
    if isinstance(data, dict) and data.get("type") in ("MonoCut", "MultiCut"):
        return from_cut_data(data)
    if isinstance(data, dict) and "recording_id" in data:  # a supervision: a cut of just its extent
        return from_cut_data({**data, "supervisions": [data]})
    if isinstance(data, dict) and "type" in data:
        raise AlignerError(
            f"{path}: {data['id']} is a {data['type']}; take cuts before they are padded or mixed"
        )
    raise AlignerError(f"{path}: not a lhotse manifest of cuts or supervisions")


def write_alignments(path: str | Path, alignments: Iterable[Alignment]) -> int:
    """Write a manifest atomically, sorted by id.

    Args:
        path: The manifest, `.jsonl.gz`.
        alignments: The utterances.

    Returns:
        How many utterances were written.

    Raises:
        AlignerError: Two utterances have the same id.
    """
    with AlignmentWriter(path, resume=False) as writer:
        for alignment in alignments:
            writer.write(alignment)
    return len(writer.done)


def _partial(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".jsonl") + ".partial.jsonl")


class AlignmentWriter:
    """Writes a manifest line by line, so that an interrupted run continues and ends with the same bytes.

    Use it as a context manager. Each `write` appends a line to `NAME.partial.jsonl` beside `path`. When the
    `with` block ends, the lines are sorted by id and written to `path` (gzip without time stamp), and the
    partial file is deleted. When the block ends with an exception, the partial file stays, and the next run
    continues from it: skip the utterances in `done`. Lines that are damaged, such as by a disk that was full,
    are left out, so that their utterances come again.

    Args:
        path: The manifest, `.jsonl.gz`.
        resume: Continue from the partial file of an interrupted run, or add to a finished manifest. False:
            start anew.
    """

    def __init__(self, path: str | Path, *, resume: bool = True) -> None:
        self.path = Path(path)
        make_folder(self.path.parent)
        self._partial = _partial(self.path)
        if not resume:
            self._partial.unlink(missing_ok=True)
        elif not self._partial.exists() and self.path.exists():
            with (
                atomic_write(self._partial) as copy,
                damage_named(self.path),
                gzip.open(self.path, "rb") as finished,
            ):
                shutil.copyfileobj(finished, copy)
        self._lines, end, self.damaged_lines = _usable_lines(self._partial)
        self._file = open(self._partial, "r+b" if self._partial.exists() else "w+b")  # noqa: SIM115
        self._file.truncate(end)
        self._file.seek(0, os.SEEK_END)

    @property
    def done(self) -> set[str]:
        """Ids of the utterances written so far, also by earlier runs."""
        return set(self._lines)

    def write(self, alignment: Alignment, cut: Mapping[str, Any] | None = None) -> None:
        """Append an alignment.

        Args:
            alignment: One utterance.
            cut: The cut that was aligned, as a manifest has it, whose recording, text and language are kept;
                None: there is none.

        Raises:
            AlignerError: Its id was written before.
        """
        if alignment.id in self._lines:
            raise AlignerError(f"{alignment.id}: aligned twice; utterance ids must differ")
        line = (
            json.dumps(_cut_data(alignment, cut or {}), ensure_ascii=False, sort_keys=True).encode() + b"\n"
        )
        with errors_named(self._partial):
            offset = self._file.tell()
            self._file.write(line)
            self._file.flush()
        self._lines[alignment.id] = (offset, len(line))

    def __enter__(self) -> "AlignmentWriter":
        return self

    def __exit__(self, exception: object, *_: object) -> None:
        with errors_named(self._partial), self._file:
            if exception is None:
                self._finish()
        if exception is None:
            self._partial.unlink()

    def _finish(self) -> None:
        with atomic_write(self.path) as raw, compressed(raw) as packed:
            for _, (offset, length) in sorted(self._lines.items()):
                self._file.seek(offset)
                packed.write(self._file.read(length))


class Lhotse(Writer):
    """`alignments.jsonl.gz`: a lhotse manifest, as `aligner align` writes it."""

    lists = (MANIFEST, _partial(Path(MANIFEST)).name)  # the second is that of an `align` that was interrupted
    shows_added_pauses = True

    def begin(self) -> None:
        self._manifest = self._open.enter_context(AlignmentWriter(self.folder.root / MANIFEST, resume=False))

    def name(self, alignment: Alignment) -> str:
        return alignment.id  # no file is named after it

    def write(self, alignment: Alignment, name: str) -> None:
        self._manifest.write(alignment)

    def finish(self) -> None:
        self.folder.wrote(MANIFEST)


def _usable_lines(path: Path) -> tuple[dict[str, tuple[int, int]], int, int]:
    """Offset and length in bytes of each utterance's line, where the last whole line ends, and how many are
    damaged. A last line that was cut off counts as neither."""
    lines: dict[str, tuple[int, int]] = {}
    offset = end = damaged = 0
    if path.exists():
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    end = offset + len(line)
                    id = _id_of(line)
                    if id is None:
                        damaged += 1
                    else:
                        lines[id] = (offset, len(line))
                offset += len(line)
    return lines, end, damaged


def _id_of(line: bytes) -> str | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(data, dict) and isinstance(data.get("id"), str) and data.get("supervisions")
    return data["id"] if whole else None


def _cut_data(alignment: Alignment, cut: Mapping[str, Any]) -> dict[str, Any]:
    # Made here, since lhotse's own to_dict takes twenty times as long: it copies every item.
    source = (cut.get("supervisions") or [{}])[0]
    recording = cut.get("recording")
    own = [token for token in alignment.tokens if not token.added]
    times = {"word": _items(alignment.words), "phone": _items(own)}
    if len(own) < len(alignment.tokens):
        times["added_pause"] = _items([token for token in alignment.tokens if token.added])
    custom: dict[str, Any] = {"token_words": [token.word for token in own]}
    custom |= {"score": alignment.score} if alignment.score is not None else {}
    if alignment.audio and recording is None:
        custom["audio"] = alignment.audio
    custom |= marks_to_json(alignment)
    custom |= {"spreads_s": spread_column(alignment)} if alignment.spreads_s else {}
    words = " ".join(word.symbol for word in alignment.words)
    channel = cut.get("channel", 0)
    supervision = {
        "id": source.get("id", alignment.id),
        "recording_id": recording["id"] if recording is not None else alignment.id,
        "start": 0.0,
        "duration": alignment.duration_s,
        "channel": channel,
        "text": alignment.text or source.get("text") or words,
        "speaker": alignment.speaker or source.get("speaker") or None,
        "language": source.get("language"),
        "custom": custom,
        "alignment": times,
    }
    return {
        "id": alignment.id,
        "start": cut.get("start", 0.0),
        "duration": alignment.duration_s,
        "channel": channel,
        "supervisions": [{name: value for name, value in supervision.items() if value is not None}],
        **({"recording": recording} if recording is not None else {}),
        "type": "MultiCut" if isinstance(channel, list) else "MonoCut",
    }


def from_cut_data(data: dict[str, Any]) -> Alignment | None:
    """The alignment of a cut as a manifest has it, or as lhotse's `to_dict` gives it; None if it has none."""
    supervisions = data.get("supervisions") or []
    if not any(supervision.get("alignment") for supervision in supervisions):
        return None
    id, duration_s = data["id"], data["duration"]
    if len(supervisions) != 1:
        raise AlignerError(f"{id}: {len(supervisions)} supervisions; call trim_to_supervisions() first")
    (supervision,) = supervisions
    custom = supervision.get("custom") or {}
    token_words = custom.get("token_words")
    # lhotse counts these times from the start of the recording, this program from that of the cut.
    offset_s = data["start"] if token_words is None else 0.0
    entries = {
        kind: [_entry(item, offset_s) for item in items] for kind, items in supervision["alignment"].items()
    }
    words = tuple(
        Interval(symbol, start_s, end_s, score, index)
        for index, (symbol, start_s, end_s, score) in enumerate(entries.get("word", ()))
    )
    phones = entries.get("phone", [])
    if token_words is not None and len(token_words) == len(phones):  # our own, whose tokens have no gaps
        own = [Interval(*entry, word) for entry, word in zip(phones, token_words, strict=True)]
        tokens = with_added_pauses(without_rounding_gaps(own), entries.get("added_pause", []))
        check_times(id, tokens, duration_s)
    else:
        tokens = assign_words(tile(phones, duration_s, id), words)
    check_times(id, words, duration_s, may_overlap=True)
    sources = (data.get("recording") or {}).get("sources")
    audio = _audio_of(sources[0]) if sources else custom.get("audio", "")
    return Alignment(
        id=id,
        duration_s=duration_s,
        tokens=tokens,
        words=words,
        speaker=supervision.get("speaker") or "",
        score=custom.get("score"),
        text=supervision.get("text") or "",
        audio=audio if isinstance(audio, str) else "",
        spreads_s=spreads_of_column(custom.get("spreads_s"), tokens),
        **marks_from_json(custom, words),
    )


def _audio_of(source: dict[str, Any]) -> Any:
    """The path of an entry of a recording's sources; of a file in a tar that of the tar and its name."""
    member = TarMember.parse(source["source"]) if source.get("type") == "command" else None
    return source["source"] if member is None else str(member)


def _entry(item: list[Any] | dict[str, Any], offset_s: float) -> Entry:
    """The entry of one of lhotse's alignment items, which before lhotse 1.8 were dictionaries."""
    symbol, start_s, length_s, *score = item.values() if isinstance(item, dict) else item
    start_s -= offset_s
    return symbol, round(start_s, 8), round(start_s + length_s, 8), score[0] if score else None


def _items(intervals: Iterable[Interval]) -> list[list[Any]]:
    # Eight digits are what lhotse keeps of an item's end; both ends rounded, so that reading and writing
    # once more changes nothing.
    items = []
    for interval in intervals:
        start_s, end_s = round(interval.start_s, 8), round(interval.end_s, 8)
        items.append([interval.symbol, start_s, round(end_s - start_s, 8), interval.score])
    return items
