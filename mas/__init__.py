"""Monotonic alignment search: which speech frames belong to which text token.

See README.md beside this file.
"""

from mas.compat import maximum_path
from mas.forward_states import BoundaryMoments, boundary_moments, forward_sum_states, state_posteriors
from mas.forward_sum import forward_sum
from mas.gaussian import GaussianAlignment, gaussian_likelihood, gaussian_search, log_likelihood
from mas.path import dense_path
from mas.search import available_backends, search
from mas.states import search_states

__all__ = [
    "BoundaryMoments",
    "GaussianAlignment",
    "available_backends",
    "boundary_moments",
    "dense_path",
    "forward_sum",
    "forward_sum_states",
    "gaussian_likelihood",
    "gaussian_search",
    "log_likelihood",
    "maximum_path",
    "search",
    "search_states",
    "state_posteriors",
]
