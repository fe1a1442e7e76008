"""CTM, the format of Kaldi and NIST: lines of `utterance channel start duration label [score]` in seconds."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.formats.tiers import Entry, alignment_from_entries
from aligner.formats.writer import ExportSettings, Writer, label

PHONES_FILE = "phones.ctm"
WORDS_FILE = "words.ctm"


def read_ctm(phones_path: str | Path, words_path: str | Path | None = None) -> Iterator[Alignment]:
    """The alignments of a CTM file, in the file's order.

    CTM does not say how long a recording is, so each utterance ends with its last phone.

    Args:
        phones_path: The CTM file of the phones; the lines of an utterance stand together.
        words_path: The same for words. None: `words.ctm` beside `phones.ctm`, if it is there.

    Raises:
        AlignerError: A line is not CTM, or an utterance's phones overlap.
    """
    phones_path = Path(phones_path)
    beside = phones_path.with_name(WORDS_FILE)
    if words_path is None and phones_path.name == PHONES_FILE and beside.exists():
        words_path = beside
    words = {id: list(entries) for id, entries in _utterances(Path(words_path))} if words_path else {}
    for id, phones in _utterances(phones_path):
        duration_s = max(end_s for _, _, end_s, _ in phones)
        yield alignment_from_entries(id, duration_s, phones, words.get(id, ()))


class Ctm(Writer):
    """`phones.ctm` and `words.ctm`: `id 1 start duration label [score]` in seconds, as Kaldi writes them."""

    def __init__(self, root: str | Path, settings: ExportSettings) -> None:
        super().__init__(root, settings)
        self._phones, self._words = self.list_file(PHONES_FILE), self.list_file(WORDS_FILE)

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        for file, intervals in ((self._phones, alignment.tokens), (self._words, alignment.words)):
            file.writelines(_line(name, interval) for interval in intervals)


def _utterances(path: Path) -> Iterator[tuple[str, list[Entry]]]:
    with open(path, encoding="utf-8") as file:
        lines = (line.split() for line in file if line.strip() and not line.startswith(";;"))
        for id, fields in groupby(lines, key=lambda line: line[0]):
            try:
                yield id, [_entry(*line) for line in fields]
            except (ValueError, TypeError) as error:
                raise AlignerError(f"{path}: {id}: not `utterance channel start duration label`") from error


def _entry(_id: str, _channel: str, start: str, duration: str, label: str, score: str | None = None) -> Entry:
    return label, float(start), float(start) + float(duration), float(score) if score else None


def _line(name: str, interval: Interval) -> bytes:
    score = "" if interval.score is None else f" {interval.score:.4f}"
    start_s, length_s = interval.start_s, interval.end_s - interval.start_s
    return f"{name} 1 {start_s:.6f} {length_s:.6f} {label(interval.symbol, '_')}{score}\n".encode()
