"""TIMIT: its hand-made times (`.phn`, `.wrd`), its text files, its phones.

TIMIT labels the closure of a stop and its burst separately, and has three kinds of silence. A text has one
stop and one pause, so TIMIT's phones are merged to those (`merge_phones`) before they become tokens or
reference times.

Source: the corpus's own doc/phoncode.doc and doc/readme (LDC93S1).
"""

import re
from pathlib import Path

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.formats.tiers import Entry, alignment_from_entries
from aligner.text.transcript import PAUSE

SAMPLE_RATE_HZ = 16000  # of the recordings; the times in .phn and .wrd count their samples
# The CD-ROM has names in lower case, later releases in upper case.
PHONE_SUFFIXES = (".phn", ".PHN")
WORD_SUFFIXES = (".wrd", ".WRD")

# A closure, and the bursts that can follow it in the same stop or affricate. The first burst is the stop's
# own name, which a closure without a burst gets. q (a glottal stop) has no closure and stays as it is.
BURSTS_OF_CLOSURE = {
    "bcl": ("b",),
    "dcl": ("d", "jh"),
    "gcl": ("g",),
    "pcl": ("p",),
    "tcl": ("t", "ch"),
    "kcl": ("k",),
}
# Silence at both ends, a pause, and the silence between a fricative and a sonorant (epi), which texts lack.
SILENCES = frozenset({"h#", "pau", "epi"})

_TEXT_WITH_SAMPLES = re.compile(r"\d+\s+\d+\s+(.*)", re.DOTALL)


def reference_files(audio_path: Path) -> tuple[Path, ...]:
    """TIMIT's files of hand-made times beside a recording: its `.phn`, its `.wrd`, or both.

    Args:
        audio_path: The recording, or any other file of the same name.

    Returns:
        The files that exist, phones first; empty if there is none. Any of them can be given to `read_timit`.
    """
    found = (_existing(audio_path, suffixes) for suffixes in (PHONE_SUFFIXES, WORD_SUFFIXES))
    return tuple(path for path in found if path is not None)


def read_timit(path: Path, id: str, speaker: str = "") -> Alignment:
    """The alignment in TIMIT's `.phn` and `.wrd`: lines of `start end label`, in samples at 16 kHz.

    The utterance ends with the last time in either file.

    Args:
        path: One of the two files; the other one is read too if it is there.
        id: The utterance's id.
        speaker: The speaker's name, "" if unknown.

    Raises:
        AlignerError: Phones overlap, a line is not `start end label`, or there is no line at all.
    """
    phones = _entries(_existing(path, PHONE_SUFFIXES))
    words = _entries(_existing(path, WORD_SUFFIXES))
    duration_s = max(end_s for _, _, end_s, _ in (*phones, *words))
    return alignment_from_entries(id, duration_s, phones, words, speaker)


def spoken_text(text: str) -> str:
    """The text of one of TIMIT's `.txt` files without its first two fields, the first and last sample.

    Text that does not begin with two numbers comes back unchanged.

    Args:
        text: The file's content.
    """
    match = _TEXT_WITH_SAMPLES.fullmatch(text)
    return match[1] if match else text


def merge_phones(phones: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """TIMIT's phones with closures merged into their stops, and silences joined into single pauses.

    Args:
        phones: As TIMIT labels them, in order of time. Other phone sets come back unchanged, but pauses that
            follow each other are joined there too.
    """
    merged: list[Interval] = []
    closure = ""  # of the last phone, while its burst may still come
    for phone in phones:
        symbol = PAUSE if phone.symbol in SILENCES else phone.symbol
        continues = symbol in BURSTS_OF_CLOSURE.get(closure, ()) or (
            symbol == PAUSE and bool(merged) and merged[-1].symbol == PAUSE
        )
        start_s = merged.pop().start_s if continues else phone.start_s
        closure = symbol if symbol in BURSTS_OF_CLOSURE else ""
        name = BURSTS_OF_CLOSURE[symbol][0] if closure else symbol
        merged.append(Interval(name, start_s, phone.end_s, phone.score, phone.word))
    return tuple(merged)


def _existing(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    return next((file for suffix in suffixes if (file := path.with_suffix(suffix)).is_file()), None)


def _entries(path: Path | None) -> list[Entry]:
    if path is None:
        return []
    entries: list[Entry] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            start, end, label = line.split(maxsplit=2)
            entries.append((label.strip(), int(start) / SAMPLE_RATE_HZ, int(end) / SAMPLE_RATE_HZ, None))
        except ValueError as error:
            raise AlignerError(f"{path}:{number}: not `start end label`, with times in samples") from error
    if not entries:
        raise AlignerError(f"{path}: is empty")
    return entries
