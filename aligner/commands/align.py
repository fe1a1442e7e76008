"""`aligner align`: when each phone and word of recordings is spoken."""

import argparse
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.align_lists import AlignmentLists
from aligner.commands.align_recordings import add_recordings, options_of_recordings, prepare_recordings
from aligner.commands.arguments import (
    WrongArguments,
    add_checkpoint,
    add_data,
    add_grid,
    add_strict,
    check_grid,
    read_device,
    read_grid,
)
from aligner.commands.export import report_refused
from aligner.commands.output import SHOWN, by_reason, print_failures, print_table, progress_bar, write_tsv
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.align_corpus import AlignedCorpus
    from aligner.align_shards import Shard
    from aligner.formats import ExportSettings

# In OUT while formats are written: a run that was killed there has left files that no list of its own names.
_EXPORTING = ".exporting"

DESCRIPTION = """\
Find the times of every phone and word of RECORDINGS, or of a prepared corpus.

RECORDINGS are sound files with their texts beside them (a.wav, a.txt), a folder or a list, all that `aligner
prepare` takes. Their texts are read as the checkpoint's were, and they are checked as `prepare` checks them:
OUT/recordings then is a prepared corpus of those that can be used, with the lists of those that cannot. With
a model that comes with this program nothing has to be trained.

Writes OUT/alignments.jsonl.gz (a lhotse manifest), OUT/confidence.tsv (utterances with the lowest confidence
first: there the text probably is not what was said), OUT/suspects.tsv (utterances with a phone of more than
1.5 s: there the times probably are wrong), OUT/gaps.tsv (utterances where words of the text are not said, or
something is said that the text lacks), OUT/failed.tsv and a folder for each --format, with what that
format refused in its refused.txt. If it is interrupted, run it again: it continues where it was and ends with
the same bytes. An utterance that cannot be aligned does not stop the others. The exit status is 1 if none can
be aligned, or a format can hold none."""

EPILOG = """\
examples:
  aligner align corpus --checkpoint en-us --out aligned
  aligner align LJ001-0001.wav --checkpoint en-us --out aligned --format textgrid
  aligner align --checkpoint runs/ljspeech/checkpoints/last.ckpt --data prepared --out aligned
  aligner align --checkpoint last.ckpt --data prepared --out aligned --format textgrid matcha
  aligner align --checkpoint last.ckpt --data prepared --out aligned --format npy textgrid \\
    --hop 256 --sample-rate 22050 --frame-rule same
  aligner align --checkpoint last.ckpt --data prepared --out aligned --shard 1/4
  aligner align --checkpoint last.ckpt --data prepared --out again --keep corrections.json

`aligner export --help` explains the formats; it can also write them later."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from aligner.formats import WRITERS

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_recordings(parser)
    add_checkpoint(parser)
    add_data(parser, required=False)
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--format",
        nargs="+",
        default=[],
        choices=list(WRITERS),
        metavar="FORMAT",
        help="also write these formats, each to OUT/FORMAT",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files in OUT/FORMAT that no earlier run wrote"
    )
    add_grid(parser)
    parser.add_argument(
        "--batch-duration",
        type=float,
        metavar="SECONDS",
        help="audio in a batch at most, padding counted (default: 200, or 1600 on a GPU)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="that align at once, with the same bytes (default: on a GPU up to 6, as many as its memory, the "
        "machine and the corpus are worth; else 1, which has threads)",
    )
    parser.add_argument(
        "--shard",
        metavar="N/OF",
        help="align one of several parts, such as 3/8, into the same OUT, each by its own process; "
        "auto: as torchrun, srun or a Slurm array numbered it. The last to end puts them together, with the "
        "same bytes as one process",
    )
    parser.add_argument(
        "--text-as-said",
        action="store_true",
        help="take every text as said, word for word: look for no words that are missing or added (gaps.tsv)",
    )
    parser.add_argument(
        "--keep",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="hold the boundaries that a person set, and align the rest around them: what was saved from the "
        "page of `aligner report`, or alignments made with such a FILE; of an utterance in several, the last",
    )
    add_strict(parser, "fail if any utterance cannot be aligned")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Align, export, list the utterances with the lowest confidence; returns the figures."""
    from aligner.align_shards import Shard, merge_shards
    from aligner.formats import ExportSettings
    from aligner.formats.folder import output_folder

    _check_form(args)
    _check_out(args.out, args.recordings)
    settings = ExportSettings(grid=read_grid(args))
    check_grid(args.format, settings.grid)
    roots = {name: args.out / name for name in args.format}
    if args.batch_duration is not None and not 0 < args.batch_duration < math.inf:
        raise AlignerError(f"--batch-duration {args.batch_duration}: must be a number above 0")
    if args.processes is not None and args.processes < 1:
        raise AlignerError(f"--processes {args.processes}: must be at least 1")
    started_s = time.perf_counter()
    shard = Shard.parse(args.shard) if args.shard else None
    corpus, lists, refused = _align(args, shard, roots, settings)
    if shard:
        failed = merge_shards(args.out, shard.of)
        if failed is None:
            return _shard_summary(shard, corpus, time.perf_counter() - started_s)
        corpus.failed = failed
    with output_folder(args.out):
        left_out = sorted([*corpus.failed.items(), *refused])
        write_tsv(args.out / "failed.tsv", ("id", "reason"), left_out)
        lists, results = _export(args.out, roots, settings, lists)
    corpus.aligned = lists.ids
    seconds = time.perf_counter() - started_s
    for note in corpus.notes:
        print(f"note: {note}", file=sys.stderr)
    n_utterances = len(corpus.aligned) + len(left_out)
    not_aligned = f"{len(left_out)} of {n_utterances} utterances not aligned"
    listing = args.out / "failed.tsv"
    if not corpus.aligned:
        id, why = next(iter(left_out), ("", "the corpus is empty"))
        raise AlignerError(f"{not_aligned}, such as {id}: {why}; see {listing}")
    _print_summary(args.out, corpus, lists)
    report_refused(results, roots, strict=False)
    if left_out and args.strict:
        raise AlignerError(f"{not_aligned}: see {listing}")
    return {
        "out": str(args.out),
        "utterances": n_utterances,
        "aligned": len(corpus.aligned),
        "failed": len(left_out),
        "suspects": len(lists.suspects),
        "gaps": len(lists.gaps),
        "refused": {name: len(result["refused"]) for name, result in results.items()},
        "hours": round(corpus.audio_s / 3600, 4),
        "seconds": round(seconds, 1),
    }


def in_a_line(summary: dict[str, Any]) -> str:
    """What was done, in the end."""
    counts = f"{summary['aligned']} utterances aligned, {summary['failed']} not"
    if "shard" in summary:
        which = f"shard {summary['shard']} of {summary['of']}"
        return f"{which}: {counts}, in {summary['seconds']:.0f} s; the last shard to end puts all together"
    return f"{counts}: {60 * summary['hours']:.1f} min of audio in {summary['seconds']:.0f} s"


def _check_form(args: argparse.Namespace) -> None:
    """Check that either recordings are given or a prepared corpus.

    Raises:
        WrongArguments: Both are, or neither, or options of the one with the other.
    """
    own = options_of_recordings(args)
    if not args.recordings and args.data is None:
        raise WrongArguments("say what to align: RECORDINGS, or --data with a prepared corpus")
    if args.recordings and args.data is not None:
        raise WrongArguments("cannot combine RECORDINGS with --data: give one of them")
    if args.data is not None and own:
        raise WrongArguments(f"{own[0]} is about RECORDINGS, and --data has been read by `aligner prepare`")
    if args.recordings and args.shard:
        raise WrongArguments("--shard needs --data: a prepared corpus, which all shards read")


def _check_out(out: Path, recordings: list[Path]) -> None:
    """Refuse to write among what is read: what then reads the folder cannot tell what is what.

    Raises:
        AlignerError: It is a prepared corpus, or the folder of the recordings.
    """
    from aligner.corpus.prepared import INFO

    if (out / INFO).exists():
        raise AlignerError(f"--out {out} is a prepared corpus: name another folder for the alignments")
    if out.resolve() in [path.resolve() for path in recordings]:
        raise AlignerError(f"--out {out} holds the recordings: name another folder for the alignments")


def _align(
    args: argparse.Namespace, shard: "Shard | None", roots: dict[str, Path], settings: "ExportSettings"
) -> tuple["AlignedCorpus", AlignmentLists, list[tuple[str, str]]]:
    """Align what is not aligned yet.

    Returns:
        What became of all, the lists of what was aligned now, and the recordings that could not be read, each
        with the reason.
    """
    from aligner.align_corpus import align_corpus
    from aligner.align_shards import own_gpu
    from aligner.checkpoint import find_checkpoint
    from aligner.formats.folder import output_folder

    checkpoint, device = find_checkpoint(args.checkpoint), read_device(args)
    if shard and device == "cuda":
        device = own_gpu()
    lists = AlignmentLists()
    data: Path = args.data
    refused: list[tuple[str, str]] = []
    with output_folder(args.out, shard.name if shard else ""):
        if args.recordings:
            data, refused = prepare_recordings(args, checkpoint)
        if roots:
            _check_names(data, roots, settings, args.overwrite or (args.out / _EXPORTING).exists())
        with progress_bar("aligning (s)") as on_progress:
            corpus = align_corpus(
                args.checkpoint,
                data,
                args.out,
                device=device,
                batch_duration_s=args.batch_duration,
                trust=args.trust,
                shard=shard,
                keep=args.keep,
                text_as_said=args.text_as_said,
                processes=args.processes,
                on_progress=on_progress,
                on_aligned=lists.add,
            )
    lists.complete = not shard and lists.ids == corpus.aligned
    return corpus, lists, refused


def _shard_summary(shard: "Shard", corpus: "AlignedCorpus", seconds: float) -> dict[str, Any]:
    """The figures of one shard while others are still to come."""
    return {
        "shard": shard.number,
        "of": shard.of,
        "aligned": len(corpus.aligned),
        "failed": len(corpus.failed),
        "seconds": round(seconds, 1),
    }


def _check_names(data: Path, roots: dict[str, Path], settings: "ExportSettings", overwrite: bool) -> None:
    """Look at the names of the files of all formats before any work.

    Raises:
        AlignerError: Two utterances would have one file, or files of somebody else are in the way.
    """
    from aligner.alignment import Alignment
    from aligner.corpus.prepared import iter_utterances
    from aligner.formats import check_outputs

    named = (Alignment(u.id, u.duration_s, (), (), u.speaker) for u in iter_utterances(data))
    check_outputs(named, roots, settings, overwrite=overwrite)


def _export(
    out: Path, roots: dict[str, Path], settings: "ExportSettings", lists: AlignmentLists
) -> tuple[AlignmentLists, dict[str, dict[str, Any]]]:
    """Write formats and lists; returns the lists of all utterances in the manifest, and formats' figures.

    Args:
        out: Where the manifest is.
        roots: The folder of each format.
        settings: Of the formats.
        lists: Of the utterances aligned just now; what else the manifest has is read from it.
    """
    from aligner.formats import MANIFEST, Exported, export, read_alignments

    results: dict[str, Exported] = {}
    if (out / MANIFEST).exists():
        (out / _EXPORTING).touch()
        whole = True
        try:
            if roots or not lists.complete:
                lists = AlignmentLists()
                results = export(lists.noting(read_alignments(out / MANIFEST)), roots, settings)
        except OSError:  # on a full disk the folders' lists of what was written may not be there either
            whole = False
            raise
        finally:  # but where the process is killed
            if whole:
                (out / _EXPORTING).unlink()
    lists.write(out)
    return lists, {name: asdict(result) for name, result in results.items()}


def _print_summary(
    out: Path,
    corpus: "AlignedCorpus",
    lists: AlignmentLists,
) -> None:
    from aligner.confidence import LONGEST_PHONE_S

    suspects = lists.suspects
    print_table(("lowest confidence", "score", "words"), lists.rows[:SHOWN], title=f"aligned in {out}")
    print_failures("not aligned", by_reason(corpus.failed), out / "failed.tsv")
    if suspects:
        (id, what), listing = suspects[0], out / "suspects.tsv"
        have = "utterance has" if len(suspects) == 1 else "utterances have"
        print(
            f"{len(suspects)} {have} a phone of more than {LONGEST_PHONE_S} s, such as {id} ({what}): its "
            f"times are probably wrong; see {listing}",
            file=sys.stderr,
        )
    if lists.gaps:
        (id, what), listing = lists.gaps[0], out / "gaps.tsv"
        in_one = "In one utterance" if len(lists.gaps) == 1 else f"In {len(lists.gaps)} utterances"
        print(f"{in_one} text and audio differ, such as {id}: {what}; see {listing}", file=sys.stderr)
