"""Utterances as they were found, before any check."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aligner.alignment import Alignment
from aligner.formats.tar_member import AudioPlace, TarMember


@dataclass(frozen=True, slots=True)  # there are millions in a large corpus
class RawUtterance:
    """One utterance as it was found, not yet checked.

    Args:
        id: Its name.
        audio: The sound file, or where in a tar it lies; None if there is none.
        text: What is said; "" if there is no text.
        speaker: The speaker's name; "" if unknown.
        start_s: Where in the file it begins, in seconds.
        duration_s: Its length in seconds; None if it is the rest of the file.
        listed_s: The length of the whole file that a list gives, to be compared with the file; NaN if what it
            gives is no number, None if it gives none.
        channels: The channels to average, from 0; None for all.
        reference: Times of phones and words that came with a manifest.
        reference_problem: Why the times that came with a manifest cannot be used; "" if they can.
        times_beside: Whether a file of times beside the audio is its reference.
        if_missing: What to do if its sound file is not there; "" if nothing is known.
        problem: Why it cannot be used, where that is known already.
        language: Of its text, as it is listed; "" if that is not said.
    """

    id: str
    audio: AudioPlace | None
    text: str
    speaker: str = ""
    start_s: float = 0.0
    duration_s: float | None = None
    listed_s: float | None = None
    channels: tuple[int, ...] | None = None
    reference: Alignment | None = None
    reference_problem: str = ""
    times_beside: bool = True
    if_missing: str = ""
    problem: str = ""
    language: str = ""


@dataclass(frozen=True)
class RawCorpus:
    """A corpus as it was found.

    Args:
        utterances: In the order in which they are listed.
        layout: How it was read, in a few words.
        notes: What else is to be known about how it was read, a sentence each.
        doubts: What about it may be meant otherwise, a sentence each, with what to do then.
    """

    utterances: list[RawUtterance]
    layout: str
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def id_of(file: Path) -> str:
    """The id of a sound file: its name without suffix, as other programs name what belongs to it.

    White space becomes `_`, because ids stand in lists that are separated by it.
    """
    return id_of_stem(file.stem)


def id_of_stem(stem: str) -> str:
    """The id that the name of a sound file without suffix gives; folders before it are left out."""
    return re.sub(r"\s+", "_", stem.rpartition("/")[2])


def with_distinct_ids(found: Sequence[RawUtterance]) -> tuple[list[RawUtterance], list[str]]:
    """The utterances, where those whose files have one name are told apart by their folders.

    Of utterances that are parts of one file, each gets the millisecond of its start. An utterance listed
    twice stays as it is.

    Args:
        found: Utterances whose ids are those of `id_of`, which need not differ.

    Returns:
        The utterances in their order, and a note that says which have another id now, if any have.
    """
    result = list(found)
    places_of: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(found):
        places_of[one.id].append(place)
    for places in (places for places in places_of.values() if len(places) > 1):
        places = [place for place in places if _may_be_used(found[place])]  # others need no id
        files = dict.fromkeys(file for place in places if (file := found[place].audio) is not None)
        longer = _told_apart(list(files))
        for place in places:
            one = found[place]
            starts = {found[other].start_s for other in places if found[other].audio == one.audio}
            id = longer.get(one.audio, one.id) if one.audio is not None else one.id
            if len(starts) > 1:
                id = f"{id}-{round(one.start_s * 1000):08d}"
            result[place] = replace(one, id=id)
    renamed = [(old.id, new.id) for old, new in zip(found, result, strict=True) if old.id != new.id]
    if not renamed:
        return result, []
    old, new = renamed[0]
    what = f"{len(renamed)} utterances have the file name of another, and ids that tell them apart"
    return result, [f"{what}: {old} became {new}"]


def _may_be_used(one: RawUtterance) -> bool:
    try:
        file = one.audio.tar if isinstance(one.audio, TarMember) else one.audio
        return not one.problem and file is not None and file.is_file()
    except OSError:  # a name that is too long for the file system
        return False


def joined(corpora: Sequence[RawCorpus]) -> tuple[list[RawUtterance], list[str]]:
    """The utterances of several corpora as one; ids that are in more than one of them are told apart.

    Args:
        corpora: Each with the ids that it has alone.

    Returns:
        The utterances in their order, and a note that says which have another id now, if any have.
    """
    found = [one for corpus in corpora for one in corpus.utterances]
    counts = Counter(id for corpus in corpora for id in {one.id for one in corpus.utterances})
    places = [place for place, one in enumerate(found) if counts[one.id] > 1]
    told_apart, notes = with_distinct_ids([found[place] for place in places])
    for place, one in zip(places, told_apart, strict=True):
        found[place] = one
    return found, notes


def _told_apart(files: Sequence[AudioPlace]) -> dict[AudioPlace, str]:
    """An id for each of several files of one name, with as many of their folders as it takes."""
    if len(files) < 2:
        return {}
    paths = {file: file.unpacked if isinstance(file, TarMember) else file for file in files}
    for depth in range(1, max(len(path.parts) for path in paths.values())):
        names = {file: _with_folders(path, depth) for file, path in paths.items()}
        if len(set(names.values())) == len(files):
            return names
    return {}


def _with_folders(file: Path, depth: int) -> str:
    folders = [part for part in file.parts[:-1] if part not in ("/", "..", ".")][-depth:]
    return re.sub(r"\s+", "_", "-".join((*folders, file.stem)))
