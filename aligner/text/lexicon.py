"""The user's own lexicon, in MFA's format: word, tab, probabilities if any, tab, phones.

Read as MFA reads it: of several probabilities the first is the pronunciation's, the others are about the
silence beside it and are not used. The older form without tabs, CMUdict's `WORD(2)` and its comments are read
as well.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligner.errors import AlignerError
from aligner.text.chunks import APOSTROPHES
from aligner.text.transcript import Variants

_LEAST_PROBABILITY = 0.01  # MFA's own floor
_PROBABILITY = re.compile(r"\d*\.\d+(?:[eE]-?\d+)?|\d+\.\d*|[01]")
_FRACTION = re.compile(r"\d*[.,]\d+(?:[eE]-?\d+)?|\d+\.")  # no phone; X-SAMPA has whole numbers
_NUMBERED = re.compile(r"(?<=.)\(\d+\)$")
_BAD_LINES_SHOWN = 3


@dataclass(frozen=True)
class Entry:
    """One pronunciation of a word.

    Args:
        word: As written.
        phones: Its phones.
        probability: How usual it is among the word's own; None if that is not said.
    """

    word: str
    phones: tuple[str, ...]
    probability: float | None = None

    def line(self) -> str:
        """The entry as a line of a lexicon."""
        fields = [self.word] if self.probability is None else [self.word, f"{self.probability:g}"]
        return "\t".join([*fields, " ".join(self.phones)])


class Lexicon:
    """Pronunciations of words by their spelling; one in other capitals is the same word.

    Args:
        entries: In the order of preference.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(dict.fromkeys(entries))
        self._exact: dict[str, list[Entry]] = defaultdict(list)
        self._folded: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            spelling = _spelling(entry.word)
            self._exact[spelling].append(entry)
            self._folded[spelling.casefold()].append(entry)

    def __len__(self) -> int:
        return len(self._exact)

    def __contains__(self, word: str) -> bool:
        return _spelling(word).casefold() in self._folded

    @property
    def unusual_spellings(self) -> bool:
        """Whether any word is more than letters and apostrophes, such as "5kg", "Dr." or "co-op"."""
        return any(not spelling.replace("'", "").isalpha() for spelling in self._exact)

    def lookup(self, word: str) -> tuple[Variants, tuple[float, ...]]:
        """The pronunciations of a word and their log priors; () and () if it has none.

        The priors are () where no probability is given. An entry without one beside others that have it is
        as usual as the most usual.
        """
        spelling = _spelling(word)
        entries = self._exact.get(spelling) or self._folded.get(spelling.casefold(), [])
        best: dict[tuple[str, ...], float | None] = {}
        for entry in entries:
            best.setdefault(entry.phones, entry.probability)
        given = [p for p in best.values() if p is not None]
        if not given:
            return tuple(best), ()
        ranked = sorted(best, key=lambda phones: -(best[phones] or max(given)))
        priors = (math.log(max(best[phones] or max(given), _LEAST_PROBABILITY)) for phones in ranked)
        return tuple(ranked), tuple(priors)

    def lines(self) -> list[str]:
        """The lexicon as lines of its format: plain types for a corpus or a checkpoint."""
        return [entry.line() for entry in self.entries]


def read_lexicon(paths: Sequence[Path]) -> Lexicon:
    """The lexicon in one or more files; of a word in several all pronunciations.

    Args:
        paths: Files in MFA's format, UTF-8.

    Raises:
        AlignerError: For a file that cannot be read or lines that are no entries, naming file and line.
    """
    entries: list[Entry] = []
    for path in paths:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise AlignerError(f"{path}:{line}: not UTF-8 ({error.reason}); convert it with iconv") from error
        except OSError as error:
            raise AlignerError(f"--lexicon {path}: {error.strerror or error}") from error
        entries += parse_lexicon(text.splitlines(), str(path)).entries
    return Lexicon(entries)


def parse_lexicon(lines: Sequence[str], source: str = "lexicon") -> Lexicon:
    """The lexicon in lines of its format.

    Args:
        lines: Empty ones and CMUdict's comments are skipped.
        source: The file, for errors.

    Raises:
        AlignerError: For lines that are no entries.
    """
    entries, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith((";;;", "##")):
            continue
        try:
            entries.append(_entry(line))
        except ValueError as error:
            problems.append(f"{source}:{number}: {error}")
    if problems:
        more = f" (and {len(problems) - _BAD_LINES_SHOWN} more)" if len(problems) > _BAD_LINES_SHOWN else ""
        raise AlignerError("; ".join(problems[:_BAD_LINES_SHOWN]) + more)
    return Lexicon(entries)


def _entry(line: str) -> Entry:
    """The entry of a line.

    Raises:
        ValueError: If it has none, saying why.
    """
    if "\t" in line:
        word, *numbers, phones = (field.strip() for field in line.split("\t"))
        spoken = phones.split()
    else:
        word, *spoken = re.sub(r"\s#.*", "", line).split()
        numbers = []
        while len(spoken) > 1 and re.fullmatch(r"\d*\.\d+|\d+\.\d*", spoken[0]):
            numbers.append(spoken.pop(0))
    if "\t" not in line:
        _check_untabbed(word, line)
    if not word:
        raise ValueError(f"no word before the phones in {line.strip()!r}")
    if not spoken:
        raise ValueError(f"no phones for {word!r}: write the word, a tab and its phones")
    if wrong := [phone for phone in spoken if _FRACTION.fullmatch(phone)]:
        raise ValueError(
            f"{wrong[0]!r} of {word!r} is no phone: after a probability comes a tab, as after the word"
        )
    if wrong := [phone for phone in spoken if len(phone) > 1 and "," in phone]:
        raise ValueError(f"{wrong[0]!r} of {word!r} is no phone: phones are separated by spaces, not commas")
    numbers = [number for number in numbers if number]
    wrong = [number for number in numbers if not _PROBABILITY.fullmatch(number)]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} of {word!r} is no probability: phones are separated by spaces, not tabs"
        )
    probability = float(numbers[0]) if numbers else None
    if probability is not None and not 0 <= probability <= 1:
        raise ValueError(f"the probability of {word!r} is {numbers[0]}: must be within 0 and 1")
    return Entry(_NUMBERED.sub("", word), tuple(spoken), probability)


def _check_untabbed(word: str, line: str) -> None:
    """Refuse a line without tabs that is no entry, although it begins with a word and spaces.

    Raises:
        ValueError: It is a comment, or its fields are separated otherwise.
    """
    if word.startswith("#") and not word[1:2].isupper():  # CMUdict has #HASH-MARK
        raise ValueError(f"{line.strip()[:40]!r} seems to be a comment: begin those with ## or ;;;")
    separated = re.search(r"[^\W\d_]['’.]?([,;|])", word)
    if separated:
        raise ValueError(f"{word!r} has a {separated[1]!r} in it: word and phones are separated by a tab")


def _spelling(word: str) -> str:
    return unicodedata.normalize("NFC", word).translate(APOSTROPHES)
