"""Batches of a corpus that is aligned to disk. Whole runs: tests/commands/test_align.py."""

from pathlib import Path

from aligner.align_corpus import batches
from aligner.corpus.prepared import load_utterances


def test_batches_hold_every_utterance_once_and_not_too_much(tiny_corpus: Path) -> None:
    utterances = load_utterances(tiny_corpus)
    made = list(batches(utterances, 6.0))
    assert sorted(u.id for batch in made for u in batch) == sorted(u.id for u in utterances)
    assert all(len(batch) * max(u.duration_s for u in batch) <= 6.0 for batch in made)
    assert 1 < len(made) < len(utterances)
    assert [[u.id for u in batch] for batch in batches(utterances[::-1], 6.0)] == [
        [u.id for u in b] for b in made
    ]
    assert [len(batch) for batch in batches(utterances, 0.1)] == [1] * len(utterances)
