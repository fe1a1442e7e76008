"""CTM, the format of Kaldi and NIST: lines of `utterance channel start duration label [score]` in seconds."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.formats.tiers import Entry, alignment_from_entries
from aligner.formats.writer import Writer, label

PHONES_FILE = "phones.ctm"
WORDS_FILE = "words.ctm"


def read_ctm(
    phones_path: str | Path,
    words_path: str | Path | None = None,
    on_error: Callable[[AlignerError], None] | None = None,
) -> Iterator[Alignment]:
    """The alignments of a CTM file, in the file's order.

    CTM does not say how long a recording is, so each utterance ends with its last phone.

    Args:
        phones_path: The CTM file of the phones; the lines of an utterance stand together.
        words_path: The same for words. None: `words.ctm` beside `phones.ctm`, if it is there.
        on_error: Called with the reason for each utterance that cannot be read; None: raise it.

    Raises:
        AlignerError: A line is not CTM, or an utterance's phones overlap.
    """
    phones_path = Path(phones_path)
    beside = phones_path.with_name(WORDS_FILE)
    if words_path is None and phones_path.name == PHONES_FILE and beside.exists():
        words_path = beside
    words = dict(_utterances(Path(words_path))) if words_path else {}
    for id, lines in _utterances(phones_path):
        try:
            phones = _entries(phones_path, id, lines)
            spoken = _entries(Path(words_path), id, words[id]) if words_path and id in words else []
            yield alignment_from_entries(id, max(end_s for _, _, end_s, _ in phones), phones, spoken)
        except AlignerError as error:
            if on_error is None:
                raise
            on_error(error)


class Ctm(Writer):
    """`phones.ctm` and `words.ctm`: `id 1 start duration label [score]` in seconds, as Kaldi writes them."""

    lists = (PHONES_FILE, WORDS_FILE)

    def begin(self) -> None:
        self._phones, self._words = self.list_file(PHONES_FILE), self.list_file(WORDS_FILE)

    def write(self, alignment: Alignment, name: str) -> None:
        for file, intervals in ((self._phones, alignment.tokens), (self._words, alignment.words)):
            file.writelines(_line(name, interval) for interval in intervals)


def _utterances(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """The fields of each utterance's lines. Bytes that are not UTF-8 spoil their own utterance alone."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = (line.split() for line in file if line.strip() and not line.startswith(";;"))
        for id, fields in groupby(lines, key=lambda line: line[0]):
            yield id, list(fields)


def _entries(path: Path, id: str, lines: list[list[str]]) -> list[Entry]:
    try:
        for line in lines:
            " ".join(line).encode()  # what did not decode does not encode
        return [_entry(*line) for line in lines]
    except UnicodeError as error:
        raise AlignerError(f"{path}: {id!a}: not UTF-8") from error
    except (ValueError, TypeError) as error:
        raise AlignerError(f"{path}: {id}: not `utterance channel start duration label`") from error


def _entry(
    _id: str, _channel: str, start: str, duration: str, label: str, score: str | None = None, *_more: str
) -> Entry:
    # NIST's own form goes on with kind and speaker (`1 .. word 0.9 lex anna`), and has NA for no score.
    known = score is not None and score.upper() != "NA"
    return label, float(start), float(start) + float(duration), float(score) if known and score else None


def _line(name: str, interval: Interval) -> bytes:
    score = "" if interval.score is None else f" {interval.score:.4f}"
    start_s, length_s = interval.start_s, interval.end_s - interval.start_s
    # Nine digits, so that it reads back as the same number of samples.
    return f"{name} 1 {start_s:.9f} {length_s:.9f} {label(interval.symbol, '_')}{score}\n".encode()
