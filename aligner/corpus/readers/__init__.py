"""Readers of corpora as people have them: one file a layout; each gives `RawUtterance`s, not checked yet."""

from aligner.corpus.readers.layouts import read_corpora, read_corpus
from aligner.corpus.readers.raw import RawCorpus, RawUtterance, joined

__all__ = ["RawCorpus", "RawUtterance", "joined", "read_corpora", "read_corpus"]
