"""What a run shows while it trains: a line an epoch in a log, and TensorBoard's files."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger

from aligner.errors import reason


class EpochLines(lightning.Callback):
    """A line on stdout after every epoch, where no progress bar is seen."""

    _started_s = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Note the time."""
        self._started_s = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Print; an epoch has no loss where it is a flat start."""
        if trainer.is_global_zero:
            loss = trainer.callback_metrics.get("loss")
            shown = "" if loss is None else f"loss {float(loss):.4f}, "
            epochs = module.method.epochs  # type: ignore[union-attr]
            seconds = time.perf_counter() - self._started_s
            print(f"epoch {trainer.current_epoch + 1}/{epochs}: {shown}{seconds:.1f} s", flush=True)


class RunLogger(TensorBoardLogger):
    """TensorBoard's files in the folder of the run. What goes wrong with them ends no training.

    Here TensorBoard's code meets a person's disk, which may be full or gone.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder, name="", version="")
        self.problem = ""  # the first

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """As of every logger."""
        with self._survived():
            super().log_metrics(*args, **kwargs)

    def save(self) -> None:
        """TensorBoard's own files; no `hparams.yaml`, since config.yaml has all settings."""
        with self._survived():
            self.experiment.flush()

    def finalize(self, status: str) -> None:
        """As of every logger."""
        with self._survived():
            super().finalize(status)

    @contextlib.contextmanager
    def _survived(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.problem = self.problem or f"TensorBoard's files are not complete: {reason(error)}"


@contextlib.contextmanager
def quiet_writers() -> Iterator[None]:
    """Print no traceback of a thread of TensorBoard's; what it raises, `RunLogger` hears of as well."""
    usual = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not type(args.thread).__module__.startswith("tensorboard"):
            usual(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual
