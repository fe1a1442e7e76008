"""`aligner validate`: what `aligner fit` shows during training, for a finished checkpoint."""

import argparse
from pathlib import Path
from typing import Any

from aligner.errors import AlignerError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Boundary errors of a checkpoint on a prepared corpus with known times, as training shows them:\n"
        "on a sample of utterances, nothing written. `aligner align` and `evaluate` say more."
    )
    parser.epilog = (
        "example:\n  aligner validate --checkpoint runs/ljspeech/checkpoints/last.ckpt --data prepared"
    )
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="CKPT", help="of `aligner fit`")
    parser.add_argument("--data", required=True, metavar="DIR", help="what `aligner prepare` wrote")
    parser.add_argument(
        "--utterances", type=int, default=64, metavar="N", help="size of the sample (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print and return the figures."""
    import sys

    import lightning
    from rich.console import Console
    from rich.table import Table

    from aligner.commands.fit import quieten
    from aligner.training.data import AlignerData
    from aligner.training.module import Aligner

    quieten()
    if args.utterances < 1:
        raise AlignerError(f"--utterances {args.utterances}: must be at least 1")
    aligner = Aligner.load(args.checkpoint)
    data = AlignerData(args.data, aligner.frontend.sample_rate_hz, n_validation=args.utterances)
    if not data.info.with_reference:
        raise AlignerError(f"{args.data} has no utterance with known times to measure against")
    trainer = lightning.Trainer(
        logger=False, enable_progress_bar=sys.stderr.isatty(), use_distributed_sampler=False
    )
    (figures,) = trainer.validate(aligner, data, verbose=False)
    table = Table(title="against the known times", show_header=False, title_justify="left")
    for name, value in sorted(figures.items()):
        table.add_row(name, f"{value:.2f}")
    Console().print(table)
    return {name: round(float(value), 2) for name, value in sorted(figures.items())}
