"""The overview of a report: a row for each utterance, and the figures of all of them."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aligner.alignment import Alignment, is_pause
from aligner.evaluate import Comparison, compare, summarise
from aligner.formats.lookup import AlignmentLookup, NoMatch
from aligner.report.evaluation import FIGURES, LEGEND, figure_rows

_SCORE_BINS = 20
_LISTED = 500  # of what was refused, on the page; the files beside the alignments have all
# Beside alignments: what `aligner align` and `aligner prepare` leave out, and what looks wrong to them.
_REFUSED_FILES = ("failed.tsv", "refused.tsv")
_SUSPECTS_FILE = "suspects.tsv"


@dataclass
class Row:
    """An utterance in the table of a report.

    Args:
        id: Of the utterance.
        speaker: "" if unknown.
        text: As written, or its words.
        duration_s: Of the recording.
        score: Its confidence; None where nobody gave one.
        error_ms: Mean and largest error of its boundaries against the reference; None without one.
        difference_ms: The same against the other run.
        suspicion: What looks wrong; "" if nothing does.
        by_hand: How many of its boundaries a person set.
        wrong_words: How many of its words a person marked as wrong.
    """

    id: str
    speaker: str
    text: str
    duration_s: float
    score: float | None
    error_ms: tuple[float, float] | None = None
    difference_ms: tuple[float, float] | None = None
    suspicion: str = ""
    by_hand: int = 0
    wrong_words: int = 0

    def badness(self, by: str) -> float:
        """What the worst have most of: the difference from the other run, the error, or doubt.

        Args:
            by: "difference", "error" or "score".
        """
        if by == "score":
            return -1.0 if self.score is None else 1.0 - self.score
        pair = self.difference_ms if by == "difference" else self.error_ms
        return -1.0 if pair is None else pair[0]


@dataclass
class Overview:
    """What a report says of all utterances, gathered one at a time.

    Args:
        reference: Known times.
        other: Alignments of the same corpus by another run.
        suspicions: What looks wrong, by utterance id.
    """

    reference: AlignmentLookup | None = None
    other: AlignmentLookup | None = None
    suspicions: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    words: int = 0
    phone_lengths_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    pause_s: float = 0.0
    phone_scores: list[float] = field(default_factory=list)
    errors: list[Comparison] = field(default_factory=list)
    differences: list[Comparison] = field(default_factory=list)
    _content: Any = field(default_factory=hashlib.sha256)

    @property
    def ordered_by(self) -> str:
        """What puts an utterance first: "difference", "error" or "score"."""
        return "difference" if self.other else "error" if self.reference else "score"

    def add(self, alignment: Alignment) -> None:
        """Take an utterance into account."""
        self._content.update(repr((alignment.id, alignment.tokens, alignment.words)).encode(errors="replace"))
        text = alignment.text or " ".join(word.symbol for word in alignment.words)
        row = Row(alignment.id, alignment.speaker, text, alignment.duration_s, alignment.score)
        row.suspicion = "; ".join(
            filter(None, [self.suspicions.get(alignment.id, ""), *map(str, alignment.gaps)])
        )
        if self.reference is not None:
            row.error_ms = _distance_ms(alignment, self.reference, self.errors)
        if self.other is not None:
            row.difference_ms = _distance_ms(alignment, self.other, self.differences)
        self.words += len(alignment.words)
        for token in alignment.tokens:
            length_s = token.end_s - token.start_s
            if is_pause(token.symbol):
                self.pause_s += length_s
            else:
                self.phone_lengths_s[token.symbol].append(length_s)
                if token.score is not None:
                    self.phone_scores.append(token.score)
        self.rows.append(row)

    @property
    def fingerprint(self) -> str:
        """Of all alignments: by it a browser finds the corrections again that it keeps of these."""
        return str(self._content.hexdigest()[:32])

    def worst_first(self) -> list[Row]:
        """The rows, those with the largest difference, the largest error or the lowest score first."""
        return sorted(self.rows, key=lambda row: (-row.badness(self.ordered_by), row.id))

    def figures(self) -> dict[str, Any]:
        """The figures of all utterances, in plain JSON types."""
        speakers: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            speakers[row.speaker].append(row)
        scores = [row.score for row in self.rows if row.score is not None]
        return {
            "errors": _boundary_table(self.errors),
            "differences": _boundary_table(self.differences),
            "utterances": len(self.rows),
            "audio_s": round(sum(row.duration_s for row in self.rows), 3),
            "pause_s": round(self.pause_s, 3),
            "words": self.words,
            "phones": sum(map(len, self.phone_lengths_s.values())),
            "scores": {"utterances": _histogram(scores), "phones": _histogram(self.phone_scores)},
            "phone_lengths": [_lengths(phone, own) for phone, own in sorted(self.phone_lengths_s.items())],
            "speakers": [_speaker(name, own) for name, own in sorted(speakers.items())],
        }


def listed(folders: Iterable[Path]) -> tuple[dict[str, str], dict[str, str]]:
    """What was refused and what looks wrong, by utterance id, as the files in folders say.

    Args:
        folders: What `aligner align` and `aligner prepare` wrote.
    """
    refused: dict[str, str] = {}
    suspicions: dict[str, str] = {}
    for folder in folders:
        for name in _REFUSED_FILES:
            for row in _table(folder / name):
                refused[row[0]] = " ".join(row[2:3] or row[1:2])  # the detail, where there is one
        for row in _table(folder / _SUSPECTS_FILE):
            known = suspicions.get(row[0])
            suspicions[row[0]] = f"{known}; {row[1]}" if known else row[1]
    return refused, suspicions


def refused_data(refused: dict[str, str]) -> dict[str, Any]:
    """What was refused, in plain JSON types: how many, and the first of them with their reasons."""
    return {"count": len(refused), "listed": [list(item) for item in sorted(refused.items())[:_LISTED]]}


def _distance_ms(
    alignment: Alignment, lookup: AlignmentLookup, comparisons: list[Comparison]
) -> tuple[float, float] | None:
    """The mean and the largest distance of an utterance's boundaries; `comparisons` gets what was compared.

    Those of its words, as in `evaluate`'s list of the worst, or of its phones if it has no words.
    """
    try:
        comparison = compare(alignment, lookup.find(alignment.id))
    except NoMatch:
        return None
    comparisons.append(comparison)
    errors_ms = comparison.word_starts_ms + comparison.word_ends_ms or comparison.phones_ms
    if not errors_ms:
        return None
    sizes_ms = np.abs(errors_ms)
    return round(float(sizes_ms.mean()), 1), round(float(sizes_ms.max()), 1)


def _table(path: Path) -> Iterator[list[str]]:
    """The rows below the header; none where there is no such file."""
    if path.is_file():
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows, None)
            yield from (row for row in rows if len(row) > 1)


def _boundary_table(comparisons: list[Comparison]) -> dict[str, Any] | None:
    """The table that `aligner evaluate` prints; None if nothing was compared."""
    if not comparisons:
        return None
    return {
        "utterances": len(comparisons),
        "header": ["boundaries", *FIGURES.values()],
        "rows": list(figure_rows(summarise(comparisons))),
        "legend": LEGEND,
    }


def _histogram(scores: list[float]) -> list[int]:
    counts, _ = np.histogram(np.clip(scores, 0, 1), _SCORE_BINS, (0, 1))
    return counts.tolist() if scores else []


def _lengths(phone: str, lengths_s: list[float]) -> list[Any]:
    """The phone, how often it is spoken, and its length in ms: 5th percentile, median, 95th, longest."""
    figures_ms = 1000 * np.quantile(lengths_s, (0.05, 0.5, 0.95, 1.0))
    return [phone, len(lengths_s), *np.round(figures_ms).astype(int).tolist()]


def _speaker(name: str, rows: list[Row]) -> list[Any]:
    """The speaker, utterances, seconds, and the mean score and error where there are any."""
    scores = [row.score for row in rows if row.score is not None]
    errors = [row.error_ms[0] for row in rows if row.error_ms is not None]
    return [
        name,
        len(rows),
        round(sum(row.duration_s for row in rows), 1),
        round(float(np.mean(scores)), 3) if scores else None,
        round(float(np.mean(errors)), 1) if errors else None,
    ]
