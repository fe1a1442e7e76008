"""A recording that lies in a tar, as lhotse Shar has them: where it is, and how a manifest says so.

lhotse's manifests have no word for a part of a file, but for a shell command that prints one. So the source
of such a recording is the command that prints its bytes, which lhotse runs; this program only ever reads it.
"""

import os
import re
import shlex
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligner.errors import AlignerError

_WORD = r"""((?:'[^']*'|"'")+|[\w@%+=:,./-]+)"""  # as shlex.quote writes one
_COMMAND = re.compile(rf"tail -c \+(\d+) -- {_WORD} \| head -c (\d+) # {_WORD}", re.ASCII)
_BLOCK_BYTES = 512  # of a tar; a member's header is the one before its content
_NAME_BYTES = 100  # of a header; a longer name, or one that is not ASCII, stands elsewhere


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file in a tar.

    Args:
        tar: The tar, not compressed.
        name: Of the file in it.
        offset_bytes: Where its content begins in the tar.
        size_bytes: How long its content is.
    """

    tar: Path
    name: str
    offset_bytes: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.tar}/{self.name}"

    @property
    def unpacked(self) -> Path:
        """Where it would lie, unpacked beside the tar: what it is called, but no file."""
        return self.tar.parent / self.name

    @property
    def source(self) -> dict[str, str]:
        """What a lhotse manifest says of it: the type and source of an `AudioSource`."""
        start, tar, name = self.offset_bytes + 1, shlex.quote(str(self.tar)), shlex.quote(self.name)
        return {
            "type": "command",
            "source": f"tail -c +{start} -- {tar} | head -c {self.size_bytes} # {name}",
        }

    @classmethod
    def parse(cls, command: str) -> "TarMember | None":
        """The file in a tar that a command of `source` prints; None for any other command."""
        match = _COMMAND.fullmatch(command)
        if match is None:
            return None
        start, tar, size, name = match.groups()
        return cls(Path(_unquoted(tar)), _unquoted(name), int(start) - 1, int(size))

    def resolve(self) -> "TarMember":
        """The same with the tar's absolute path, as of `Path`."""
        return TarMember(self.tar.resolve(), self.name, self.offset_bytes, self.size_bytes)

    def read(self) -> bytes:
        """Its content.

        Raises:
            AlignerError: The tar cannot be read, is cut off, or has something else at this place.
        """
        try:
            with open(self.tar, "rb") as file:
                file.seek(self.offset_bytes - _BLOCK_BYTES)
                block = file.read(_BLOCK_BYTES + self.size_bytes)
        except OSError as error:
            raise AlignerError(f"{self.tar}: {(error.strerror or str(error)).lower()}") from error
        if len(block) < _BLOCK_BYTES + self.size_bytes:
            raise AlignerError(f"{self.tar} is cut off: copy it again")
        if not self._is_headed_by(block[:_BLOCK_BYTES]):
            raise AlignerError(f"{self.tar} is not the file it was: run `aligner prepare` again")
        return block[_BLOCK_BYTES:]

    def _is_headed_by(self, block: bytes) -> bool:
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return False
        whole = self.name.isascii() and len(self.name) <= _NAME_BYTES
        return header.size == self.size_bytes and (not whole or header.name == self.name)


AudioPlace = Path | TarMember  # where a recording lies: a file of its own, or one in a tar


def audio_place(source: Mapping[str, Any], folder: Path) -> AudioPlace | None:
    """Where the recording of an entry of `sources` in a lhotse manifest lies.

    Args:
        source: Its type, "file" if it has none, and its source.
        folder: Where relative paths start.

    Returns:
        None if it is in neither a file nor a tar.
    """
    if source.get("type", "file") == "file":
        return folder / source["source"]
    member = TarMember.parse(source["source"]) if source["type"] == "command" else None
    if member is None:
        return None
    return TarMember(folder / member.tar, member.name, member.offset_bytes, member.size_bytes)


def source_of(place: AudioPlace, relative_to: Path | None = None) -> dict[str, str]:
    """The type and source of a recording in a lhotse manifest.

    Args:
        place: Where it lies.
        relative_to: The folder that its path is to start at; None: the path as it is.
    """
    file = place.tar if isinstance(place, TarMember) else place
    path = str(file)
    if relative_to is not None:
        path = Path(os.path.relpath(file, relative_to.resolve())).as_posix()
    if isinstance(place, TarMember):
        return TarMember(Path(path), place.name, place.offset_bytes, place.size_bytes).source
    return {"type": "file", "source": path}


def is_in_tar(path: str) -> bool:
    """Whether the path of a recording, as an alignment has it, is that of a file in a tar (`TarMember`)."""
    return ".tar/" in path and any(
        folder.suffix == ".tar" and not folder.is_dir() for folder in Path(path).parents
    )


def _unquoted(word: str) -> str:
    """A word as a shell reads it, which mostly is as it is written."""
    return shlex.split(word)[0] if "'" in word else word  # splitting takes long
