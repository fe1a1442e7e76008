"""`aligner segment`: a long recording and its text, such as a chapter, cut into a corpus of utterances."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import WrongArguments, add_checkpoint, load_aligner
from aligner.commands.output import by_reason, print_failures, print_record, write_tsv
from aligner.errors import AlignerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aligner.segment import Segment

_LIST = "metadata.csv"
_FULL_SCALE = 32767  # of 16-bit samples

DESCRIPTION = """\
Cut a long recording, such as a chapter of a book, at its pauses into utterances, each with its own text.

The whole is aligned in one piece, then cut at pauses: between sentences or, where these are too long, inside
them. Each utterance is aligned again by itself; those that the text does not fit, or that no pause makes
short or long enough, are left out.

Writes a corpus in LJSpeech's layout, which `aligner prepare` reads: OUT/metadata.csv (id|text|text) and
OUT/wavs, at the recording's sample rate, channels mixed; and OUT/segments.tsv (where in the recording each
is, and its confidence) and OUT/left-out.tsv (the rest of the recording, with the reasons)."""

EPILOG = """\
examples:
  aligner segment chapter.wav chapter.txt --checkpoint en-us --out corpus
  aligner segment chapter.wav chapter.txt --checkpoint en-us --out corpus --shortest 2 --longest 8"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("recording", type=Path, metavar="CHAPTER.wav", help="sound file")
    parser.add_argument("text", type=Path, metavar="CHAPTER.txt", help="what is said in it, UTF-8")
    add_checkpoint(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help="folder to write")
    for name, default in (("--shortest", 1.0), ("--longest", 12.0)):
        what = "of an utterance (default: %(default)g)"
        parser.add_argument(name, type=float, default=default, metavar="SECONDS", help=what)
    parser.add_argument(
        "--least-odds",
        type=float,
        default=0.005,
        metavar="SHARE",
        help="leave out an utterance whose odds to fit its text are below this part of the usual ones in the "
        "recording; 0 keeps all (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Align, cut, check each utterance, write the corpus; returns the figures."""
    from aligner.formats.folder import output_folder

    if not 0 <= args.shortest < args.longest < float("inf"):
        raise WrongArguments(f"--shortest {args.shortest:g} must be less than --longest {args.longest:g}")
    if not 0 <= args.least_odds <= 1:
        raise WrongArguments(f"--least-odds {args.least_odds:g} must be from 0 to 1")
    with output_folder(args.out):
        if (args.out / _LIST).exists():
            raise AlignerError(f"{args.out} holds a corpus already ({_LIST}): choose another folder to write")
        return _segment(args)


def in_a_line(summary: dict[str, Any]) -> str:
    """What was made, in the end."""
    counts = f"{summary['utterances']} utterances cut, {summary['left_out']} left out"
    return f"{counts}: {summary['minutes']:.1f} min of audio in {summary['out']}"


def _segment(args: argparse.Namespace) -> dict[str, Any]:
    from aligner.corpus.audio import read_audio
    from aligner.corpus.checks import check_id
    from aligner.corpus.readers.files import read_text
    from aligner.corpus.readers.raw import id_of
    from aligner.segment import Limits, segment

    started_s = time.perf_counter()
    aligner = load_aligner(args)
    text = read_text(args.text)
    samples, rate_hz = read_audio(args.recording)
    limits = Limits(args.shortest, args.longest, args.least_odds)
    id = id_of(args.recording)
    check_id(id)
    try:
        found = segment(aligner, id, samples, rate_hz, text, limits)
    except AlignerError as error:
        raise AlignerError(f"{args.text}: {str(error).removeprefix(f'{id}: ')}") from error
    used = {f"{id}-{n:04d}": own for n, own in enumerate((o for o in found if not o.problem), 1)}
    left_out = [own for own in found if own.problem]
    _write(args.out, used, left_out, samples, rate_hz)
    used_s = sum(own.end_s - own.start_s for own in used.values())
    left_s = sum(own.end_s - own.start_s for own in left_out)
    seconds = time.perf_counter() - started_s
    reasons = {f"{own.start_s:.1f} to {own.end_s:.1f} s": own.problem for own in left_out}
    print_failures("left out", by_reason(reasons), args.out / "left-out.tsv")
    if not used:
        raise AlignerError(f"nothing of {args.recording} can be used: see {args.out / 'left-out.tsv'}")
    rows = [
        ("utterances", f"{len(used)}, {used_s / 60:.1f} of {len(samples) / rate_hz / 60:.1f} min"),
        ("left out", f"{len(left_out)}, {left_s / 60:.1f} min, see left-out.tsv" if left_out else "none"),
        ("next", f"aligner prepare {args.out} --out prepared"),
    ]
    print_record(f"{args.recording} cut into {args.out} in {seconds:.0f} s", rows)
    return {
        "out": str(args.out),
        "utterances": len(used),
        "left_out": len(left_out),
        "minutes": round(used_s / 60, 2),
        "seconds": round(seconds, 1),
    }


def _write(
    out: Path,
    used: "dict[str, Segment]",
    left_out: "list[Segment]",
    samples: "NDArray[np.float32]",
    rate_hz: int,
) -> None:
    """Write the corpus, its list last: a run that was killed leaves none."""
    import numpy as np

    from aligner.corpus.audio import write_wav
    from aligner.formats.atomic import atomic_write
    from aligner.formats.folder import make_folder

    pcm = (samples.clip(-1.0, 1.0) * _FULL_SCALE).round().astype(np.int16)
    make_folder(out / "wavs")
    for id, own in used.items():
        with atomic_write(out / "wavs" / f"{id}.wav") as file:
            write_wav(file, pcm[round(own.start_s * rate_hz) : round(own.end_s * rate_hz)], rate_hz)
    rows = [(f"{own.start_s:.3f}", f"{own.end_s:.3f}", own.problem, own.text) for own in left_out]
    write_tsv(out / "left-out.tsv", ("start_s", "end_s", "reason", "text"), rows)
    places = [
        (id, f"{own.start_s:.3f}", f"{own.end_s:.3f}", f"{own.score:.3f}", own.text)
        for id, own in used.items()
    ]
    write_tsv(out / "segments.tsv", ("id", "start_s", "end_s", "score", "text"), places)
    if used:
        lines = (f"{id}|{own.text}|{own.text}\n" for id, own in used.items())
        with atomic_write(out / _LIST) as file:
            file.write("".join(lines).encode())
