"""Priors and speech to the frames of each token: which pronunciations were spoken, and when."""

from aligner.search.forced_alignment import (
    TokenDurations,
    align_states,
    check_frames,
    forced_alignment,
    states_of,
    token_durations,
)
from aligner.search.gap_alignment import align_with_gaps
from aligner.search.gaps import Gaps, find_gaps
from aligner.search.held import HeldBoundaries
from aligner.search.likelihoods import SpokenLikelihoods, spoken_likelihoods
from aligner.search.missing_words import CommonWords
from aligner.search.pronunciation import choose_pronunciations
from aligner.search.viterbi import StatePaths, best_paths

__all__ = [
    "CommonWords",
    "Gaps",
    "HeldBoundaries",
    "SpokenLikelihoods",
    "StatePaths",
    "TokenDurations",
    "align_states",
    "align_with_gaps",
    "best_paths",
    "check_frames",
    "choose_pronunciations",
    "find_gaps",
    "forced_alignment",
    "spoken_likelihoods",
    "states_of",
    "token_durations",
]
