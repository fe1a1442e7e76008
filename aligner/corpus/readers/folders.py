"""Folders of sound files with a text file for each: Prosodylab, MFA, TIMIT, VCTK, LibriTTS, LibriSpeech."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from aligner.corpus.readers.files import AUDIO_FOLDERS, Tree, lines, walk
from aligner.corpus.readers.raw import RawCorpus, RawUtterance, id_of, with_distinct_ids
from aligner.errors import AlignerError, reason
from aligner.formats.textgrid import labelled_intervals
from aligner.formats.timit import spoken_text

# Of several texts of one name the first of these is read. LibriTTS has a printed and a normalised text.
TEXT_SUFFIXES = (".lab", ".normalized.txt", ".txt", ".original.txt")
TRANSCRIPTS = ".trans.txt"  # LibriSpeech: one for each chapter, a line for each utterance
TEXT_FOLDERS = frozenset({"txt", "txts", "text", "texts", "lab", "labs", "transcript", "transcripts"})
NO_TEXT = "no .txt or .lab beside it"
_LOSSLESS = (".wav", ".flac", ".sph", ".aiff", ".aif", ".w64", ".caf", ".au")
_MICROPHONE = re.compile(r"_mic([12])$")  # VCTK records each utterance twice; the first is taken
_TIMES = re.compile(r"\d+\s+\d+\s+\S+")  # a line of HTK's labels, which have the suffix .lab, too
_FIRST_TO_LAST = re.compile(r"0 \d{4,7} ")
_NOTES = frozenset(
    {"readme", "license", "licence", "copying", "notice", "speakers", "speaker-info", "changelog"}
)


def read_folder(tree: Tree) -> RawCorpus:
    """The utterances of a folder: sound files, each with its text beside it or in a folder of texts.

    The speaker is the folder that the sound is in, unless that is called `wavs` or the like.

    Raises:
        AlignerError: If there is no text for any of them.
    """
    texts = _Texts(tree)
    found: list[RawUtterance] = []
    skipped = 0
    names = {file.with_suffix("").as_posix() for file in tree.sounds}
    sounds, twice = _one_format_each(tree.sounds)
    for audio in sounds:
        stem = audio.with_suffix("").as_posix()
        if stem.endswith("_mic2") and stem.removesuffix("2") + "1" in names:
            skipped += 1
            continue
        found += texts.utterances(audio, _speaker(audio, tree.root))
    found += [
        RawUtterance(id_of(file), None, "", problem=f"{file}: {reason}")
        for file, reason in tree.closed.items()
    ]
    found += texts.left_over()
    if found and not any(one.text for one in found) and all(one.problem == NO_TEXT for one in found):
        raise AlignerError(f"{tree.root}: {len(found)} sound files, and a text for none of them")
    found, notes = with_distinct_ids(found)
    if twice:
        kept, left = twice[0]
        notes.append(
            f"{len(twice)} recordings are there in another format, too, which is not read: {kept.name} is "
            f"taken, not {left.name}"
        )
    if skipped:
        notes.append(f"{skipped} recordings are by the second microphone (_mic2): only the first is read")
    return RawCorpus(found, f"{tree.root.name}: sound files with their texts", tuple(notes))


def read_sounds(sounds: Sequence[Path]) -> RawCorpus:
    """The utterances of some sound files, each with its text beside it, as in a folder of them.

    Args:
        sounds: Files that exist.

    Raises:
        AlignerError: If there is no text for any of them.
    """
    sounds = list(dict.fromkeys(sound.absolute() for sound in sounds))
    folders = list(dict.fromkeys(sound.parent for sound in sounds))
    others = [file for folder in folders for file in walk(folder, deep=False).others]
    root = Path(os.path.commonpath(folders))
    texts = _Texts(Tree(root, sounds, others))
    found = [one for audio in sounds for one in texts.utterances(audio, _speaker(audio, root))]
    if all(one.problem == NO_TEXT for one in found):
        more = f" and {len(sounds) - 1} more" if len(sounds) > 1 else ""
        text = sounds[0].with_suffix(".txt").name
        raise AlignerError(f"{sounds[0]}{more}: {NO_TEXT}; write what is said to {text}")
    found, notes = with_distinct_ids(found)
    what = sounds[0].name if len(sounds) == 1 else f"{len(sounds)} sound files"
    return RawCorpus(found, f"{what} with the text beside", tuple(notes))


def _one_format_each(sounds: list[Path]) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """One file of each name in a folder: the format that loses nothing, where there are several.

    Returns:
        The files in their order, and each that is taken with one that is not.
    """
    of_name: dict[Path, list[Path]] = defaultdict(list)
    for file in sounds:
        of_name[file.with_suffix("")].append(file)
    taken = {name: min(files, key=_format_rank) for name, files in of_name.items()}
    left = [(taken[f.with_suffix("")], f) for f in sounds if f != taken[f.with_suffix("")]]
    return list(taken.values()), left


def _format_rank(file: Path) -> int:
    suffix = file.suffix.lower()
    return _LOSSLESS.index(suffix) if suffix in _LOSSLESS else len(_LOSSLESS)


class _Texts:
    """The texts of a folder, found by the sound file that they belong to."""

    def __init__(self, tree: Tree) -> None:
        self.root = tree.root
        self._beside: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._transcribed: dict[str, tuple[Path, str]] = {}
        self._grids = {
            f.with_suffix("").as_posix(): f for f in tree.others if f.suffix.lower() == ".textgrid"
        }
        self._problems: list[RawUtterance] = []
        self._used: set[Path] = set()
        self._timed = {f.with_suffix("") for f in tree.others if f.suffix.lower() in (".phn", ".wrd")}
        self._spoken_folders = {audio.parent for audio in tree.sounds}
        for file in tree.others:
            lower = file.name.lower()
            if lower.endswith(TRANSCRIPTS):
                self._read_transcripts(file)
            elif suffix := _text_suffix(file):
                stem = file.name[: -len(suffix)]
                self._beside[(file.parent / stem).as_posix()].append(file)
                self._by_stem[stem].append(file)

    def utterances(self, audio: Path, speaker: str) -> list[RawUtterance]:
        """The utterance of a sound file, or several where a TextGrid of whole sentences is its text."""
        id = id_of(audio)
        if audio.is_dir():
            return [RawUtterance(id, audio, "", speaker, problem=f"{audio} is a folder, not a sound file")]
        for stem in dict.fromkeys((audio.stem, _MICROPHONE.sub("", audio.stem))):
            id = re.sub(r"\s+", "_", stem)
            if stem in self._transcribed:
                transcripts, text = self._transcribed[stem]
                self._used.add(transcripts / stem)
                return [RawUtterance(id, audio, text, speaker)]
            files = self._beside.get((audio.parent / stem).as_posix()) or self._elsewhere(stem, speaker)
            if files:
                return [self._with_text(id, audio, speaker, files)]
        grid = self._grids.get(audio.with_suffix("").as_posix())
        if grid is not None:
            return utterances_of_grid(audio, grid, speaker)
        return [RawUtterance(id_of(audio), audio, "", speaker, problem=NO_TEXT)]

    def left_over(self) -> list[RawUtterance]:
        """Texts without a sound file, in folders where others have one, and texts that cannot be read."""
        folders = {file.parent for file in self._used} | self._spoken_folders
        left = [
            files
            for files in self._beside.values()
            if files[0].parent in folders and not self._used & set(files) and not _is_note(files[0])
        ]
        found = [
            self._with_text(_text_id(files[0]), None, _speaker(files[0], self.root), files) for files in left
        ]
        for stem, (transcripts, text) in self._transcribed.items():
            if transcripts / stem not in self._used:
                found.append(RawUtterance(stem, None, text, _speaker(transcripts, self.root)))
        return [*found, *self._problems]

    def _elsewhere(self, stem: str, speaker: str) -> list[Path]:
        """The text files of a name in another folder, if they are all in one: VCTK has `txt/p225`."""
        files = self._by_stem.get(stem, [])
        own = [f for f in files if f.parent.name == speaker or f.parent.name.lower() in TEXT_FOLDERS] or files
        own = [file for file in own if file.parent not in self._spoken_folders]
        return own if len({file.parent for file in own}) == 1 else []

    def _with_text(self, id: str, audio: Path | None, speaker: str, files: list[Path]) -> RawUtterance:
        order = sorted(files, key=lambda file: TEXT_SUFFIXES.index(_text_suffix(file)))
        problem = ""
        for file in order:
            self._used.add(file)
            try:
                text = " ".join(line for _, line in lines(file))
            except AlignerError as error:
                problem = problem or str(error)
                continue
            if file.suffix.lower() == ".lab" and _TIMES.match(text):
                problem = problem or f"{file} has times (HTK labels), no text: put the text into a .txt"
                continue
            return RawUtterance(id, audio, self._spoken(file, text), speaker)
        return RawUtterance(id, audio, "", speaker, problem=problem)

    def _spoken(self, file: Path, text: str) -> str:
        """A text without the numbers of its first and last sample, with which TIMIT's begin."""
        timit = file.with_suffix("") in self._timed or (self._timed and _FIRST_TO_LAST.match(text))
        return spoken_text(text) if timit else text

    def _read_transcripts(self, file: Path) -> None:
        """LibriSpeech's lines of `id TEXT`."""
        try:
            for _, line in lines(file):
                id, _, text = line.strip().partition(" ")
                self._transcribed[id] = (file.parent, text)
        except AlignerError as error:
            self._problems.append(RawUtterance(id_of(file), None, "", problem=str(error)))


def utterances_of_grid(audio: Path, grid: Path, speaker: str) -> list[RawUtterance]:
    """The utterances in a TextGrid beside a sound file that has no text of its own.

    Either its tier of words is the text; or it is a transcript as MFA takes it: a tier for each speaker,
    whose intervals are sentences.
    """
    try:
        tiers = labelled_intervals(grid)
    except (AlignerError, OSError) as error:
        problem = reason(error)
        return [RawUtterance(id_of(audio), audio, "", speaker, problem=problem)]
    words = next((entries for name, entries in tiers.items() if "word" in name.lower()), None)
    if words is not None:
        return [RawUtterance(id_of(audio), audio, " ".join(text for _, _, text in words), speaker)]
    said = [
        (start_s, end_s, text, name) for name, entries in tiers.items() for start_s, end_s, text in entries
    ]
    if not said:
        problem = f"{grid} has no text and there is no .txt or .lab"
        return [RawUtterance(id_of(audio), audio, "", speaker, problem=problem)]
    if len(said) == 1:
        return [RawUtterance(id_of(audio), audio, said[0][2], speaker or said[0][3], times_beside=False)]
    return [
        RawUtterance(
            f"{id_of(audio)}-{n:03d}", audio, text, name, start_s, end_s - start_s, times_beside=False
        )
        for n, (start_s, end_s, text, name) in enumerate(sorted(said), 1)
    ]


def _speaker(file: Path, root: Path) -> str:
    """The folder that names the speaker of a file; "" if it is the corpus' own.

    LibriTTS and LibriSpeech have a folder for each chapter in that of the speaker.
    """
    folders = list(file.relative_to(root).parts[:-1])
    while folders and (folders[-1].lower() in TEXT_FOLDERS or folders[-1].lower() in AUDIO_FOLDERS):
        folders.pop()
    if len(folders) > 1 and re.match(f"{re.escape(folders[-2])}[-_]{re.escape(folders[-1])}", file.name):
        return folders[-2]
    return folders[-1] if folders else ""


def _text_suffix(file: Path) -> str:
    """The longest of `TEXT_SUFFIXES` that a file has; "" if none."""
    return max((s for s in TEXT_SUFFIXES if file.name.lower().endswith(s)), key=len, default="")


def _text_id(file: Path) -> str:
    return re.sub(r"\s+", "_", file.name[: -len(_text_suffix(file))])


def _is_note(path: Path) -> bool:
    """Whether a text file is about the corpus and not the text of an utterance."""
    return path.stem.lower() in _NOTES
