"""lhotse's Shar: cuts in shards, with the audio of each in a tar beside it, where it stays.

A shard is `cuts.000000.jsonl.gz` and `recording.000000.tar`, which has for each cut a sound file and its
manifest, both named after the cut. lhotse reads a tar from its start. This program looks once where each
sound file lies, without reading it, and later goes there.
"""

import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aligner.corpus.readers.manifests import Item, first_item, manifest_items, read_lhotse
from aligner.corpus.readers.raw import RawCorpus
from aligner.errors import AlignerError, reason
from aligner.formats.tar_member import TarMember

_CUTS = re.compile(r"cuts(?P<number>(?:\.[^.]+)?)\.jsonl(?:\.gz)?")
_RECORDINGS = re.compile(r"recording(?P<number>(?:\.[^.]+)?)\.tar(?:\.gz)?")
_NOT_A_FILE = re.compile(r"pipe:|[a-zA-Z][a-zA-Z0-9+.-]+://")
_PLACEHOLDERS = (".nodata", ".nometa")  # of a cut without audio
_WITH_RECORDING = ("MonoCut", "MultiCut", "Cut")
_INDEX_BYTES = 65536  # in which an index says that it is one
_ZEROS = bytes(512)  # after the last file of a tar


@dataclass(frozen=True)
class Shard:
    """A part of a Shar.

    Args:
        cuts: Its manifest.
        recordings: The tar of its audio, which need not be there.
    """

    cuts: Path
    recordings: Path


@dataclass
class _Tar:
    """What is in a tar.

    Args:
        path: Of the tar.
        audio: The sound file of each cut, by its id.
        manifests: The recording's manifest of each cut.
        unusable: Why a cut has no audio here, where that is known.
        problem: Why there is not all that should be here; "" if nothing is known.
    """

    path: Path
    audio: dict[str, TarMember] = field(default_factory=dict)
    manifests: dict[str, Any] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def shards_among(files: Iterable[Path]) -> list[Shard]:
    """The shards whose manifests are among some files; none where they are manifests of audio in files.

    Args:
        files: Any; the tars are looked for beside the manifests.
    """
    named = [(file, match["number"]) for file in sorted(files) if (match := _CUTS.fullmatch(file.name))]
    shards = [Shard(file, _tar_beside(file, number)) for file, number in named]
    return shards if any(shard.recordings.exists() or _is_placeholder(shard.cuts) for shard in shards) else []


def index_of_shards(path: Path, root: Path) -> list[Shard]:
    """The shards that a JSON file lists, as lhotse's `CutSet.from_shar(fields=...)` takes them; [] if none.

    Args:
        path: Of the file: {"cuts": [paths], "recording": [paths]}, or that as its "fields".
        root: Where relative paths start.

    Raises:
        AlignerError: It lists no file for each shard.
    """
    try:
        with open(path, "rb") as file:
            if b'"cuts"' not in file.read(_INDEX_BYTES):
                return []
        data = json.loads(path.read_bytes())
        fields = data.get("fields", data)
        cuts, tars = fields["cuts"], fields.get("recording")
        if not all(isinstance(name, str) for name in [*cuts, *(tars or ())]):
            return []
    except (OSError, ValueError, AttributeError, KeyError, TypeError):  # some other JSON
        return []
    if not tars or len(tars) != len(cuts):
        raise AlignerError(
            f"{path}: lists {len(cuts)} shards of cuts and {len(tars or ())} of recording: each shard needs "
            "its tar of audio"
        )
    if away := next((name for name in [*cuts, *tars] if _NOT_A_FILE.match(name)), None):
        raise AlignerError(f"{path}: {away} is no file here: download the shards and list their paths")
    return [Shard(root / own, root / tar) for own, tar in zip(cuts, tars, strict=True)]


def read_shar(shards: Sequence[Shard]) -> RawCorpus:
    """The utterances of a Shar. A shard or a recording that is lost costs no other.

    Args:
        shards: In their order.

    Raises:
        AlignerError: If no cut can be read.
    """
    by_cuts = {shard.cuts: shard for shard in shards}
    notes: list[str] = []
    folder = shards[0].cuts.parent
    corpus = read_lhotse(list(by_cuts), folder, lambda cuts: _cuts_with_audio(by_cuts[cuts], notes))
    many = "1 shard" if len(shards) == 1 else f"{len(shards)} shards"
    doubts = (*corpus.doubts, *_tars_without_cuts(shards))
    layout = f"lhotse's Shar, {many} from {shards[0].cuts}"
    return replace(corpus, layout=layout, notes=tuple(notes), doubts=doubts)


def _cuts_with_audio(shard: Shard, notes: list[str]) -> Iterator[Item]:
    """The cuts of a shard, their recordings where they lie in the tar."""
    tar = _read_tar(shard.recordings)
    spare = set(tar.audio)
    try:
        for number, cut, problem in manifest_items(shard.cuts):
            if not problem and isinstance(cut, dict) and str(cut.get("type")) in _WITH_RECORDING:
                id = str(cut.get("id"))
                spare.discard(id)
                if _is_shar(cut) or id in tar.audio:
                    problem = _add_audio(cut, id, tar)
            yield number, cut, problem
    except AlignerError as error:  # of the whole file
        yield 0, {"id": shard.cuts.name}, str(error)
    if spare:
        some = f"{len(spare)} recordings of {shard.recordings} have no cut in {shard.cuts.name}"
        notes.append(f"{some} and are left out, such as {min(spare)}")


def _add_audio(cut: dict[str, Any], id: str, tar: _Tar) -> str:
    """Let a cut say where in the tar its audio is; returns why there is none, "" if there is."""
    member = tar.audio.get(id)
    if member is None or id in tar.unusable:
        return tar.unusable.get(id) or tar.problem or f"{tar.path} has no audio named {id}"
    recording: Any = tar.manifests.get(id) or cut.get("recording")
    try:
        source = {**recording["sources"][0], **member.source}
        cut["recording"] = {**recording, "sources": [source]}
    except (KeyError, IndexError, TypeError):
        return f"{tar.path} has no manifest of {member.name} that can be read: write this shard again"
    return ""


def _read_tar(path: Path) -> _Tar:
    """Where in a tar each sound file is. One that is cut off or damaged has those before."""
    tar = _Tar(path)
    if not path.exists():
        features = path.with_name(path.name.replace("recording", "features", 1))
        only = "there are only features, not the audio: write the Shar with its recordings (`--audio flac`)"
        tar.problem = only if features.exists() else f"{path} is missing: copy it there"
        return tar
    last = ""
    try:
        with tarfile.open(path, "r:") as file:
            try:
                for info in file:
                    last = info.name
                    if info.isreg():
                        _note_file(tar, info, file)
            finally:
                file.fileobj.seek(file.offset)  # type: ignore[union-attr]
                whole = file.fileobj.read(len(_ZEROS)) == _ZEROS  # type: ignore[union-attr]
    except (tarfile.TarError, OSError, EOFError) as error:
        tar.problem = _why_unread(path, last, error)
    else:
        if not whole:
            tar.problem = _why_unread(path, last, None)
    if tar.problem:
        size = path.stat().st_size if path.is_file() else 0
        for id, member in list(tar.audio.items()):
            if member.offset_bytes + member.size_bytes > size:
                tar.unusable[id] = tar.problem
    return tar


def _note_file(tar: _Tar, info: tarfile.TarInfo, file: tarfile.TarFile) -> None:
    id, _, suffix = info.name.rpartition(".")
    if f".{suffix}" in _PLACEHOLDERS:
        tar.unusable[id] = f"{tar.path} has no audio of {id}, only that there is none"
        tar.audio.pop(id, None)
    elif suffix == "json":
        try:
            tar.manifests[id] = json.loads(file.extractfile(info).read())  # type: ignore[union-attr]
        except ValueError:
            tar.manifests.pop(id, None)
    elif id in tar.audio:
        tar.unusable[id] = f"{tar.path} has several files named {id}: which one is meant is not known"
    elif not info.name.isprintable():
        tar.unusable[id] = f"{tar.path} has a file named {info.name!r}, which no manifest can name"
    else:
        tar.audio[id] = TarMember(tar.path.resolve(), info.name, info.offset_data, info.size)


def _why_unread(path: Path, last: str, error: Exception | None) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: {error.strerror.lower()}"
    try:
        with open(path, "rb") as file:
            if file.read(2) == b"\x1f\x8b":
                return f"{path} is compressed, so that nothing in it has a place: unpack it with gunzip"
    except OSError as other:
        return f"{path}: {(other.strerror or str(other)).lower()}"
    if not last:
        return f"{path} is no tar ({reason(error) if error else 'it is empty'}): copy it again"
    return f"{path} is cut off or damaged after {last}: copy it again"


def _tar_beside(cuts: Path, number: str) -> Path:
    plain = cuts.with_name(f"recording{number}.tar")
    packed = cuts.with_name(f"recording{number}.tar.gz")
    return packed if packed.exists() and not plain.exists() else plain


def _tars_without_cuts(shards: Sequence[Shard]) -> Iterator[str]:
    """Sentences about tars of a whole folder's shards that have no cuts beside them."""
    for folder in dict.fromkeys(shard.cuts.parent for shard in shards):
        have = {shard.recordings for shard in shards}
        for tar in sorted(folder.iterdir()):
            match = _RECORDINGS.fullmatch(tar.name)
            if match and tar not in have and not any(folder.glob(f"cuts{match['number']}.jsonl*")):
                yield f"{tar} has no cuts{match['number']}.jsonl.gz beside it: its recordings are not read"


def _is_placeholder(cuts: Path) -> bool:
    """Whether the first cut of a manifest says that its audio is in a tar."""
    return _is_shar(first_item(cuts))


def _is_shar(cut: Any) -> bool:
    try:
        if cut.get("recording") is None:
            return bool(cut["features"]["storage_type"] == "shar")
        return bool(cut["recording"]["sources"][0]["type"] == "shar")
    except (AttributeError, KeyError, IndexError, TypeError):
        return False
