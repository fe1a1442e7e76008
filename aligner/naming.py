"""Errors of a batch that name the utterance, whatever raised them."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from aligner.corpus.recording import Recording
from aligner.errors import AlignerError, reason

Model = TypeVar("Model")
Result = TypeVar("Result")


def naming_the_utterance(
    method: Callable[[Model, Sequence[Recording]], Result],
) -> Callable[[Model, Sequence[Recording]], Result]:
    """Make an error that names the utterance of whatever else an encoder of the user's own, or torch, raises.

    Where a batch raises, the recordings are tried alone, to see which it is.
    """

    @functools.wraps(method)
    def named(model: Model, recordings: Sequence[Recording]) -> Result:
        try:
            return method(model, recordings)
        except AlignerError:
            raise
        except Exception as error:
            if len(recordings) == 1:
                raise AlignerError(f"{recordings[0].id}: {reason(error)}") from error
            for recording in recordings:
                named(model, [recording])
            together = f"{recordings[0].id} and {len(recordings) - 1} others together"
            raise AlignerError(f"{together}: {reason(error)}; each of them alone can be aligned") from error

    return named
