"""Priors and speech to the frames of each token: which pronunciations were spoken, and when."""

from aligner.search.forced_alignment import (
    TokenDurations,
    align_states,
    check_frames,
    forced_alignment,
    states_of,
    token_durations,
)
from aligner.search.held import HeldBoundaries
from aligner.search.likelihoods import SpokenLikelihoods, spoken_likelihoods
from aligner.search.pronunciation import choose_pronunciations
from aligner.search.viterbi import StatePaths, best_paths

__all__ = [
    "HeldBoundaries",
    "SpokenLikelihoods",
    "StatePaths",
    "TokenDurations",
    "align_states",
    "best_paths",
    "check_frames",
    "choose_pronunciations",
    "forced_alignment",
    "spoken_likelihoods",
    "states_of",
    "token_durations",
]
