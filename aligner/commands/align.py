"""`aligner align`: when every phone and word of a prepared corpus is spoken."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.export import add_grid_arguments, read_grid
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from lhotse.cut import Cut

    from aligner.alignment import Alignment
    from aligner.corpus.prepared import Utterance
    from aligner.formats import AlignmentWriter, ExportSettings
    from aligner.training.module import Aligner

SOURCE = "source.json"
_SHOWN = 10
_WORST_WORDS = 5

DESCRIPTION = """\
Find the times of every phone and word of what `aligner prepare` wrote.

Writes OUT/alignments.jsonl.gz (a lhotse manifest), OUT/confidence.tsv (the least sure first: their texts
probably are not what was said), OUT/failed.tsv and a folder for each --format. Interrupted and run again it
goes on where it was and ends with the same bytes; one utterance that cannot be aligned does not stop the
others."""

EPILOG = """\
examples:
  aligner align --checkpoint runs/ljspeech/checkpoints/last.ckpt --data prepared --out aligned
  aligner align --checkpoint last.ckpt --data prepared --out aligned --format textgrid fastspeech2
  aligner align --checkpoint last.ckpt --data prepared --out aligned --format npy textgrid \\
    --hop 256 --sample-rate 22050 --frame-rule tiled

`aligner export --help` explains the formats; it can write them later, too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from aligner.formats import WRITERS

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="CKPT", help="of `aligner fit`")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DIR", help="what `aligner prepare` wrote"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--format",
        nargs="+",
        default=[],
        choices=list(WRITERS),
        metavar="FORMAT",
        help="written to OUT/FORMAT",
    )
    add_grid_arguments(parser)
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda where there is one)")
    parser.add_argument(
        "--batch-duration",
        type=float,
        default=200.0,
        metavar="SECONDS",
        help="audio aligned at once, padding counted (default: %(default)s)",
    )
    parser.add_argument(
        "--trust", action="store_true", help="allow the checkpoint classes from outside this package"
    )
    parser.add_argument("--strict", action="store_true", help="fail if any utterance cannot be aligned")


@dataclass
class Outcome:
    """What became of a corpus: ids aligned, and for each id that was not the reason."""

    aligned: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Align, export, list the least sure; return the figures."""
    import time

    import torch

    from aligner.corpus.prepared import load_cuts
    from aligner.formats import MANIFEST, ExportSettings
    from aligner.training.module import Aligner

    settings = ExportSettings(grid=read_grid(args))
    if "npy" in args.format and settings.grid is None:
        raise AlignerError("--format npy: say --hop, --sample-rate and --frame-rule, or a --preset")
    if args.batch_duration <= 0:
        raise AlignerError(f"--batch-duration {args.batch_duration}: must be above 0")
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    started_s = time.perf_counter()
    aligner = Aligner.load(args.checkpoint, _checked_device(device), trust=args.trust)
    utterances = load_cuts(args.data)
    _check_source(args.out, args.checkpoint, args.data, args.batch_duration)

    outcome = align_corpus(aligner, utterances, args.data, args.out, args.batch_duration)
    _write_table(args.out / "failed.tsv", ("id", "reason"), sorted(outcome.failed.items()))
    rows: list[tuple[str, str, str]] = []
    refused: dict[str, list[str]] = {}
    if outcome.aligned:
        rows, refused = _export(args.out / MANIFEST, args.format, settings)
    _write_table(args.out / "confidence.tsv", ("id", "score", "least sure words"), rows)
    seconds = time.perf_counter() - started_s
    _print_summary(args.out, outcome, rows, refused, sum(u.duration_s for u in utterances), seconds)
    if outcome.failed and (args.strict or not outcome.aligned):
        failed = f"{len(outcome.failed)} of {len(utterances)} utterances not aligned"
        raise AlignerError(f"{failed}: see {args.out / 'failed.tsv'}")
    return {
        "out": str(args.out),
        "utterances": len(utterances),
        "aligned": len(outcome.aligned),
        "failed": len(outcome.failed),
        "refused": {name: len(reasons) for name, reasons in refused.items()},
        "hours": round(sum(u.duration_s for u in utterances) / 3600, 4),
        "seconds": round(seconds, 1),
    }


def align_corpus(
    aligner: "Aligner",
    utterances: "Sequence[Utterance]",
    data: Path,
    out: Path,
    batch_duration_s: float,
) -> Outcome:
    """Align into `out`'s manifest what is not in it yet.

    Which utterances share a batch depends on the corpus alone, not on what is done already: the last bits of
    a result may depend on the batch. A batch that fails is done again one by one.
    """
    from aligner.formats import MANIFEST, AlignmentWriter

    outcome = Outcome()
    cuts = _cuts(data)
    with AlignmentWriter(out / MANIFEST) as writer, _progress(utterances) as advance:
        outcome.aligned |= writer.done
        for batch in batches(utterances, batch_duration_s):
            missing = [utterance for utterance in batch if utterance.id not in outcome.aligned]
            if missing:
                _align_batch(aligner, batch, missing, cuts, writer, outcome)
            advance(sum(utterance.duration_s for utterance in batch))
    return outcome


def batches(utterances: "Sequence[Utterance]", duration_s: float) -> "Iterator[list[Utterance]]":
    """Utterances of like length together, the longest first, each batch at most `duration_s` with padding (or
    one utterance).
    """
    batch: list[Utterance] = []
    for utterance in sorted(utterances, key=lambda u: (-u.duration_s, u.id)):
        if batch and batch[0].duration_s * (len(batch) + 1) > duration_s:
            yield batch
            batch = []
        batch.append(utterance)
    if batch:
        yield batch


def _align_batch(
    aligner: "Aligner",
    batch: "list[Utterance]",
    missing: "list[Utterance]",
    cuts: "dict[str, Cut]",
    writer: "AlignmentWriter",
    outcome: Outcome,
) -> None:
    try:
        alignments = aligner.align_utterances(batch)
    except (AlignerError, ValueError, RuntimeError, OSError) as error:  # RuntimeError: also out of memory
        if len(batch) > 1:
            for utterance in missing:
                _align_batch(aligner, [utterance], [utterance], cuts, writer, outcome)
            return
        reason = str(error).removeprefix(f"{batch[0].id}: ")
        outcome.failed[batch[0].id] = reason or type(error).__name__
        return
    wanted = {utterance.id for utterance in missing}
    for alignment in alignments:
        if alignment.id in wanted:
            writer.write(alignment, cuts[alignment.id])
            outcome.aligned.add(alignment.id)


def _cuts(data: Path) -> "dict[str, Cut]":
    """The corpus' cuts by id, their audio named so that it is found from anywhere."""
    from lhotse import CutSet

    from aligner.corpus.prepared import CUTS

    cuts = {cut.id: cut for cut in CutSet.from_file(data / CUTS)}
    for cut in cuts.values():
        for source in cut.recording.sources:  # type: ignore[attr-defined]
            source.source = str((data / source.source).resolve())
    return cuts


def _checked_device(device: str) -> str:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise AlignerError(f"--device {device}: {str(error).splitlines()[0]}") from error
    return device


def _check_source(out: Path, checkpoint: Path, data: Path, batch_duration_s: float) -> None:
    """Note in `out` what its alignments are made of; raise AlignerError if they are of something else."""
    from aligner.corpus.prepared import CUTS
    from aligner.formats.atomic import whole_file

    source = {
        "checkpoint_sha256": _sha256(checkpoint),
        "cuts_sha256": _sha256(data / CUTS),
        "batch_duration_s": batch_duration_s,
    }
    path = out / SOURCE
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != source:
            raise AlignerError(
                f"{out} holds alignments by another checkpoint, of another corpus or with another "
                "--batch-duration; choose another --out, or delete it"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(source, indent=1).encode() + b"\n")


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _export(
    manifest: Path, formats: Sequence[str], settings: "ExportSettings"
) -> tuple[list[tuple[str, str, str]], dict[str, list[str]]]:
    """Write the formats; returns the rows of confidence.tsv and what each format refused."""
    from aligner.formats import export, read_alignments

    scored: list[tuple[float, tuple[str, str, str]]] = []

    def noted(alignments: "Iterable[Alignment]") -> "Iterator[Alignment]":
        for alignment in alignments:
            score = 1.0 if alignment.score is None else alignment.score
            scored.append((score, (alignment.id, f"{score:.3f}", _least_sure_words(alignment))))
            yield alignment

    roots = {name: manifest.parent / name for name in formats}
    results = export(noted(read_alignments(manifest)), roots, settings)
    return [row for _, row in sorted(scored)], {name: result.refused for name, result in results.items()}


def _least_sure_words(alignment: "Alignment") -> str:
    scored = sorted((w.score, w.start_s, w.symbol) for w in alignment.words if w.score is not None)
    return " ".join(f"{symbol}:{score:.2f}" for score, _, symbol in scored[:_WORST_WORDS])


def _write_table(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from aligner.formats.atomic import whole_file

    with whole_file(path) as file:
        for row in (header, *rows):
            file.write("\t".join(" ".join(cell.split()) for cell in row).encode() + b"\n")


def _progress(utterances: "Sequence[Utterance]"):
    """A context manager that gives `advance(seconds of audio)`, with a bar on stderr if somebody watches."""
    import contextlib

    from rich.console import Console
    from rich.progress import Progress

    @contextlib.contextmanager
    def bar():
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            task = progress.add_task("aligning", total=sum(u.duration_s for u in utterances))
            yield lambda seconds: progress.advance(task, seconds)

    return bar()


def _print_summary(
    out: Path,
    outcome: Outcome,
    rows: Sequence[tuple[str, str, str]],
    refused: dict[str, list[str]],
    audio_s: float,
    seconds: float,
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table("least sure", "score", "words", title=f"aligned in {out}", title_justify="left")
    for row in rows[:_SHOWN]:
        table.add_row(*map(escape, row))
    console.print(table)
    for id, reason in list(outcome.failed.items())[:_SHOWN]:
        print(f"not aligned: {id}: {reason}", file=sys.stderr)
    for name, reasons in refused.items():
        for reason in reasons[:_SHOWN]:
            print(f"refused by {name}: {reason}", file=sys.stderr)
    counts = f"{len(outcome.aligned)} utterances aligned, {len(outcome.failed)} not"
    print(f"{counts}: {audio_s / 60:.1f} min of audio in {seconds:.0f} s")
