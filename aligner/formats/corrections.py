"""Corrections: what a person set and marked in a report, of several utterances in one JSON file."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from aligner.alignment import Alignment
from aligner.errors import AlignerError, reason
from aligner.formats.json_file import alignment_from_json

FORMAT = "aligner corrections"  # as the report's corrections.js writes it
_HEAD_BYTES = 200


def is_corrections(path: Path) -> bool:
    """Whether a file is one that the page of a report saved.

    Args:
        path: Of the file.
    """
    if path.suffix.lower() != ".json":
        return False
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    return re.search(rb'"format":\s*"%s"' % FORMAT.encode(), head) is not None


def marked_as_wrong(alignment: Alignment) -> str:
    """The words that a person marked as wrong, to be shown; "" if there are none."""
    return ", ".join(repr(alignment.words[index].symbol) for index in alignment.wrong_words)


def read_corrections(
    path: Path, on_error: Callable[[AlignerError], None] | None = None
) -> Iterator[Alignment]:
    """The corrected utterances: with all their times, also those that nobody set (`Alignment.by_hand_s`).

    Args:
        path: A file that the page of a report saved.
        on_error: Called with the reason for each utterance that cannot be read, which is left out; None:
            raise it.

    Raises:
        AlignerError: The file is damaged, or an utterance cannot be read and `on_error` is None.
    """
    try:
        utterances = json.loads(path.read_text(encoding="utf-8"))["utterances"]
        if not isinstance(utterances, list):
            raise TypeError("its utterances are no list")
    except Exception as error:  # whatever became of the file
        raise AlignerError(
            f"{path}: cannot be read ({reason(error)}); save it again from the report"
        ) from error
    for number, data in enumerate(utterances, 1):
        try:
            yield alignment_from_json(data)
        except Exception as error:  # whatever may be in a file that a person can edit
            refusal = AlignerError(f"{path}: its utterance {number} cannot be read ({reason(error)})")
            if on_error is None:
                raise refusal from error
            on_error(refusal)
