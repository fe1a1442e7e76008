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

_Line = tuple[int, list[str]]  # its number in the file, its fields


def read_ctm(
    phones_path: str | Path | None,
    words_path: str | Path | None = None,
    on_error: Callable[[AlignerError], None] | None = None,
) -> Iterator[Alignment]:
    """The alignments of a CTM file, in the file's order.

    CTM does not say how long a recording is, so each utterance ends with its last phone or word.

    Args:
        phones_path: The CTM file of the phones; the lines of an utterance stand together. None: there is only
            one of words.
        words_path: The same for words. None: `words.ctm` beside `phones.ctm`, if it is there.
        on_error: Called with the reason for each utterance that cannot be read; None: raise it.

    Raises:
        AlignerError: A line is not CTM, or an utterance's phones overlap.
    """
    phones_path = Path(phones_path) if phones_path is not None else None
    beside = phones_path.with_name(WORDS_FILE) if phones_path is not None else None
    if words_path is None and phones_path and beside and phones_path.name == PHONES_FILE and beside.exists():
        words_path = beside
    words = dict(_utterances(Path(words_path))) if words_path else {}
    for id, phones in _utterances(phones_path) if phones_path else ():
        yield from _alignment(id, (phones_path, phones), (words_path, words.pop(id, [])), on_error)
    for id, own in words.items():  # without phones
        yield from _alignment(id, (phones_path, []), (words_path, own), on_error)


def ctm_files(path: Path) -> tuple[Path | None, Path | None]:
    """The files of phones and of words that a path means, each None if there is none.

    A file is of words if its name says so (`words.ctm`, `exp_wrd.ctm`), and otherwise of phones. CTM itself
    does not tell.

    Args:
        path: A .ctm file, or a folder that holds one of phones, one of words, or both.

    Raises:
        AlignerError: A folder holds several of a kind, and not `phones.ctm` or `words.ctm` among them.
    """
    if path.is_file():
        is_ctm, of_words = path.suffix.lower() == ".ctm", _is_of_words(path)
        return (path if is_ctm and not of_words else None), (path if is_ctm and of_words else None)
    found = [file for file in sorted(path.glob("*.[cC][tT][mM]")) if not file.name.startswith(".")]
    phones = _one([file for file in found if not _is_of_words(file)], PHONES_FILE)
    return phones, _one([file for file in found if _is_of_words(file)], WORDS_FILE)


def _is_of_words(path: Path) -> bool:
    name = path.stem.lower()
    return ("word" in name or "wrd" in name) and "phone" not in name


def _one(files: list[Path], usual: str) -> Path | None:
    own = [file for file in files if file.name == usual] or files
    if len(own) > 1:
        raise AlignerError(
            f"{own[0].parent}: several CTM files ({', '.join(file.name for file in own)}); name one of them"
        )
    return own[0] if own else None


class Ctm(Writer):
    """`phones.ctm` and `words.ctm`: `id 1 start duration label [score]` in seconds, as Kaldi writes them."""

    lists = (PHONES_FILE, WORDS_FILE)

    def begin(self) -> None:
        self._phones, self._words = self.list_file(PHONES_FILE), self.list_file(WORDS_FILE)

    def write(self, alignment: Alignment, name: str) -> None:
        for file, intervals in ((self._phones, alignment.tokens), (self._words, alignment.words)):
            file.writelines(_line(name, interval) for interval in intervals)


def _alignment(
    id: str,
    phones: tuple[str | Path | None, list[_Line]],
    words: tuple[str | Path | None, list[_Line]],
    on_error: Callable[[AlignerError], None] | None,
) -> Iterator[Alignment]:
    """The alignment of the lines of an utterance, each kind with its file; none if it cannot be read."""
    try:
        tokens, spoken = _entries(id, *phones), _entries(id, *words)
        duration_s = max(end_s for _, _, end_s, _ in tokens or spoken)
        yield alignment_from_entries(id, duration_s, tokens, spoken)
    except AlignerError as error:
        if on_error is None:
            raise
        on_error(error)


def _utterances(path: Path) -> Iterator[tuple[str, list[_Line]]]:
    """The lines of each utterance. Bytes that are not UTF-8 spoil their own utterance alone."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = (
            (number, line.split())
            for number, line in enumerate(file, 1)
            if line.strip() and not line.startswith(";;")
        )
        for id, own in groupby(lines, key=lambda line: line[1][0]):
            yield id, list(own)


def _entries(id: str, path: str | Path | None, lines: list[_Line]) -> list[Entry]:
    entries = []
    for number, fields in lines:
        try:
            " ".join(fields).encode()  # what did not decode does not encode
            entries.append(_entry(*fields))
        except UnicodeError as error:
            raise AlignerError(f"{path}:{number}: {id!a}: not UTF-8") from error
        except (ValueError, TypeError) as error:
            raise AlignerError(
                f"{path}:{number}: {id}: not `utterance channel start duration label`"
            ) from error
    return entries


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
