"""What a folder of alignments says about itself: by which checkpoint, of which corpus, in which symbols."""

import hashlib
import json
from pathlib import Path
from typing import Any

from aligner.errors import AlignerError
from aligner.text.reading import TextReading

SOURCE = "source.json"  # beside the manifest that `aligner align` writes


def read_source(folder: str | Path) -> dict[str, Any] | None:
    """What `aligner align` noted about the alignments in a folder; None if nothing is there.

    Args:
        folder: That it wrote.

    Raises:
        AlignerError: What it noted is damaged.
    """
    path = Path(folder) / SOURCE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise AlignerError(
            f"{path}: damaged, so that nobody knows what these alignments are of; delete {folder} and align "
            "again"
        )
    return data


def reading_of(alignments: str | Path) -> TextReading | None:
    """How the texts of alignments became tokens; None where nothing says so.

    Args:
        alignments: A folder or a file in it.
    """
    path = Path(alignments)
    try:
        source = read_source(path if path.is_dir() else path.parent)
    except AlignerError:  # the alignments themselves can be used
        return None
    return TextReading.stated(source.get("text")) if source else None


def file_sha256(path: Path) -> str:
    """What a file holds, in 64 characters."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
