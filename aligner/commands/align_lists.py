"""What `aligner align` lists of the utterances that it aligned: whose text or times are probably wrong."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aligner.commands.output import write_tsv

if TYPE_CHECKING:
    from aligner.alignment import Alignment

_WORST_WORDS = 5  # of an utterance, in confidence.tsv


class AlignmentLists:
    """The lists of a corpus, filled with one alignment after the other.

    Args:
        ids: Of the utterances in them.
        suspects: Utterances with a phone that is too long, and what it is.
        gaps: Utterances with places where text and audio differ, and what differs.
        complete: Whether no utterance of the corpus is missing.
    """

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.suspects: list[tuple[str, str]] = []
        self.gaps: list[tuple[str, str]] = []
        self.complete = False
        self._scored: list[tuple[float, tuple[str, str, str]]] = []

    def add(self, alignment: "Alignment") -> None:
        """Note an alignment."""
        from aligner.confidence import too_long_phone

        score = 1.0 if alignment.score is None else alignment.score
        self.ids.add(alignment.id)
        self._scored.append((score, (alignment.id, f"{score:.3f}", _least_sure_words(alignment))))
        longest = too_long_phone(alignment)
        if longest is not None:
            self.suspects.append((alignment.id, longest))
        if alignment.gaps:
            self.gaps.append((alignment.id, "; ".join(map(str, alignment.gaps))))

    def noting(self, alignments: "Iterable[Alignment]") -> "Iterator[Alignment]":
        """The alignments, noted as they pass by."""
        for alignment in alignments:
            self.add(alignment)
            yield alignment

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Id, score and least sure words of each, the lowest score first."""
        return [row for _, row in sorted(self._scored)]

    def write(self, out: Path) -> None:
        """Write `out/confidence.tsv`, `out/suspects.tsv` and `out/gaps.tsv`."""
        write_tsv(out / "confidence.tsv", ("id", "score", "least sure words"), self.rows)
        write_tsv(out / "suspects.tsv", ("id", "what"), sorted(self.suspects))
        write_tsv(out / "gaps.tsv", ("id", "what"), sorted(self.gaps))


def _least_sure_words(alignment: "Alignment") -> str:
    scored = sorted((w.score, w.start_s, w.symbol) for w in alignment.words if w.score is not None)
    return " ".join(f"{symbol}:{score:.2f}" for score, _, symbol in scored[:_WORST_WORDS])
