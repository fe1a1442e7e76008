"""The files of a corpus: one walk through a folder, sound files by any end of their path, lines of a text."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aligner.errors import AlignerError

# What libsndfile reads, and what PyAV reads (see `aligner.corpus.audio`).
SNDFILE_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".aiff", ".aif", ".au", ".w64", ".caf"}
)
PYAV_SUFFIXES = frozenset({".m4a", ".mp4", ".webm", ".aac", ".wma", ".mka", ".amr", ".3gp"})
AUDIO_SUFFIXES = SNDFILE_SUFFIXES | PYAV_SUFFIXES
# Where corpora have their audio, beside their list.
AUDIO_FOLDERS = ("wavs", "wav", "audio", "clips", "flac", "mp3")
# Written by operating systems and version control, not by the person.
_NOT_THEIRS = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_WINDOWS = re.compile(r"[a-zA-Z]:[\\/]|\\\\[^\\]")
_VITS_LINK = re.compile(r"DUMMY\d*/")  # at the beginning of a path in VITS' lists
_FOLDERS_ABOVE = 4  # a list's, in which its paths are looked for, to name the one
_BINARY_BYTES = 4096  # in which a text has no NUL, or the few of a damaged line


@dataclass
class Tree:
    """The files of a folder and below, without hidden ones.

    Args:
        root: The folder.
        sounds: Files named like sound, sorted; a broken link or a folder of such a name is among them.
        others: All other files, sorted.
        closed: Folders that could not be looked into, with the reason.
    """

    root: Path
    sounds: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    closed: dict[Path, str] = field(default_factory=dict)


def walk(root: Path, *, deep: bool = True) -> Tree:
    """The files of a folder and, if `deep`, below; links to folders are followed, once each."""
    tree = Tree(root)
    waiting, seen = [root], set()
    while waiting:
        folder = waiting.pop()
        try:
            identity = os.stat(folder)
            if (identity.st_dev, identity.st_ino) in seen:
                continue
            seen.add((identity.st_dev, identity.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            tree.closed[folder] = error.strerror or str(error)
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _NOT_THEIRS:
                continue
            path = folder / entry.name
            if deep and _is_kind(entry.is_dir):
                waiting.append(path)
            if path.suffix.lower() in AUDIO_SUFFIXES:
                tree.sounds.append(path)
            elif _is_kind(entry.is_file) or entry.is_symlink():  # not a pipe, which may never end
                tree.others.append(path)
    tree.sounds.sort()
    tree.others.sort()
    return tree


def _is_kind(look: Callable[[], bool]) -> bool:
    """What `is_file` or `is_dir` of an entry says; no for one that cannot be looked at: a link to itself."""
    try:
        return look()
    except OSError:
        return False


@dataclass(frozen=True)
class Sound:
    """What a name in a list stands for.

    Args:
        path: The sound file, which need not be there; None if there is none of the name.
        problem: Why it cannot be read; "" if nothing is known.
        advice: What to do if it is not there.
    """

    path: Path | None
    problem: str = ""
    advice: str = ""


class SoundFiles:
    """The sound files of a corpus, found by what a list calls them.

    A name is a path (`wavs/x/001.wav`), its end (`x/001.wav`, `001.wav`), or either without suffix, as
    LJSpeech has them (`001`).

    Args:
        root: Where paths start.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._usual = [folder for name in AUDIO_FOLDERS if (folder := root / name).is_dir()]
        self._by_ending: dict[str, list[Path]] | None = None
        self._found_elsewhere: dict[str, set[str]] = defaultdict(set)

    def find(self, name: str) -> Sound:
        """The sound file of a name, or why there is none.

        A file at just this place is meant, whatever else has its name; so is LJSpeech's `wavs/NAME.*`.
        """
        slashed = name.replace("\\", "/")
        path = self.root / slashed
        named_as_sound = path.suffix.lower() in AUDIO_SUFFIXES
        if named_as_sound and _is_file(path):
            return Sound(path)
        found = self._endings().get(_key(name), [])
        if len(found) > 1:
            places = {folder / Path(slashed).parent for folder in (self.root, *self._usual)}
            direct = [file for file in found if file.parent in places]
            found = direct if len(direct) == 1 else found
        if len(found) > 1:
            shown = " and ".join(file.relative_to(self.root).as_posix() for file in found[:2])
            more = f" and {len(found) - 2} more" if len(found) > 2 else ""
            return Sound(
                None, f"{name!r} may be {shown}{more}: write the path from {self.root} with its suffix"
            )
        if found:
            return Sound(found[0])
        if problem := _not_here(name):
            return Sound(None, problem)
        if named_as_sound and (others := self._endings().get(_key(name).rpartition(".")[0])):
            other = others[0].relative_to(self.root).as_posix()
            return Sound(None, f"no such file: {path}; if {other} is meant, write that")
        if elsewhere := self._elsewhere(slashed):
            return Sound(elsewhere)
        return Sound(path if named_as_sound else None, advice=self._advice(slashed))

    def notes(self) -> list[str]:
        """Which names were found otherwise than from where paths start, a sentence for each way."""
        return [
            f"audio paths used {how}: {len(names)} ({min(names)}), which do not exist from {self.root}"
            for how, names in self._found_elsewhere.items()
        ]

    def _elsewhere(self, name: str) -> Path | None:
        """The file of a path from the current folder, or below VITS' DUMMY1, a link that each user makes."""
        below = _below_link(name)
        if below != name and (sound := self.find(below)).path is not None and _is_file(sound.path):
            self._found_elsewhere["without their DUMMY folder"].add(name)
            return sound.path
        if "/" in name and Path(name).suffix.lower() in AUDIO_SUFFIXES and _is_file(Path(name)):
            self._found_elsewhere["from the current folder"].add(name)
            return Path(name)
        return None

    def _advice(self, name: str) -> str:
        """What to do about a name that no file has."""
        if name.startswith("/"):
            return "its path is absolute: write what comes below the folder of audio, and give --audio-root"
        below = _below_link(name)
        for folder in self.root.resolve().parents[:_FOLDERS_ABOVE]:
            if _is_file(folder / name) or _is_file(folder / below):
                return f"it is there from {folder}: give --audio-root {folder}"
        if below != name:
            return f"{name.partition('/')[0]} stands for your folder of audio: give it as --audio-root"
        return f"paths start at {self.root}: --audio-root says where else"

    def _endings(self) -> dict[str, list[Path]]:
        """The files of the usual folders, or else of all folders below, by each end of their path."""
        if self._by_ending is None:
            self._by_ending = defaultdict(list)
            files = set(walk(self.root, deep=not self._usual).sounds)
            for folder in self._usual:
                files.update(walk(folder).sounds)
            for file in sorted(files):
                parts = _key(file.relative_to(self.root).as_posix()).split("/")
                for start in range(len(parts)):
                    ending = "/".join(parts[start:])
                    self._by_ending[ending].append(file)
                    self._by_ending[ending.rpartition(".")[0]].append(file)
        return self._by_ending


def _below_link(name: str) -> str:
    """A path without VITS' DUMMY1 at its beginning."""
    link = _VITS_LINK.match(name)
    return name[link.end() :] if link else name


def _not_here(name: str) -> str:
    """Why a name is no path of this machine; "" if it may be one."""
    if _URL.match(name):
        return f"{name[:80]} is a URL: download the files and list their paths"
    if _WINDOWS.match(name) and os.name != "nt":
        what = "write what comes below the folder of audio, and give --audio-root"
        return f"{name[:80]} is a path of Windows: {what}"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the file system
        return False


def _key(name: str) -> str:
    """One spelling of a path: macOS writes accents as characters of their own, Windows has backslashes."""
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


def read_text(path: Path) -> str:
    """The content of a text file: UTF-8, or UTF-16 with its byte-order mark.

    Raises:
        AlignerError: If it cannot be read, or is something else.
    """
    return "\n".join(line for _, line, _ in decoded_lines(path, whole=True))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not empty, with their numbers.

    Raises:
        AlignerError: If it cannot be read, or is not UTF-8.
    """
    return ((number, line) for number, line, _ in decoded_lines(path, whole=True) if line.strip())


def decoded_lines(path: Path, *, whole: bool = False) -> Iterator[tuple[int, str, str]]:
    """The lines of a text file: number, content, and why it cannot be read ("" if it can).

    Args:
        path: The file.
        whole: Refuse the file for one line that is not UTF-8, instead of the line.

    Raises:
        AlignerError: If the file cannot be opened or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AlignerError(f"{path}: {error.strerror or error}") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            content = content.decode("utf-16").encode()
        except UnicodeError as error:
            raise AlignerError(f"{path}: not a text file ({error})") from error
    n_ends = content.count(b"\n")
    if content.count(b"\r") - content.count(b"\r\n") > n_ends:  # as old Macs and some spreadsheets end lines
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if content[:_BINARY_BYTES].count(0) * 100 > len(content[:_BINARY_BYTES]):
        raise AlignerError(f"{path}: a binary file, not a text in UTF-8")
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            problem = f"line {number} of {path.name} holds a NUL character" if b"\0" in line else ""
            if problem and whole:
                raise AlignerError(f"{path}: {problem}")
            yield number, line.removesuffix(b"\r").decode(), problem
        except UnicodeDecodeError as error:
            problem = f"not UTF-8 ({error.reason} at byte {error.start}): convert it with iconv"
            if whole:
                raise AlignerError(f"{path}: line {number} is {problem}") from error
            yield number, line.decode(errors="replace"), f"line {number} of {path.name} is {problem}"
