"""Training from configurations: LightningCLI with this project's links, files and errors."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from jsonargparse import Namespace
    from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

LAST = Path("checkpoints", "last.ckpt")  # in the folder that a run writes
# Trainer settings that would be ignored, or end training before the calibration, with their defaults.
_FIXED = {"max_epochs": -1, "min_epochs": None, "max_steps": -1, "max_time": None, "fast_dev_run": False}
_SHOWN = 10  # utterances that get a flat start


class WrongSettings(AlignerError):
    """A setting that does not exist or has a value it cannot have."""

    exit_status = 2


def find_config(name: str) -> Path:
    """A configuration file by path or, if there is none, by the name of one that this package carries.

    Raises:
        AlignerError: If there is none of that name, naming those there are.
    """
    import aligner

    carried = Path(aligner.__file__).parent / "configs"
    for path in (Path(name), carried / Path(name).name, carried / f"{Path(name).name}.yaml"):
        if path.is_file():
            return path
    names = ", ".join(sorted(path.stem for path in carried.glob("*.yaml")))
    raise AlignerError(f"no configuration {name!r}: name a YAML file, or one of {names}")


def train(
    configs: Sequence[Path],
    settings: Sequence[str],
    out: Path,
    resume_from: str | Path | None = None,
    init_alignments: Path | None = None,
) -> dict[str, Any]:
    """Train as configurations and a command line say.

    Args:
        configs: YAML files; later ones go over earlier ones.
        settings: LightningCLI's command line, over the configurations.
        out: The folder to write.
        resume_from: A checkpoint, or "last" for that of `out`.
        init_alignments: What `formats.read` reads, to start from.

    Returns:
        checkpoint, epochs, seconds, rank (which of several processes this is) and, where there is
        something to measure, words_error_ms, phones_error_ms, peak_gpu_bytes; with init_alignments also how
        many utterances started from them.

    Raises:
        AlignerError: For settings that cannot be, for a checkpoint that is not there, unless resumed for one
            that is there already, and for alignments that fit no utterance.
    """
    import time

    import torch

    files = [word for config in configs for word in ("--config", str(config))]
    cli = parse([*files, *settings], out)
    checkpoint = _checkpoint_to_resume(out, resume_from)
    if checkpoint is not None:
        _check_resumable(cli, checkpoint)
    started = {}
    if init_alignments is not None:
        if checkpoint is not None:
            raise AlignerError("cannot combine --resume with --init-alignments: the run has started already")
        started = _start_from(cli, init_alignments)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    started_s = time.perf_counter()
    _fit(cli, checkpoint)
    epochs, seconds = cli.trainer.current_epoch, time.perf_counter() - started_s
    summary = {
        "checkpoint": str(out / LAST),
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "rank": cli.trainer.global_rank,
        **started,
        **_errors_ms(cli),
    }
    if cli.model.device.type == "cuda" or torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        summary["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
    return summary


def parse(settings: Sequence[str], out: Path) -> "LightningCLI":
    """Model, data and trainer.

    Args:
        settings: LightningCLI's command line.
        out: The folder that a run writes.

    Raises:
        AlignerError: For what jsonargparse refuses, and for settings that would be ignored.
    """
    from jsonargparse import ArgumentError
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from aligner.training.data import AlignerData
    from aligner.training.module import AlignerModule

    quieten()
    settings = ["--print_config=comments" if word == "--print_config" else word for word in settings]
    try:
        cli = _cli_class(out)(
            AlignerModule,
            AlignerData,
            args=settings,
            run=False,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # a checkpoint is plain data and needs none
            save_config_kwargs={"overwrite": True},
            trainer_defaults={
                "use_distributed_sampler": False,  # lhotse's samplers share the corpus out themselves
                "max_epochs": -1,  # the training method says
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "log_every_n_steps": 1,
                "reload_dataloaders_every_n_epochs": 1,  # each has its own order and, of a large corpus, part
                "default_root_dir": str(out),
            },
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
        )
    # ValueError: from the parts, for values that do not fit; Misconfiguration: from the trainer
    except (ArgumentError, ValueError, MisconfigurationException) as error:
        raise WrongSettings(_shortened(str(error))) from error
    trainer = cli.config["trainer"]
    for name, usual in _FIXED.items():
        if trainer[name] != usual:
            raise WrongSettings(
                f"trainer.{name}: the length of training is model.training.init_args.epochs "
                "(for a quick try: --config smoke)"
            )
    return cli


def quieten() -> None:
    """Silence Lightning's messages about what is meant to be so; errors stay."""
    import logging
    import warnings

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        ".*The number of training batches.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*The dirpath has changed.*",
        ".*recommended to use `self.log.*sync_dist.*",  # every process validates the same
        ".*instantiate_classes.*was deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)


def _cli_class(out: Path) -> "type[LightningCLI]":
    from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
    from lightning.pytorch.cli import LightningCLI
    from lightning.pytorch.loggers import TensorBoardLogger
    from lightning.pytorch.strategies import DDPStrategy

    from aligner.training.processes import Processes

    class AlignerCLI(LightningCLI):
        """Links what model and data must agree on, and says what is written where."""

        def parse_arguments(self, parser: "LightningArgumentParser", args: Any) -> None:
            self.config = parser.parse_args(args)

        def add_arguments_to_parser(self, parser: "LightningArgumentParser") -> None:
            parser.set_defaults({"model.training": {"class_path": "aligner.training.EM"}})
            parser.link_arguments("model.frontend", "data.sample_rate_hz", compute_fn=_sample_rate_hz)
            parser.link_arguments("model.perturbation", "data.reload_audio", compute_fn=_is_given)
            parser.link_arguments("data.symbols", "model.symbols", apply_on="instantiate")
            parser.link_arguments("data.text", "model.text", apply_on="instantiate")
            parser.link_arguments("data.features", "model.features", apply_on="instantiate")

        def instantiate_trainer(self, **kwargs: Any) -> Any:
            trainer = self.config_init["trainer"]
            if trainer["logger"] is None:
                kwargs["logger"] = TensorBoardLogger(str(out), name="", version="")
            folder = out / LAST.parent
            saver = ModelCheckpoint(
                folder,
                filename=LAST.stem,  # with save_last there would be two files
                save_on_train_epoch_end=True,  # not only where there is a validation
                enable_version_counter=False,
            )
            callbacks = [*(trainer["callbacks"] or []), saver]
            watched = sys.stderr.isatty() and trainer["enable_progress_bar"] is not False
            if watched:
                callbacks.append(RichProgressBar(leave=False, console_kwargs={"stderr": True}))
            kwargs |= {"enable_progress_bar": watched}
            made = super().instantiate_trainer(callbacks=list(callbacks), **kwargs)
            if not isinstance(made.strategy, DDPStrategy):
                return made
            # Only Lightning knows what devices, torchrun and Slurm come to; so it is asked first.
            kwargs["strategy"] = Processes()
            return super().instantiate_trainer(callbacks=list(callbacks), **kwargs)

    return AlignerCLI


def _sample_rate_hz(frontend: "Namespace") -> int:
    from aligner.frontends import Frontend
    from aligner.instantiate import instantiate

    return instantiate(frontend.as_dict(), Frontend, allow_external=True).sample_rate_hz


def _is_given(part: Any) -> bool:
    return part is not None


def _checkpoint_to_resume(out: Path, resume_from: str | Path | None) -> Path | None:
    last = out / LAST
    if resume_from is None:
        if last.exists():
            raise AlignerError(
                f"{last} exists: continue it with --resume, or choose another folder with --out"
            )
        return None
    checkpoint = last if resume_from == "last" else Path(resume_from)
    if not checkpoint.is_file():
        raise AlignerError(f"no checkpoint {checkpoint} to continue; leave out --resume to start")
    return checkpoint


def _check_resumable(cli: "LightningCLI", checkpoint: Path) -> None:
    """Raise AlignerError unless the checkpoint is one of this model."""
    from aligner.aligner import CHECKPOINT_KEY, read_checkpoint
    from aligner.instantiate import public_path

    content = read_checkpoint(checkpoint)
    ours, theirs = cli.model.aligner.settings(), content[CHECKPOINT_KEY]
    method = (content.get("training") or {}).get("method")
    changed = [name for name in ("symbols", "frontend", "encoder") if ours[name] != theirs.get(name)]
    changed += ["training"] if method != public_path(type(cli.model.method)) else []
    if changed:
        raise AlignerError(
            f"{checkpoint} cannot be continued: it was trained with other {', '.join(changed)} than these "
            "settings and this corpus have"
        )


def _start_from(cli: "LightningCLI", path: Path) -> dict[str, int]:
    """Give the model its initial alignments; print and return how many there are and who has none."""
    from aligner.training.init_alignments import read_init_alignments

    cli.datamodule.setup()
    found = read_init_alignments(path, cli.datamodule.utterances)
    cli.model.method.start_from(found.matched)
    counts = {
        "started_known": len(found.matched),
        "started_flat": len(found.unmatched),
        "words_shared": sum(alignment.evenly_split_words for alignment in found.matched.values()),
    }
    if cli.trainer.is_global_zero:
        print(
            f"start: {counts['started_known']} utterances from {path}, {counts['started_flat']} flat; "
            f"phones of {counts['words_shared']} words are not the text's and share the word evenly",
            file=sys.stderr,
        )
        for id, reason in list(found.unmatched.items())[:_SHOWN]:
            print(f"flat start: {id}: {reason}", file=sys.stderr)
    return counts


def _fit(cli: "LightningCLI", checkpoint: Path | None) -> None:
    with _own_interrupt_handler():
        try:
            cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:
            if not cli.trainer.interrupted:
                raise
            raise KeyboardInterrupt from error  # Lightning makes exit status 1 of Ctrl-C


@contextmanager
def _own_interrupt_handler() -> Iterator[None]:
    """Put back what Ctrl-C did before; Lightning leaves its own handler behind."""
    import signal

    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) != handler:
            signal.signal(signal.SIGINT, handler)


def _errors_ms(cli: "LightningCLI") -> dict[str, float]:
    """Mean boundary errors of the finished aligner, where the corpus has known times."""
    if not cli.datamodule.info.with_reference:
        return {}
    measured = cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
    figures = measured[0] if measured else {}  # none if limit_val_batches is 0
    return {
        name: round(float(figures[name]), 2)
        for name in ("words_error_ms", "phones_error_ms")
        if name in figures
    }


def _shortened(message: str) -> str:
    """jsonargparse's message without its list of every type that a value might have been."""
    if message.startswith("Call to compute_fn"):  # of the link from frontend to sample rate
        message = message.partition(" failed: ")[2]
    # of the encoder, which is typed as what makes one of the vocabulary and the channels
    message = re.sub(r"Type collections\.abc\.Callable.*? a callable class: ", "", message)
    message = message.partition(". Got value: Namespace(")[0]
    message = message.replace("data.data_dir", "--data")
    lines = [line for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:6])
