"""Checkpoints of a run: written after every epoch, each whole or not at all."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from aligner.formats.atomic import atomic_write
from aligner.formats.folder import make_folder
from aligner.formats.table import write_tsv

REFUSED = "refused.tsv"  # beside the checkpoint, if there is anything in it


class AtomicCheckpoints(TorchCheckpointIO):
    """How Lightning's trainer writes a checkpoint.

    Its own way is a temporary file in the system's folder for them. If that is another file system, the file
    is copied over the old checkpoint, and who is killed meanwhile has neither.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Replace the checkpoint at `path`."""
        content = io.BytesIO()  # torch makes a RuntimeError of a disk that is full
        torch.save(checkpoint, content)
        make_folder(Path(path).parent)
        with atomic_write(path) as file:
            file.write(content.getbuffer())


def list_refused(checkpoint: Path, refused: Mapping[str, str]) -> Path:
    """Write what was refused beside a checkpoint, if anything was; returns the file.

    Args:
        checkpoint: Its file.
        refused: Reasons by utterance id.
    """
    listing = checkpoint.with_name(REFUSED)
    if refused:
        make_folder(listing.parent)
        write_tsv(listing, ("id", "reason"), sorted(refused.items()))
    else:
        listing.unlink(missing_ok=True)
    return listing


class SaveEveryEpoch(Checkpoint):
    """Keeps the checkpoint of the last whole epoch, and a list of what was refused beside it.

    Lightning's `ModelCheckpoint` also stores where the file lies, so that equal runs differ in bytes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Called after the model's own, which calibrates after the last epoch."""
        trainer.save_checkpoint(self.path)
        if trainer.is_global_zero:
            list_refused(self.path, trainer.datamodule.refused)  # type: ignore[attr-defined]
