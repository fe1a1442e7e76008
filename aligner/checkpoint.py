"""Checkpoints: plain data in a file of torch's."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch

from aligner.errors import AlignerError

# Where a checkpoint has what `Aligner.settings` gives. Also the prefix of its weights: Lightning names them
# after the attribute of `AlignerModule` that holds the aligner.
CHECKPOINT_KEY = "aligner"
OTHER_VERSION = (
    "made by another version of `aligner fit`, or by another program; train again with `aligner fit`"
)
_NO_CHECKPOINT = (
    "not a checkpoint that `aligner fit` wrote, or damaged; if it was one, delete it and train again"
)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint, in plain types and on the CPU.

    Args:
        path: Of what `Aligner.save` or `aligner fit` wrote.

    Raises:
        AlignerError: If it is not such a checkpoint, or a damaged one.
    """
    if not isinstance(path, str | Path):
        raise AlignerError(f"the path of a checkpoint is needed, not {type(path).__name__}")
    if Path(path).is_dir():
        raise AlignerError(f"{path}: a folder; name the last.ckpt that `aligner fit` wrote")
    if not Path(path).is_file():
        raise AlignerError(f"{path}: no such file")
    if not _is_whole_zip(path):  # what torch.save writes
        raise AlignerError(f"{path}: {_NO_CHECKPOINT}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # raised for anything but plain data
        raise AlignerError(
            f"{path}: holds more than plain data and was not loaded; it is no checkpoint of this version of "
            "`aligner fit`"
        ) from error
    except Exception as error:  # whatever torch makes of a file that is something else
        raise AlignerError(f"{path}: {_NO_CHECKPOINT}") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise AlignerError(f"{path}: {_NO_CHECKPOINT}")
    if not isinstance(content.get(CHECKPOINT_KEY), dict):
        raise AlignerError(f"{path}: {OTHER_VERSION}")
    return content


def _is_whole_zip(path: str | Path) -> bool:
    """torch does not look at the check sums: weights that a disk has changed would be loaded as they are."""
    try:
        with ZipFile(path) as content:
            return content.testzip() is None
    except Exception:  # whatever zipfile makes of a file that is damaged or something else
        return False
