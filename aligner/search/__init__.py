"""Priors and speech to the frames of each token: which pronunciations were spoken, and when."""

from aligner.search.forced_alignment import TokenDurations, align_states, align_tokens, forced_alignment
from aligner.search.pronunciation import choose_pronunciations, fitting_choice
from aligner.search.viterbi import StatePaths, best_paths

__all__ = [
    "StatePaths",
    "TokenDurations",
    "align_states",
    "align_tokens",
    "best_paths",
    "choose_pronunciations",
    "fitting_choice",
    "forced_alignment",
]
