"""`aligner evaluate`: boundary errors against reference times."""

import argparse
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import (
    ALIGNMENTS,
    WrongArguments,
    add_checkpoint,
    add_data,
    add_tiers,
    load_aligner,
    read_tiers,
)
from aligner.commands.output import by_reason, print_failures, print_table, progress
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.alignment import Alignment
    from aligner.formats.lookup import AlignmentLookup

_SPEAKERS_SHOWN = 10
_UTTERANCES = 64

DESCRIPTION = """\
Measure how far word and phone boundaries are from reference times.

Two forms: alignments on disk against references; or a checkpoint, which aligns a sample of a prepared corpus
that has known times and writes nothing. Words are matched in order and by text; phones are compared where
both sides have equally many, pauses left out. What cannot be compared is counted."""

EPILOG = """\
examples:
  aligner evaluate aligned --reference timit/test
  aligner evaluate aligned --reference praat --tier words=ORT --tier phones=MAU --html report.html
  aligner evaluate --checkpoint runs/ljspeech/checkpoints/last.ckpt --data prepared
  aligner evaluate --checkpoint last.ckpt --data prepared --utterances 500"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to compare with what."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    on_disk = parser.add_argument_group("alignments on disk")
    on_disk.add_argument("alignments", nargs="?", metavar="ALIGNMENTS", help=ALIGNMENTS)
    on_disk.add_argument(
        "--reference",
        metavar="DIR",
        help="a folder with TextGrids or TIMIT .phn/.wrd, a .ctm file, or a prepared corpus with known times",
    )
    add_tiers(on_disk)
    sample = parser.add_argument_group("a checkpoint on a sample")
    add_checkpoint(sample, required=False)
    add_data(sample, required=False)
    sample.add_argument(
        "--utterances",
        type=int,
        metavar="N",
        help=f"size of the sample, spread evenly over the corpus (default: {_UTTERANCES})",
    )
    parser.add_argument("--html", metavar="FILE", help="also write the figures as a page")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Compare, print the tables, return the figures."""
    from aligner.evaluate import evaluate

    _check_form(args)
    damage: list[AlignerError] = []
    if args.checkpoint:
        alignments, references = _align_sample(args)
        title = f"{args.checkpoint} against the known times of {args.data}"
    else:
        alignments, references = _read(args, damage)
        title = f"{args.alignments} against {args.reference}"
    summary = evaluate(alignments, references)
    _print_tables(summary)
    _print_unread_tiers(summary, references)
    if summary["by_hand"]:
        print(f"of {summary['by_hand']} utterances only the times that a person set are compared")
    if args.html:
        from aligner.report import evaluation_page

        evaluation_page(summary, Path(args.html), title=title)
        print(f"report: {args.html}")
    for error in (*damage, references.damage):
        if error is not None:
            raise AlignerError(f"these figures are of a part only: {error}")
    return summary


def in_a_line(summary: dict[str, Any]) -> str:
    """What was found, in the end."""
    means = [
        f"{level} {summary[level]['mean_ms']:.1f} ms"
        for level in ("words", "phones")
        if summary[level]["mean_ms"] is not None
    ]
    found = ", ".join(means) or "none to compare"
    return f"{summary['utterances']} utterances compared, mean error of a boundary: {found}"


def _check_form(args: argparse.Namespace) -> None:
    """Raise WrongArguments unless the arguments are those of one of the two forms, complete."""
    on_disk = {"ALIGNMENTS": args.alignments, "--reference": args.reference, "--tier": args.tier}
    sample = {
        "--checkpoint": args.checkpoint,
        "--data": args.data,
        "--utterances": args.utterances,
        "--device": args.device,
        "--trust": args.trust,
    }
    given = [name for name, value in on_disk.items() if value]
    given_sample = [name for name, value in sample.items() if value not in (None, False)]
    if given and given_sample:
        raise WrongArguments(
            f"cannot combine {', '.join(given)} with {', '.join(given_sample)}: either compare ALIGNMENTS "
            "with --reference, or measure a --checkpoint on --data"
        )
    form, needed = (
        (sample, ("--checkpoint", "--data")) if given_sample else (on_disk, ("ALIGNMENTS", "--reference"))
    )
    missing = [name for name in needed if not form[name]]
    if missing:
        other = "" if given or given_sample else "; or --checkpoint and --data"
        raise WrongArguments(f"missing {' and '.join(missing)}{other}")
    if args.utterances is not None and args.utterances < 1:
        raise AlignerError(f"--utterances {args.utterances}: must be at least 1")


def _read(
    args: argparse.Namespace, damage: list[AlignerError]
) -> "tuple[Iterable[Alignment], AlignmentLookup]":
    """What to compare with what. A manifest that ends too early is noted in `damage` when it is met."""
    from aligner.formats import DamagedManifest, read
    from aligner.formats.lookup import AlignmentLookup
    from aligner.formats.source import reading_of

    tiers = read_tiers(args.tier)
    ours, theirs = reading_of(args.alignments), reading_of(args.reference)
    if ours is not None and theirs is not None and not ours.agrees(theirs):
        print(
            f"note: {args.alignments} is of texts prepared with {ours}, {args.reference} with {theirs}: "
            "phones are paired where there are equally many, whatever they are called",
            file=sys.stderr,
        )
    references = AlignmentLookup(args.reference, tiers.get("words"), tiers.get("phones"))

    def note(error: AlignerError) -> None:
        if isinstance(error, DamagedManifest):
            damage.append(error)
            return
        print(f"not compared: {error}", file=sys.stderr)

    return progress(read(args.alignments, on_error=note), "comparing"), references


def _align_sample(args: argparse.Namespace) -> "tuple[Iterable[Alignment], AlignmentLookup]":
    """Align utterances of a prepared corpus that have known times, evenly spread over it."""
    from aligner.align_batches import align_side_by_side, batches, load_usable
    from aligner.align_corpus import check_reading
    from aligner.corpus.prepared import evenly_spread, iter_utterances, load_info
    from aligner.corpus.read_ahead import read_ahead
    from aligner.formats.lookup import AlignmentLookup

    measurable = [u for u in iter_utterances(args.data) if u.reference is not None]
    if not measurable:
        raise AlignerError(f"{args.data} has no utterance with known times to measure against")
    aligner = load_aligner(args)
    for note in check_reading(aligner, load_info(args.data), args.checkpoint, str(args.data)):
        print(f"note: {note}", file=sys.stderr)
    sample = evenly_spread(measurable, args.utterances or _UTTERANCES)
    aligned: list[Alignment] = []
    failed: dict[str, str] = {}
    rate_hz = aligner.frontend.sample_rate_hz
    by_id = {utterance.id: utterance for utterance in sample}
    planned = list(batches({utterance.id: utterance.duration_s for utterance in sample}))
    ready = read_ahead(progress(planned, "aligning"), lambda id: load_usable(by_id[id], rate_hz))
    for _, (alignments, reasons) in align_side_by_side(aligner, ready):
        aligned += alignments.values()
        failed |= reasons
    print_failures("not aligned", by_reason(failed))
    if not aligned:
        raise AlignerError(f"none of {len(sample)} utterances can be aligned")
    known = [utterance.reference for utterance in sample if utterance.reference is not None]
    return aligned, AlignmentLookup(args.data, alignments=known)


def _print_unread_tiers(summary: dict[str, Any], references: "AlignmentLookup") -> None:
    """Where there are no words or no phones to compare, say which tiers there were to choose from."""
    missing = [level for level in ("words", "phones") if not summary[level]["n"]]
    tiers = references.tiers() if missing else []
    if tiers:
        print(
            f"note: no {' and no '.join(missing)} compared; the reference TextGrids have the tiers "
            f"{', '.join(map(repr, tiers))}: name one with --tier if it is meant",
            file=sys.stderr,
        )


def _print_tables(summary: dict[str, Any]) -> None:
    from aligner.report import FIGURES, LEGEND, figure_rows

    shown = [key for key in FIGURES if key != "beyond_100ms"]  # what is left of within_100ms
    print_table(
        ["", *(FIGURES[key] for key in shown)],
        islice(figure_rows(summary, shown), 2 * (1 + _SPEAKERS_SHOWN)),
        title=f"Boundary errors, {summary['utterances']} utterances",
        caption=LEGEND,
        figures=True,
    )
    if len(summary["speakers"]) > _SPEAKERS_SHOWN:
        print(f"({len(summary['speakers'])} speakers; all of them with --json or --html)")
    worst = [(entry["id"], f"{entry['mean_ms']:.1f}", f"{entry['max_ms']:.1f}") for entry in summary["worst"]]
    print_table(("worst utterances", "mean ms", "max ms"), worst, figures=True)
    for reason, what in summary["reasons"].items():
        print(f"skipped: {reason}: {len(what)} (such as {what[0]})")
