"""Batches of a corpus that is aligned to disk. Whole runs: tests/commands/test_align.py."""

from pathlib import Path

from aligner.align_corpus import batches
from aligner.corpus.prepared import load_lengths


def test_batches_hold_every_utterance_once_and_not_too_much(tiny_corpus: Path) -> None:
    lengths_s = load_lengths(tiny_corpus)
    made = list(batches(lengths_s, 6.0))
    assert sorted(id for batch in made for id in batch) == sorted(lengths_s)
    assert all(len(batch) * max(lengths_s[id] for id in batch) <= 6.0 for batch in made)
    assert 1 < len(made) < len(lengths_s)
    assert list(batches(dict(reversed(lengths_s.items())), 6.0)) == made
    assert [len(batch) for batch in batches(lengths_s, 0.1)] == [1] * len(lengths_s)
