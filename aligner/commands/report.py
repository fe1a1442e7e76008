"""`aligner report`: alignments to see, hear and correct, in a browser."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import ALIGNMENTS, add_tiers, read_tiers, whole_number
from aligner.commands.output import by_reason, print_failures, progress, progress_bar
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.alignment import Alignment
    from aligner.report import Overview

DESCRIPTION = """\
Write a folder with a page to see, hear and correct alignments. Open its index.html in any browser, from disk
and offline.

The page has a table of the utterances, to sort and to search, and for each its waveform, spectrogram, words
and phones; a click plays a phone or word. Boundaries can be dragged, and words marked as wrong: what is saved
from the page is read by `aligner evaluate`, `aligner export`, `aligner fit --init-alignments` and `aligner
align --keep`. Recordings are copied into the page (about 140 MB an hour)."""

EPILOG = """\
examples:
  aligner report aligned --out report
  aligner report aligned --reference my-textgrids --worst 100 --out report
  aligner report aligned --against mfa_output --out report
  aligner report mfa_output --audio prepared --reference praat --tier words=ORT --out report"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show, beside what, and of which utterances."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("alignments", type=Path, metavar="ALIGNMENTS", help=ALIGNMENTS)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="the recordings: a prepared corpus, or a folder of sound files named by utterance id (default: "
        "those that the alignments name)",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="show known times beside the alignments, and the errors: as of `aligner evaluate`",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help="show other alignments of the same corpus beside these, the most different utterances first",
    )
    add_tiers(parser)
    shown = parser.add_argument_group("which utterances")
    shown.add_argument("--limit", type=whole_number(1), metavar="N", help="the first N")
    shown.add_argument(
        "--worst",
        type=whole_number(1),
        metavar="N",
        help="the N that differ most from --against, or have the largest errors against --reference, or the "
        "lowest scores",
    )
    shown.add_argument("--ids", nargs="+", metavar="ID", help="these")
    parser.add_argument("--title", metavar="TEXT", help="of the page (default: the name of ALIGNMENTS)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Gather the figures of all utterances, write the page, return the figures."""
    from aligner.formats import read
    from aligner.report import PAGE, Selection, Sounds, listed, write_report

    damage: list[AlignerError] = []
    folder = args.alignments if args.alignments.is_dir() else args.alignments.parent
    refused, suspicions = listed([args.audio] * bool(args.audio) + [folder])
    overview = _overview(args, suspicions)
    sounds = Sounds(args.alignments, args.audio)

    def all_of_them(on_error: Any = lambda error: None) -> "Iterable[Alignment]":
        return read(args.alignments, on_error=on_error)

    for alignment in progress(all_of_them(damage.append), "reading"):
        overview.add(alignment)
    print_failures("not shown", [str(error) for error in damage])
    if not overview.rows:
        raise AlignerError(f"{args.alignments}: no alignments in it")
    _check_compared(args, overview)
    selection = Selection(args.ids, args.worst, args.limit)
    with progress_bar("drawing") as on_progress:
        report = write_report(
            args.out,
            args.title or args.alignments.resolve().name,
            overview,
            selection,
            all_of_them,
            sounds,
            refused,
            on_progress,
        )
    print_failures("without sound", by_reason(report.silent))
    return {
        "out": str(args.out),
        "page": str(args.out / PAGE),
        "utterances": report.utterances,
        "of": report.of,
        "without_sound": len(report.silent),
        "not_read": len(damage),
    }


def in_a_line(summary: dict[str, Any]) -> str:
    """What was written, in the end."""
    return f"{summary['utterances']} of {summary['of']} utterances: open {summary['page']} in a browser"


def _overview(args: argparse.Namespace, suspicions: dict[str, str]) -> "Overview":
    from aligner.formats.lookup import AlignmentLookup
    from aligner.report import Overview

    tiers = read_tiers(args.tier)
    reference = other = None
    if args.reference is not None:
        reference = AlignmentLookup(args.reference, tiers.get("words"), tiers.get("phones"))
    if args.against is not None:
        other = AlignmentLookup(args.against)
    for lookup in (reference, other):
        if lookup is not None and lookup.damage is not None:
            print(f"note: {lookup.damage}", file=sys.stderr)
    return Overview(reference, other, suspicions)


def _check_compared(args: argparse.Namespace, overview: "Overview") -> None:
    """Raise if nothing could be compared with what was given for that: it is of something else."""
    for path, compared in ((args.reference, overview.errors), (args.against, overview.differences)):
        if path is not None and not any(c.word_starts_ms or c.phones_ms for c in compared):
            raise AlignerError(
                f"{path}: nothing in it can be compared with an utterance of {args.alignments}"
            )
