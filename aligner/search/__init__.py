"""Priors and speech to the frames of each token: which pronunciations were spoken, and when."""

from aligner.search.forced_alignment import TokenFrames, align_states, align_tokens, forced_alignment
from aligner.search.pronunciation import choose_pronunciations
from aligner.search.viterbi import StatePaths, best_paths

__all__ = [
    "StatePaths",
    "TokenFrames",
    "align_states",
    "align_tokens",
    "best_paths",
    "choose_pronunciations",
    "forced_alignment",
]
