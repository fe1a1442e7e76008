"""Monotonic alignment search: which speech frames belong to which text token.

See README.md beside this file.
"""

from mas.compat import maximum_path
from mas.gaussian import GaussianAlignment, gaussian_search, log_likelihood
from mas.path import dense_path
from mas.search import available_backends, search
from mas.states import search_states

__all__ = [
    "GaussianAlignment",
    "available_backends",
    "dense_path",
    "gaussian_search",
    "log_likelihood",
    "maximum_path",
    "search",
    "search_states",
]
