"""`aligner fit`: train an aligner on a prepared corpus, with Lightning's command line for every setting."""

import argparse
import sys
from pathlib import Path
from typing import Any

from aligner.commands.arguments import WrongArguments, add_data, add_strict
from aligner.commands.output import by_reason, print_failures, print_record
from aligner.errors import AlignerError

_LAST = "last"  # to `train`, the checkpoint of the output folder

DESCRIPTION = """\
Train on a prepared corpus. Only its audio and texts are learnt from; where the corpus has known times,
boundary errors against them are shown.

Writes OUT/checkpoints/last.ckpt after every epoch (`aligner align` takes it), OUT/checkpoints/refused.tsv if
there are utterances that could not be trained on, TensorBoard files and the full configuration. Ctrl-C
leaves the last epoch's checkpoint; --resume continues from it, and ends with the same result as if training
had not been interrupted."""

EPILOG = """\
examples:
  aligner fit --config ljspeech --data prepared
  aligner fit --config ljspeech --data prepared --out runs/ljspeech --resume
  aligner fit --config ljspeech --data prepared --init-alignments mfa_output
  aligner fit --config ljspeech --data prepared --init-checkpoint en-us
  aligner fit --config ljspeech --data prepared --trainer.accelerator cpu --data.batch_duration_s 100
  aligner fit --config ljspeech --print_config

Every setting of a configuration can be given after these (--model.seed 1, --trainer.accelerator gpu,
--model.frontend.init_args.mels 40); --print_config shows them all with their meaning. Of several --config, a
later one overrides the earlier ones."""


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
        help="YAML file, or the name of one that comes with this program; may be given several times",
    )
    # not required: a configuration can name the corpus
    add_data(parser, required=False)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: runs/CONFIG)")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=_LAST,
        metavar="CHECKPOINT",
        help="continue an interrupted training, from OUT/checkpoints/last.ckpt or from CHECKPOINT",
    )
    parser.add_argument(
        "--init-alignments",
        type=Path,
        metavar="PATH",
        help="start from times made elsewhere (TextGrids, also MFA's, CTM, .phn/.wrd, what `aligner align` "
        "wrote), matched by id; utterances that they do not fit start as usual",
    )
    parser.add_argument(
        "--init-checkpoint",
        metavar="CKPT",
        help="start from another aligner (a path, or one that comes with this program: en-us, de) and adapt "
        "it to the corpus in fewer epochs; the corpus must be prepared as its was",
    )
    add_strict(parser, "fail in the end if any utterance could not be trained on")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; print where the checkpoint is and, if times are known, how far boundaries are from them."""
    from aligner.devices import few_heaps
    from aligner.training.checkpoints import REFUSED
    from aligner.training.lightning_cli import LAST, find_config, train

    few_heaps()
    if not args.config:
        raise WrongArguments("say which configuration: --config ljspeech, or a YAML file")
    configs = [find_config(name) for name in args.config]
    out = args.out or Path("runs", configs[-1].stem)
    settings = ["--data.data_dir", str(args.data)] if args.data else []
    try:
        summary = train(
            configs,
            [*settings, *args.overrides],
            out,
            args.resume,
            args.init_alignments,
            args.init_checkpoint,
        )
    except KeyboardInterrupt:
        if (out / LAST).exists():
            print(
                f"{out / LAST} has the last whole epoch: the same command with --resume continues",
                file=sys.stderr,
            )
        raise
    if summary.pop("rank"):  # of several processes the first speaks for all
        raise SystemExit(0)
    _print_summary(summary, args.data)
    refused = summary.pop("refused")
    listing = Path(summary["checkpoint"]).with_name(REFUSED)
    print_failures("not trained on", by_reason(refused), listing)
    if refused and args.strict:
        raise AlignerError(f"{len(refused)} utterances were not trained on: see {listing}")
    return {**summary, "refused": len(refused)}


def in_a_line(summary: dict[str, Any]) -> str:
    """What was trained, in the end."""
    epochs = f"{summary['epochs']} epochs in {summary['seconds']:.0f} s"
    return f"{epochs}, {summary['refused']} utterances refused: {summary['checkpoint']}"


def _print_summary(summary: dict[str, Any], data: Path | None) -> None:
    rows = [
        ("checkpoint", summary["checkpoint"]),
        ("epochs", f"{summary['epochs']} in {summary['seconds']:.0f} s"),
    ]
    for level in ("words", "phones"):
        if (error_ms := summary.get(f"{level}_error_ms")) is not None:
            rows.append((f"{level}, mean error", f"{error_ms:.1f} ms a boundary, against the known times"))
    if "peak_gpu_bytes" in summary:
        rows.append(("GPU memory", f"{summary['peak_gpu_bytes'] / 2**30:.1f} GiB at most"))
    where = f"--checkpoint {summary['checkpoint']} --data {data or 'prepared'} --out aligned"
    rows.append(("next", f"aligner align {where}"))
    print_record("trained", rows)
