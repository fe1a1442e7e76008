"""`aligner fit`: train an aligner on a prepared corpus, with Lightning's command line for every setting."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

LAST = Path("checkpoints", "last.ckpt")
_SHOWN = 10  # utterances that start flat
_PARTS = ("frontend", "encoder", "perturbation")  # settings of the model that are `{class_path, init_args}`

DESCRIPTION = """\
Train on what `aligner prepare` wrote. Nothing but audio and text is learnt from; where the corpus has known
times, boundary errors against them are shown.

Writes OUT/checkpoints/last.ckpt after every epoch (that is what `aligner align` takes), TensorBoard files and
the full configuration. Ctrl-C leaves the last epoch's checkpoint; --ckpt_path last goes on from it, as if
nothing had happened."""

EPILOG = """\
examples:
  aligner fit --config ljspeech --data prepared
  aligner fit --config ljspeech --data prepared --out runs/ljspeech --ckpt_path last
  aligner fit --config ljspeech --data prepared --init-alignments mfa_output
  aligner fit --config ljspeech --data prepared --trainer.devices 2 --data.batch_duration_s 400

Every setting of a configuration can be given after these (--model.seed 1, --trainer.accelerator gpu,
--model.frontend.init_args.mels 40); --print_config shows them all. Several --config are laid one over the
other."""


class WrongSettings(AlignerError):
    """A setting that does not exist or has a value it cannot have."""

    exit_status = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What everybody needs; anything else is left to LightningCLI."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.set_defaults(overrides=[])
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML file, or the name of one that came with this program; may be given several times",
    )
    parser.add_argument("--data", metavar="DIR", help="what `aligner prepare` wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: runs/CONFIG)")
    parser.add_argument(
        "--ckpt_path", metavar="last|FILE", help="go on from OUT/checkpoints/last.ckpt, or from another"
    )
    parser.add_argument(
        "--init-alignments",
        type=Path,
        metavar="PATH",
        help="start from times made elsewhere (TextGrids, also MFA's, CTM, .phn/.wrd, what `aligner align` "
        "wrote), matched by id; utterances they do not fit start as usual",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; print where the checkpoint is and, if times are known, how far boundaries are from them."""
    if not args.config:
        raise WrongSettings("say which configuration: --config ljspeech, or a YAML file")
    configs = [find_config(name) for name in args.config]
    out = args.out or Path("runs", configs[-1].stem)
    settings = ["--data.data_dir", args.data] if args.data else []
    summary = train(configs, [*settings, *args.overrides], out, args.ckpt_path, args.init_alignments)
    _print_summary(summary, args.data)
    return summary


def find_config(name: str) -> Path:
    """A configuration file by path or, if there is none, by the name of one that this package carries.

    Raises AlignerError, naming those there are, if there is none of that name.
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
    resume_from: str | None = None,
    init_alignments: Path | None = None,
) -> dict[str, Any]:
    """Train as `configs`, and over them `settings` (LightningCLI's command line), say; write to folder `out`.

    resume_from: a checkpoint, or "last" for `out`'s own. init_alignments: what `formats.read` reads, to start
    from. Returns checkpoint, epochs, seconds and, where there is something to measure, words_error_ms,
    phones_error_ms, peak_gpu_bytes; with init_alignments also how many utterances started from them.

    Raises AlignerError for settings that cannot be, for a checkpoint that is not there, unless resumed for
    one that is there already, and for alignments that fit no utterance.
    """
    import time

    import torch

    files = [word for config in configs for word in ("--config", str(config))]
    cli = _parse([*files, *_whole_parts(configs, settings)], out)
    checkpoint = _checkpoint_to_resume(out, resume_from)
    started = {}
    if init_alignments is not None:
        if checkpoint is not None:
            raise AlignerError("a run that goes on has started already: leave out --init-alignments")
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
        **started,
        **_errors_ms(cli),
    }
    if cli.model.device.type == "cuda" or torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        summary["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
    return summary


def _checkpoint_to_resume(out: Path, resume_from: str | None) -> Path | None:
    last = out / LAST
    if resume_from is None:
        if last.exists():
            raise AlignerError(
                f"{last} exists: go on from it with --ckpt_path last, or choose another folder with --out"
            )
        return None
    checkpoint = last if resume_from == "last" else Path(resume_from)
    if not checkpoint.is_file():
        raise AlignerError(f"no checkpoint {checkpoint} to go on from; leave out --ckpt_path to start")
    return checkpoint


def _start_from(cli: "LightningCLI", path: Path) -> dict[str, int]:
    """Give the model its starts; say and return how many there are and who has none."""
    from aligner.training.init_alignments import read_starts

    cli.datamodule.setup()
    found = read_starts(path, cli.datamodule.utterances)
    cli.model.start_from(found.starts)
    counts = {
        "started_known": len(found.starts),
        "started_flat": len(found.flat),
        "words_shared": sum(start.shared for start in found.starts.values()),
    }
    if cli.trainer.is_global_zero:
        print(
            f"start: {counts['started_known']} utterances from {path}, {counts['started_flat']} flat; "
            f"phones of {counts['words_shared']} words are not the text's and share the word evenly",
            file=sys.stderr,
        )
        for id, reason in list(found.flat.items())[:_SHOWN]:
            print(f"starts flat: {id}: {reason}", file=sys.stderr)
    return counts


def _whole_parts(configs: Sequence[Path], settings: Sequence[str]) -> list[str]:
    """`--model.frontend {...}`, `--model.frontend.init_args.mels 40` and their like, which jsonargparse
    loses, as one more `--config`. Into a list the way is by number: `init_args.frontends.1.init_args.bins`.

    To jsonargparse a dict is one value, which the last configuration that has it states whole.
    """
    stated: dict[str, Any] = {}
    words, rest = iter(settings), []
    for word in words:
        key, equals, value = word.partition("=")
        part, *path = key.removeprefix("--model.").split(".")
        if not key.startswith("--model.") or part not in _PARTS:
            rest.append(word)
            continue
        setting = _value(value if equals else next(words, ""))
        if not path:
            if not isinstance(setting, dict):
                raise WrongSettings(f"{key} {setting}: write '{{class_path: ..., init_args: {{...}}}}'")
            stated[part] = setting
            continue
        try:
            place = stated.setdefault(part, _stated(configs, part))
            for name in path[:-1]:
                place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
            place[int(path[-1]) if isinstance(place, list) else path[-1]] = setting
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise WrongSettings(f"{key}: there is no such place in the {part} ({error})") from error
    return ["--config", json.dumps({"model": stated}), *rest] if stated else rest


def _stated(configs: Sequence[Path], part: str) -> dict[str, Any]:
    import yaml

    stated: dict[str, Any] = {}
    for config in configs:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        stated = ((content or {}).get("model") or {}).get(part) or stated
    return stated


def _value(text: str) -> Any:
    import yaml

    try:
        return json.loads(text)  # knows 1e-8, which to YAML is a string
    except json.JSONDecodeError:
        return yaml.safe_load(text)


def _parse(settings: Sequence[str], out: Path) -> "LightningCLI":
    """Model, data and trainer. Raises AlignerError for what jsonargparse refuses."""
    from jsonargparse import ArgumentError

    from aligner.training.data import AlignerData
    from aligner.training.module import Aligner

    quieten()
    try:
        return _cli_class(out)(
            Aligner,
            AlignerData,
            args=list(settings),
            run=False,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # module.Aligner saves plain data and needs none
            save_config_kwargs={"overwrite": True},
            trainer_defaults={
                "use_distributed_sampler": False,  # lhotse's samplers share the corpus out themselves
                "max_epochs": -1,
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "log_every_n_steps": 1,
                "default_root_dir": str(out),
            },
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
        )
    except ArgumentError as error:
        raise WrongSettings(_shortened(str(error))) from error


def _cli_class(out: Path) -> "type[LightningCLI]":
    from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
    from lightning.pytorch.cli import LightningCLI
    from lightning.pytorch.loggers import TensorBoardLogger

    class AlignerCLI(LightningCLI):
        """Links what model and data must agree on, and says what is written where."""

        def parse_arguments(self, parser: "LightningArgumentParser", args: Any) -> None:
            self.config = parser.parse_args(args)

        def add_arguments_to_parser(self, parser: "LightningArgumentParser") -> None:
            parser.link_arguments("model.frontend", "data.sample_rate_hz", compute_fn=_sample_rate_hz)
            parser.link_arguments("data.symbols", "model.symbols", apply_on="instantiate")
            parser.link_arguments("data.text", "model.text", apply_on="instantiate")

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
            return super().instantiate_trainer(callbacks=callbacks, enable_progress_bar=watched, **kwargs)

    return AlignerCLI


def _sample_rate_hz(frontend: dict[str, Any]) -> int:
    from aligner.frontends import Frontend
    from aligner.instantiate import build

    return build(frontend, Frontend).sample_rate_hz


def _fit(cli: "LightningCLI", checkpoint: Path | None) -> None:
    import signal

    handler = signal.getsignal(signal.SIGINT)
    try:
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:
        if not cli.trainer.interrupted:
            raise
        raise KeyboardInterrupt from error  # Lightning makes exit status 1 of Ctrl-C
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


def quieten() -> None:
    """Keep Lightning's advertisements and its notes on what is meant from the user; errors stay."""
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
        ".*instantiate_classes.*was deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)


def _shortened(message: str) -> str:
    """jsonargparse's message without its list of every type that a value might have been."""
    if message.startswith("Call to compute_fn"):  # of the link from frontend to sample rate
        message = message.partition(" failed: ")[2]
    lines = [line for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:6])


def _print_summary(summary: dict[str, Any], data: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="trained", show_header=False, title_justify="left")
    table.add_row("checkpoint", escape(summary["checkpoint"]))
    table.add_row("epochs", f"{summary['epochs']} in {summary['seconds']:.0f} s")
    for level in ("words", "phones"):
        if (error_ms := summary.get(f"{level}_error_ms")) is not None:
            table.add_row(f"{level}, mean error", f"{error_ms:.1f} ms a boundary, against the known times")
    if "peak_gpu_bytes" in summary:
        table.add_row("GPU memory", f"{summary['peak_gpu_bytes'] / 2**30:.1f} GiB at most")
    where = data or "prepared"
    table.add_row(
        "next", escape(f"aligner align --checkpoint {summary['checkpoint']} --data {where} --out aligned")
    )
    Console().print(table)
