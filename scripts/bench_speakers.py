"""Errors on unheard voices: each speaker of a corpus is aligned by an aligner that never heard him.

    python scripts/bench_speakers.py --data timit --more kathleen
    python scripts/bench_speakers.py --data timit --more kathleen --accelerator gpu --device cuda --out table
    python scripts/bench_speakers.py --data timit --more kathleen --more-utterances 100   # in less time

For each speaker of a prepared corpus with known times, an aligner is trained on the other speakers and on the
corpora of --more (all prepared alike), and aligns that speaker's utterances. Prints, and writes into --out if
it is given, the errors of each and of all together, as `aligner evaluate` counts them.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aligner import Aligner
from aligner.align_batches import batches
from aligner.alignment import Alignment
from aligner.commands.output import print_table, progress
from aligner.corpus.prepared import (
    CorpusInfo,
    Utterance,
    evenly_spread,
    load_info,
    load_utterances,
    save_corpus,
)
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.evaluate import evaluate
from aligner.formats import AlignmentLookup

SHOWN = ("n", "mean_ms", "median_ms", "within_20ms", "beyond_100ms")


def main() -> int:
    """Train and measure once for each speaker."""
    args = arguments()
    utterances, more = load_utterances(args.data), []
    info = load_info(args.data)
    for corpus in args.more:
        info = together(info, load_info(corpus), corpus)
        own = load_utterances(corpus)
        more += evenly_spread(own, args.more_utterances or len(own))
    known = [utterance for utterance in utterances if utterance.reference is not None]
    speakers = sorted({utterance.speaker for utterance in known})
    if len(speakers) < 2:
        raise AlignerError(f"{args.data}: two speakers with known times are needed")
    alignments: list[Alignment] = []
    for speaker in progress(args.speakers or speakers, "speakers"):
        heard = [*more, *(utterance for utterance in utterances if utterance.speaker != speaker)]
        unheard = [utterance for utterance in known if utterance.speaker == speaker]
        if not unheard:
            raise AlignerError(f"{args.data}: no speaker {speaker!r} with known times")
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = trained(args, heard, info, Path(folder))
            alignments += aligned(Aligner.load(checkpoint, args.device), unheard)
    references = {utterance.id: utterance.reference for utterance in known}
    measured = [own for own in (references[alignment.id] for alignment in alignments) if own is not None]
    summary = evaluate(alignments, AlignmentLookup(args.data, alignments=measured))
    rows = [
        [name, level, *(str(figures[level][shown]) for shown in SHOWN)]
        for name, figures in [("all", summary), *summary["speakers"].items()]
        for level in ("words", "phones")
        if figures[level]["n"]
    ]
    print_table(["speaker", "", *SHOWN], rows, title=f"{args.config}, unheard speakers", figures=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "speakers.json").write_text(json.dumps(summary, indent=1))
        lines = ["\t".join(row) + "\n" for row in (["speaker", "level", *SHOWN], *rows)]
        (args.out / "speakers.tsv").write_text("".join(lines))
    return 0


def together(one: CorpusInfo, other: CorpusInfo, name: Path) -> CorpusInfo:
    """What two corpora hold that are prepared alike."""
    if not one.reading.agrees(other.reading):
        raise AlignerError(f"{name} is of texts read by {other.reading}, the others by {one.reading}")
    pause = one.symbols[0]
    symbols = sorted((set(one.symbols) | set(other.symbols)) - {pause})
    return replace(one, symbols=(pause, *symbols))


def trained(args: argparse.Namespace, heard: Sequence[Utterance], info: CorpusInfo, folder: Path) -> Path:
    """The checkpoint of an aligner that heard these utterances."""
    from aligner.training.lightning_cli import find_config, train

    save_corpus(folder / "prepared", heard, info)
    settings = ["--data.data_dir", str(folder / "prepared"), "--trainer.accelerator", args.accelerator]
    settings += ["--seed_everything", str(args.seed)]
    return Path(train([find_config(args.config)], settings, folder / "run")["checkpoint"])


def aligned(aligner: Aligner, utterances: Sequence[Utterance]) -> list[Alignment]:
    """Their alignments."""
    by_id = {utterance.id: utterance for utterance in utterances}
    rate_hz = aligner.frontend.sample_rate_hz
    return [
        alignment
        for batch in batches({utterance.id: utterance.duration_s for utterance in utterances})
        for alignment in aligner.align_batch([load_recording(by_id[id], rate_hz) for id in batch])
    ]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="a prepared corpus with known times")
    parser.add_argument(
        "--more", nargs="*", default=[], type=Path, metavar="DATA", help="prepared corpora to train on, too"
    )
    parser.add_argument(
        "--more-utterances", type=int, metavar="N", help="of each of these, evenly spread (default: all)"
    )
    parser.add_argument("--speakers", nargs="+", metavar="SPEAKER", help="measure these (default: all)")
    parser.add_argument("--config", default="ljspeech", help="of `aligner fit` (default: %(default)s)")
    parser.add_argument("--accelerator", default="cpu", help="of the training (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="of the alignment (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder for speakers.tsv and speakers.json")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AlignerError as error:
        sys.exit(f"bench_speakers: {error}")
