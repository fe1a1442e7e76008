"""Checkpoints: plain data in a file of torch's, by path or name."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch

from aligner.errors import AlignerError, did_you_mean
from aligner.text.language_names import primary_language

# A folder each, with its checkpoint and its card (README.md). `scripts/make_models.py` makes them.
MODELS = Path(__file__).parent / "models"
MODEL_FILE = "aligner.ckpt"
# Where a checkpoint has what `Aligner.settings` gives. Also the prefix of its weights: Lightning names them
# after the attribute of `AlignerModule` that holds the aligner.
CHECKPOINT_KEY = "aligner"
OTHER_VERSION = (
    "made by another version of `aligner fit`, or by another program; train again with `aligner fit`"
)
_TRAIN_ONE = "; of another language, train one on recordings: `aligner prepare --language`, `aligner fit`"
_NO_CHECKPOINT = (
    "not a checkpoint that `aligner fit` wrote, or damaged; if it was one, delete it and train again"
)


def shipped_models() -> list[str]:
    """The names of the models that come with this package."""
    return sorted(file.parent.name for file in MODELS.glob(f"*/{MODEL_FILE}"))


def find_checkpoint(name: str | Path) -> Path:
    """The file of a trained aligner. Whatever takes a checkpoint finds it here.

    Args:
        name: Its path or, where no file is of that name, that of a model that comes with this package.

    Raises:
        AlignerError: There is neither, saying which models there are.
    """
    if not isinstance(name, str | Path):
        raise AlignerError(f"the path of a checkpoint is needed, not {type(name).__name__}")
    path, models = Path(name), shipped_models()
    try:
        if path.is_file():
            return path
        if str(name) in models:  # also where a folder has the name: that is no checkpoint
            return MODELS / str(name) / MODEL_FILE
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, or with a NUL
        raise AlignerError(f"{str(name)[:80]!r} is no path of a checkpoint ({error})") from error
    if is_folder:
        raise AlignerError(
            f"{name}: a folder; name the last.ckpt that `aligner fit` wrote, or a model that comes with this "
            f"program: {', '.join(models)}"
        )
    like = [model for model in models if primary_language(model) == primary_language(str(name))]
    meant = f"; did you mean {' or '.join(like)}?" if like else did_you_mean(str(name), models)
    there = f"no such file, and none of the models that come with this program ({', '.join(models)})"
    raise AlignerError(f"{name}: {there}{meant or _TRAIN_ONE}")


def calibrated_on(path: str | Path) -> str:
    """The SHA-256 of the manifest of the corpus that a checkpoint's scores are calibrated on.

    "" if it does not say: of a model that comes with this package, and where training was interrupted.

    Args:
        path: As of `read_checkpoint`, which says what is raised.
    """
    training = read_checkpoint(path).get("training")
    return str(training.get("calibrated_on", "")) if isinstance(training, dict) else ""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint, in plain types and on the CPU.

    Args:
        path: Of what `Aligner.save` or `aligner fit` wrote, or a name (`find_checkpoint`).

    Raises:
        AlignerError: If it is not such a checkpoint, or a damaged one.
    """
    path = find_checkpoint(path)
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


def weights(content: dict[str, Any]) -> dict[str, Any]:
    """The weights of the aligner in a checkpoint, as `Aligner.load_state_dict` takes them.

    Args:
        content: Of the checkpoint.
    """
    prefix = f"{CHECKPOINT_KEY}."
    state = content["state_dict"]
    return {name.removeprefix(prefix): own for name, own in state.items() if name.startswith(prefix)}


def _is_whole_zip(path: str | Path) -> bool:
    """torch does not look at the check sums: weights that a disk has changed would be loaded as they are."""
    try:
        with ZipFile(path) as content:
            return content.testzip() is None
    except Exception:  # whatever zipfile makes of a file that is damaged or something else
        return False
