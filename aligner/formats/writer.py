"""What all writers share: the writer interface, settings, and file names that stay in the output folder."""

import contextlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from aligner.alignment import Alignment, FrameGrid, PausesTo
from aligner.errors import AlignerError
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import make_folder
from aligner.text.transcript import PAUSE

_LONGEST_NAME_BYTES = 200  # file systems allow 255, and writers add a prefix and a suffix
# In an output folder, the files that an export wrote there, one a line. What is not in it, or was changed
# since, is somebody else's.
_RECORD = ".aligner-export"


class NotExportable(AlignerError):
    """An utterance that a format cannot hold. It is left out of that format; the others are written."""


class NameClash(AlignerError):
    """Two utterances, or two speakers, that would be written under one name."""


@dataclass(frozen=True)
class ExportSettings:
    """What a writer needs to know besides the alignments.

    Args:
        grid: The consumer's frames; None: the format's own preset, or a format in seconds.
        blank: A symbol to put before, between and after the tokens, as VITS does; None: no blanks.
        symbols: New names of tokens, by their old names.
        tokens: The consumer's own token sequences by utterance id, to check the tokens against.
        speaker: A speaker's name for all utterances; None: the alignments' own.
        language: The language in file names (EveryVoice).
        wavs: Folder of the consumer's audio, files named `{id}.wav`; None: the recordings themselves.
        validation_share: Share of the utterances that goes to the validation list (FastSpeech2).
        any_symbols: Do not check symbols where the consumer's symbol set is known (FastSpeech2), or where it
            must be known what they stand for (DiffSinger).
        pauses_to: Which neighbour gets the time of a pause that the aligner added among a consumer's own
            tokens, see `Alignment.own_tokens`.
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
    pauses_to: PausesTo = "previous"


def safe_name(id: str) -> str:
    """A file name made of an id: letters, digits, "_", "-" and "." stay, everything else becomes "_".

    Args:
        id: An utterance id or a speaker's name.

    Raises:
        AlignerError: No letter or digit is left, or the name is too long.
    """
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", id)).lstrip(".")
    if not name.strip("_.-"):
        raise AlignerError(f"utterance id {id!r} gives no file name; use letters or digits")
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        raise AlignerError(
            f"utterance id {id[:40]!r}... is longer than {_LONGEST_NAME_BYTES} bytes; shorten it"
        )
    return name


@lru_cache(maxsize=65536)  # the same few symbols and words over and over
def label(symbol: str, space: str = " ") -> str:
    """A symbol or word as a label: never empty, and with `space` in place of any white space.

    Args:
        symbol: A token's symbol or a word's text.
        space: " ", or another character for formats that separate fields by white space.
    """
    return space.join(symbol.split()) or PAUSE


class OutputFolder:
    """A folder that a writer fills. It makes file names of ids, and refuses two ids that give the same name.

    Args:
        root: The folder; it is made with the first file.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.files = 0
        self._ours: set[str] | None = None  # by earlier exports; read when it is first asked for
        self._written: set[str] = set()
        self._made: set[str] = set()
        self._owners: dict[tuple[str, str], str] = {}
        self._named: set[tuple[str, str]] = set()

    def name(self, id: str, group: str = "", stem: str | None = None) -> str:
        """The file name of an utterance; ask once for each.

        Args:
            id: The utterance's id.
            group: Names must differ inside a group: a speaker, where each speaker has a folder.
            stem: What the name is made of, if not of the id.

        Raises:
            NameClash: An utterance of the group has this name already.
            AlignerError: The id gives no file name.
        """
        name = safe_name(id if stem is None else stem)
        owner = self._owners.setdefault((group, name), id)
        if (group, name) in self._named:
            raise NameClash(f"utterances {owner!r} and {id!r} would both be written as {name!r}; rename one")
        self._named.add((group, name))
        return name

    def name_of(self, shared: str) -> str:
        """The name of something that many files share; ask as often as you like.

        Args:
            shared: A speaker or a language.

        Raises:
            NameClash: Another speaker or language has this name already.
        """
        name = safe_name(shared)
        owner = self._owners.setdefault(("/", name), shared)
        if owner != shared:
            raise NameClash(f"{owner!r} and {shared!r} both make {name!r}; rename one")
        return name

    @contextlib.contextmanager
    def file(self, *parts: str) -> Iterator[BinaryIO]:
        """An atomic write of the file `root/parts...` (see `atomic_write`).

        Args:
            *parts: names of folders and at last of the file; names, not paths.
        """
        folder = os.path.join(self.root, *parts[:-1])
        if folder not in self._made:
            make_folder(folder)
            self._made.add(folder)
        with atomic_write(os.path.join(folder, parts[-1])) as file:
            yield file
        self.wrote(*parts)

    def wrote(self, *parts: str) -> None:
        """Count a file that was written without `file`.

        Args:
            *parts: As in `file`.
        """
        self._written.add("/".join(parts))
        self.files += 1

    def is_foreign(self, *parts: str) -> bool:
        """Whether `root/parts...` exists and no export wrote it, or somebody changed it since.

        Args:
            *parts: As in `file`.
        """
        path = os.path.join(self.root, *parts)
        if not os.path.lexists(path):
            return False
        if self._ours is None:
            self._ours = self._recorded()
        return "/".join(parts) not in self._ours

    def record(self) -> None:
        """Note which files were written here, for later exports."""
        if self._written:
            names = sorted(self._recorded() | self._written)
            with atomic_write(self.root / _RECORD) as file:
                file.write("".join(f"{name}\n" for name in names).encode())

    def _recorded(self) -> set[str]:
        record = self.root / _RECORD
        if not record.is_file():
            return set()
        written_ns = record.stat().st_mtime_ns
        found = set()
        for name in record.read_text(encoding="utf-8").splitlines():
            path = self.root / name
            if path.is_file() and path.stat().st_mtime_ns <= written_ns:
                found.add(name)
        return found

    def text(self, content: str, *parts: str) -> None:
        """Write a UTF-8 text file with Unix line ends.

        Args:
            content: The whole text.
            *parts: as in `file`.
        """
        with self.file(*parts) as file:
            file.write(content.encode())


class Writer:
    """Writes alignments into a folder in one format; use it as a context manager.

    A format says in `write` what it writes for one alignment, in `paths` where, and in `finish` what it can
    only write at the end. Its lists appear when the `with` block ends without an error. Nothing is written,
    and no folder made, before the block.

    Args:
        root: The output folder.
        settings: What the writer needs to know besides the alignments.
    """

    lists: tuple[str, ...] = ()  # names of the files that hold all utterances
    shows_added_pauses = False  # else it gets one token for each of the consumer's (`Alignment.own_tokens`)

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        self.settings = settings
        self.folder = OutputFolder(root)
        self._open = contextlib.ExitStack()

    def name(self, alignment: Alignment) -> str:
        """The name that an utterance has in all files; ask once for each.

        Args:
            alignment: The utterance, with the speaker already renamed.

        Raises:
            NameClash: Another utterance has this name already.
            AlignerError: Its id gives no file name.
        """
        return self.folder.name(alignment.id)

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        """The files that hold this utterance alone, as `OutputFolder.file` takes them.

        Args:
            alignment: The utterance, with the speaker already renamed.
            name: What `name` gave.
        """
        return []

    def write(self, alignment: Alignment, name: str) -> None:
        """Write one utterance.

        Args:
            alignment: The utterance, with tokens and speaker already renamed.
            name: What `name` gave.

        Raises:
            NotExportable: The format cannot hold it; nothing of it is written.
            DoesNotFit: It has more tokens than frames; nothing of it is written.
        """
        raise NotImplementedError

    def begin(self) -> None:
        """Open what is written line by line (`list_file`)."""

    def finish(self) -> None:
        """Write what is only known at the end; nothing, unless a format has more to write."""

    def __enter__(self) -> "Writer":
        try:
            self.begin()
        except BaseException:
            self._open.__exit__(*sys.exc_info())
            raise
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
        try:
            self._open.__exit__(kind, error, traceback)
        finally:
            self.folder.record()

    def list_file(self, name: str) -> BinaryIO:
        """A file that is written line by line and takes its name when the writer is done.

        Args:
            name: Its name in the output folder.
        """
        return self._open.enter_context(self.folder.file(name))
