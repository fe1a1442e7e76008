"""Training from configurations: LightningCLI with this project's links, files and errors."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import output_folder
from aligner.formats.source import reading_of
from aligner.training.settings import WrongSettings, check_fixed, check_seeds, check_yaml, near, shortened

if TYPE_CHECKING:
    from jsonargparse import Namespace
    from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

LAST = Path("checkpoints", "last.ckpt")  # in the folder that a run writes
_CONFIG = "config.yaml"
_SHOWN = 10  # utterances that get a flat start


def find_config(name: str) -> Path:
    """A configuration file by path or, if there is none, by the name of one that this package carries.

    Raises:
        AlignerError: If there is none of that name, naming those there are, or if it holds no settings.
    """
    import aligner

    carried = Path(aligner.__file__).parent / "configs"
    for path in (Path(name), carried / Path(name).name, carried / f"{Path(name).name}.yaml"):
        if path.is_file():
            check_yaml(path)
            return path
    names = ", ".join(sorted(path.stem for path in carried.glob("*.yaml")))
    raise AlignerError(f"no configuration {name!r}: name a YAML file, or one of {names}")


def train(
    configs: Sequence[Path],
    settings: Sequence[str],
    out: Path,
    resume_from: str | Path | None = None,
    init_alignments: Path | None = None,
    init_checkpoint: str | None = None,
) -> dict[str, Any]:
    """Train as configurations and a command line say.

    Args:
        configs: YAML files; later ones go over earlier ones.
        settings: LightningCLI's command line, over the configurations.
        out: The folder to write.
        resume_from: A checkpoint, or "last" for that of `out`.
        init_alignments: What `formats.read` reads, to start from.
        init_checkpoint: Another aligner to start from, as `find_checkpoint` finds it.

    Returns:
        checkpoint, epochs, seconds, rank (which of several processes this is), the reasons of what was
        refused by id and, where there is something to measure, words_error_ms, phones_error_ms,
        peak_gpu_bytes; with init_alignments also how many utterances started from them. A run that was
        finished before has a key finished.

    Raises:
        AlignerError: For settings that cannot be, for a checkpoint that is not there, unless resumed for one
            that is there already, for one of another corpus, for alignments that fit no utterance, where
            another run writes the folder, and where every utterance was refused.
    """
    from aligner.checkpoint import CHECKPOINT_KEY, read_checkpoint
    from aligner.training.init_checkpoint import start_from_aligner
    from aligner.training.resume import checkpoint_to_resume, resumable, vocabulary_to_resume

    given = {"--init-alignments": init_alignments, "--init-checkpoint": init_checkpoint}
    starts = [option for option, value in given.items() if value is not None]
    if starts and resume_from is not None:
        raise AlignerError(f"cannot combine --resume with {starts[0]}: the run has started already")
    if len(starts) > 1:
        raise AlignerError(f"cannot combine {' with '.join(starts)}: a run has one start")
    vocabulary = vocabulary_to_resume(out / LAST, resume_from)
    if init_checkpoint is not None:
        vocabulary = read_checkpoint(init_checkpoint)[CHECKPOINT_KEY]["symbols"]
    files = [word for config in configs for word in ("--config", str(config))]
    own = [] if vocabulary is None else ["--data.vocabulary", json.dumps(vocabulary)]
    cli = parse([*files, *settings, *own], out)
    cli.datamodule.setup()  # a corpus that cannot be read is said before anything is written
    # The other processes of a run on several devices write nothing.
    with output_folder(out) if cli.trainer.is_global_zero else nullcontext():
        checkpoint = checkpoint_to_resume(out / LAST, resume_from)
        if checkpoint is not None:
            content, notes = resumable(cli.model, cli.datamodule, checkpoint)
            for note in notes:
                _note(cli, note)
            if vocabulary is not None:
                cli.model.method.start_from_aligner()  # as it did
            if content["epoch"] + 1 >= cli.model.method.epochs:
                return _finished(cli, checkpoint, content)
        elif init_checkpoint is not None:
            for note in start_from_aligner(cli.model, cli.datamodule, init_checkpoint):
                _note(cli, note)
        return _train(cli, out, checkpoint, init_alignments)


def _train(
    cli: "LightningCLI", out: Path, checkpoint: Path | None, init_alignments: Path | None
) -> dict[str, Any]:
    """Train in the folder of a run; arguments and result as of `train`."""
    import time

    import torch

    from aligner.training.checkpoints import list_refused
    from aligner.training.usable import NothingToTrainOn

    started = {} if init_alignments is None else _start_from(cli, init_alignments)
    if cli.trainer.is_global_zero:
        with atomic_write(out / _CONFIG) as file:
            file.write(cli.parser.dump(cli.config, skip_none=False).encode())
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    started_s = time.perf_counter()
    try:
        _fit(cli, checkpoint)
    except NothingToTrainOn as error:
        raise AlignerError(f"{error}; see {list_refused(out / LAST, error.refused)}") from error
    for part in (cli.model, cli.trainer.logger):
        if problem := getattr(part, "problem", ""):
            _note(cli, problem)
    epochs, seconds = cli.trainer.current_epoch, time.perf_counter() - started_s
    summary = {
        "checkpoint": str(out / LAST),
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "rank": cli.trainer.global_rank,
        **started,
        **_errors_ms(cli),
        "refused": cli.datamodule.refused,
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

    from aligner.devices import devices
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
            save_config_callback=None,  # it does not write files whole
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
    except (ArgumentError, ValueError) as error:  # ValueError: from the parts, for values that do not fit
        raise WrongSettings(shortened(str(error))) from error
    # from the trainer; ImportError for accelerators that need a library
    except (MisconfigurationException, ImportError) as error:
        message = shortened(str(error))
        raise WrongSettings(f"{message} (devices here: {', '.join(devices())})") from error
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
    from jsonargparse import ArgumentError
    from lightning.pytorch.callbacks import RichProgressBar
    from lightning.pytorch.cli import LightningCLI
    from lightning.pytorch.strategies import DDPStrategy

    from aligner.training.checkpoints import AtomicCheckpoints, SaveEveryEpoch
    from aligner.training.processes import Processes
    from aligner.training.progress import EpochLines, RunLogger

    class AlignerCLI(LightningCLI):
        """Links what model and data must agree on, and says what is written where."""

        def parse_arguments(self, parser: "LightningArgumentParser", args: Any) -> None:
            try:
                self.config = parser.parse_args(args)
            except ArgumentError as error:
                raise WrongSettings(f"{shortened(str(error))}{near(str(error), parser)}") from error
            check_fixed(self.config["trainer"], out)
            check_seeds(self.config)

        def add_arguments_to_parser(self, parser: "LightningArgumentParser") -> None:
            parser.set_defaults({"model.training": {"class_path": "aligner.training.EM"}})
            parser.link_arguments("model.frontend", "data.sample_rate_hz", compute_fn=_sample_rate_hz)
            parser.link_arguments("model.perturbation", "data.reload_audio", compute_fn=_is_given)
            parser.link_arguments("data.symbols", "model.symbols", apply_on="instantiate")
            parser.link_arguments("data.text", "model.text", apply_on="instantiate")
            parser.link_arguments("data.features", "model.features", apply_on="instantiate")
            parser.link_arguments("data.speakers", "model.speakers", apply_on="instantiate")

        def instantiate_trainer(self, **kwargs: Any) -> Any:
            trainer = self.config_init["trainer"]
            if trainer["logger"] is None:
                kwargs["logger"] = RunLogger(str(out))
            callbacks = [*(trainer["callbacks"] or []), SaveEveryEpoch(out / LAST)]
            plugins = [*(trainer["plugins"] or []), AtomicCheckpoints()]
            watched = sys.stderr.isatty() and trainer["enable_progress_bar"] is not False
            if watched:
                callbacks.append(RichProgressBar(leave=False, console_kwargs={"stderr": True}))
            if not watched or not sys.stdout.isatty():
                callbacks.append(EpochLines())
            kwargs |= {"plugins": plugins, "enable_progress_bar": watched}
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


def _finished(cli: "LightningCLI", checkpoint: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The result of a run that has nothing left to train."""
    epochs = content["epoch"] + 1
    _note(cli, f"{checkpoint} is of a finished run: its {epochs} epochs are done, and nothing was trained")
    cli.model.load_state_dict(content["state_dict"])
    figures = _errors_ms(cli)
    return {
        "checkpoint": str(checkpoint),
        "epochs": epochs,
        "seconds": 0.0,
        "rank": cli.trainer.global_rank,
        **figures,
        "refused": cli.datamodule.refused,
        "finished": True,
    }


def _note(cli: "LightningCLI", sentence: str) -> None:
    if cli.trainer.is_global_zero:
        print(f"note: {sentence}", file=sys.stderr)


def _start_from(cli: "LightningCLI", path: Path) -> dict[str, int]:
    """Give the model its initial alignments; print and return how many there are and who has none."""
    from aligner.training.init_alignments import read_init_alignments

    reading, own = reading_of(path), cli.datamodule.info.reading
    if reading is not None and not reading.agrees(own):
        _note(
            cli,
            f"{path} is of texts prepared with {reading}, the corpus with {own}: where phones differ, they "
            "share their word evenly",
        )
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
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from aligner.training.progress import quiet_writers

    with _own_interrupt_handler(), quiet_writers():
        try:
            cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
        except MisconfigurationException as error:  # settings of the trainer that exclude one another
            raise WrongSettings(shortened(str(error))) from error
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
