"""Lookup of alignments by utterance id: reference times, and the alignments that training starts from."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats.manifest import DamagedManifest, read_alignments
from aligner.formats.read import find_manifest, read, read_utterance, utterance_files
from aligner.formats.textgrid import tier_names


class NoMatch(AlignerError):
    """No usable alignment for an utterance. The text of the error is the reason, without the id."""


class AlignmentLookup:
    """Alignments by utterance id, of any format that `aligner.formats.read` reads.

    A folder of one file an utterance is not read in advance: each file is read when its id is asked for.

    An id matches by the end of the path: `sx276`, `falk0-sx276` and `dr3-falk0-sx276` all find
    `dr3-falk0/sx276.phn`, if no other file ends like that. Case, and the characters that separate the parts,
    do not matter. An alignment belongs to one id only.

    Args:
        path: A file or folder of alignments.
        words_tier: Name of the word tier in TextGrids; None: the usual names.
        phones_tier: Name of the phone tier in TextGrids; None: the usual names.
        alignments: Those that are in memory already: `path` is not read then, and only says where they are
            from.

    Attributes:
        damage: Why nobody knows which alignments are missing: the manifest ends too early. None: it does not.

    Raises:
        AlignerError: There is nothing to read at `path`, or it cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        words_tier: str | None = None,
        phones_tier: str | None = None,
        *,
        alignments: Iterable[Alignment] | None = None,
    ) -> None:
        self.path = Path(path)
        self.damage: DamagedManifest | None = None
        self._tiers = (words_tier, phones_tier)
        self._files: dict[str, Path] = {}  # not read yet
        self._loaded: dict[str, Alignment] = {}
        self._broken: list[str] = []  # why entries of a manifest or a CTM file cannot be used
        if alignments is None:
            self._open()
        else:
            self._loaded = {_key(a.id): a for a in alignments}
        self._by_ending: dict[str, list[str]] = defaultdict(list)
        for key in (*self._files, *self._loaded):
            for ending in _endings(key):
                self._by_ending[ending].append(key)
        self._id_of: dict[str, str] = {}  # key -> the utterance id that it was given to

    def find(self, id: str) -> Alignment:
        """The alignment of one utterance.

        Args:
            id: The utterance's id.

        Raises:
            NoMatch: There is no alignment for `id`, there are several, it belongs to another id, or its file
                cannot be read.
        """
        key = self._match(_key(id))
        if self._id_of.setdefault(key, id) != id:
            raise NoMatch(f"its reference belongs to {self._id_of[key]}")
        if key in self._loaded:
            return self._loaded[key]
        path = self._files[key]
        try:
            return read_utterance(path, id, path.parent.name, *self._tiers)
        except AlignerError as error:
            # Without the file, so that what is wrong with all of them is said once, with their number.
            reason = str(error).removeprefix(f"{path}: ")
            raise NoMatch(f"reference cannot be read: {reason}") from error

    def tiers(self) -> list[str]:
        """Names of the tiers of the first TextGrid that can be read; none if there is no TextGrid."""
        for path in self._files.values():
            if path.suffix.lower() == ".textgrid":
                with contextlib.suppress(AlignerError):
                    return tier_names(path)
        return []

    def unused(self) -> list[str]:
        """Ids of the alignments that no call of `find` matched; of files, their paths without suffix."""
        left = [
            str(p.relative_to(self.path).with_suffix(""))
            for k, p in self._files.items()
            if k not in self._id_of
        ]
        return left + [own.id for key, own in self._loaded.items() if key not in self._id_of]

    def _open(self) -> None:
        manifest = find_manifest(self.path) if self.path.exists() else None
        files = utterance_files(self.path) if self.path.is_dir() else {}
        if manifest is not None:
            self._loaded = {_key(a.id): a for a in read_alignments(manifest, self._note)}
            if not self._loaded:
                raise AlignerError(f"{manifest}: no cut of it has reference times (supervision.alignment)")
        elif files:
            self._files = {_key(name): path for name, path in files.items()}
        else:
            self._loaded = {_key(a.id): a for a in read(self.path, *self._tiers, on_error=self._note)}
            if self._broken and not self._loaded:
                raise AlignerError(self._broken[0])

    def _note(self, error: AlignerError) -> None:
        self._broken.append(str(error))
        if isinstance(error, DamagedManifest):
            self.damage = error

    def _match(self, key: str) -> str:
        if self._has(key):
            return key
        keys = self._by_ending.get(key, [])
        if len(keys) > 1:
            raise NoMatch("several references end in this id")
        # The folder may also lie deeper down than the corpus: then its keys are endings of the id.
        keys = keys or [ending for ending in _endings(key) if self._has(ending)]
        if not keys:
            broken = (
                f" ({len(self._broken)} are of no use, such as {self._broken[0]})" if self._broken else ""
            )
            raise NoMatch(f"no reference{broken}")
        return keys[0]

    def _has(self, key: str) -> bool:
        return key in self._files or key in self._loaded


def _key(id: str) -> str:
    return re.sub(r"[\W_]+", "-", id.casefold()).strip("-")


def _endings(key: str) -> list[str]:
    parts = key.split("-")
    return ["-".join(parts[i:]) for i in range(len(parts))]
