"""`aligner evaluate`: boundary errors against reference times."""

import argparse
from typing import Any

from aligner.errors import AlignerError

_SPEAKERS_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to compare with what."""
    parser.description = (
        "Measure how far word and phone boundaries are from reference times. Words are matched in order and\n"
        "by text; phones are compared where both sides have equally many, pauses left out. What cannot be\n"
        "compared is counted."
    )
    parser.epilog = (
        "examples:\n"
        "  aligner evaluate aligned --reference timit/test\n"
        "  aligner evaluate aligned --reference praat --tier words=ORT --tier phones=MAU --html report.html"
    )
    parser.add_argument(
        "alignments",
        metavar="OUT",
        help="what `aligner align` wrote; or a folder of TextGrids, a CTM, a manifest",
    )
    parser.add_argument(
        "--reference",
        required=True,
        metavar="DIR",
        help="folder with TextGrids or TIMIT .phn/.wrd, or a prepared corpus with reference times",
    )
    parser.add_argument(
        "--tier",
        action="append",
        default=[],
        metavar="words=NAME|phones=NAME",
        help="a tier of the reference TextGrids that is not named words or phones; may be given for both",
    )
    parser.add_argument("--html", metavar="FILE", help="also write the figures as a page")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Compare, print the tables, return the figures."""
    from pathlib import Path

    from rich.console import Console
    from rich.progress import track

    from aligner.evaluate import References, evaluate
    from aligner.formats import read

    tiers = _tiers(args.tier)
    errors = Console(stderr=True)
    references = References(args.reference, tiers.get("words"), tiers.get("phones"))
    alignments = track(read(args.alignments), "comparing", console=errors, disable=not errors.is_terminal)
    summary = evaluate(alignments, references)
    _print_tables(summary)
    if args.html:
        from aligner.plot import evaluation_page

        evaluation_page(summary, Path(args.html), title=f"{args.alignments} against {args.reference}")
        print(f"report: {args.html}")
    return summary


def _tiers(given: list[str]) -> dict[str, str]:
    tiers = {}
    for tier in given:
        kind, equals, name = tier.partition("=")
        if kind not in ("words", "phones") or not equals or not name:
            raise AlignerError(f"--tier {tier}: say words=NAME or phones=NAME")
        tiers[kind] = name
    return tiers


def _print_tables(summary: dict[str, Any]) -> None:
    from itertools import islice

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from aligner.plot import FIGURES, LEGEND, figure_rows

    console = Console()
    title = f"Boundary errors, {summary['utterances']} utterances"
    table = Table(title=title, caption=LEGEND, box=box.SIMPLE, padding=0, title_justify="left")
    shown = [key for key in FIGURES if key != "beyond_100ms"]  # what is left of within_100ms
    table.add_column("", no_wrap=True)
    for key in shown:
        table.add_column(FIGURES[key], justify="right", no_wrap=True)
    for row in islice(figure_rows(summary, shown), 2 * (1 + _SPEAKERS_SHOWN)):
        table.add_row(*row)
    console.print(table)
    if len(summary["speakers"]) > _SPEAKERS_SHOWN:
        console.print(f"({len(summary['speakers'])} speakers; all of them with --json or --html)")
    worst = Table("worst utterances", "mean ms", "max ms", box=box.SIMPLE)
    for entry in summary["worst"]:
        worst.add_row(entry["id"], f"{entry['mean_ms']:.1f}", f"{entry['max_ms']:.1f}")
    console.print(worst)
    for reason, what in summary["reasons"].items():
        console.print(f"skipped: {reason}: {len(what)} (such as {what[0]})", markup=False, highlight=False)
