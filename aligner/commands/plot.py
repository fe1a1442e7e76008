"""`aligner plot`: a picture of one alignment, for a paper, a slide or a log."""

import argparse
import sys
import warnings
from collections import defaultdict
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
from aligner.errors import AlignerError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aligner.aligner import Aligner
    from aligner.alignment import Alignment
    from aligner.corpus.recording import Recording

_SHOWN = ("alignment", "matrix", "durations")

DESCRIPTION = """\
Draw one utterance as PNG, SVG or PDF:

  alignment  words, log-mel spectrogram, phones and their scores over the time in seconds
  matrix     the log-likelihood of every frame in every token, and the best path through it, as in the papers
             of Glow-TTS and Super-MAS; needs a --checkpoint
  durations  how long each phone is, and how long the same phone is elsewhere in ALIGNMENTS: the red line has
             90 of 100 of them, the mark their median

The utterance is a recording with its --text, to be aligned by a --checkpoint; or an id of a prepared corpus,
to be aligned, too; or an id of alignments that are there."""

EPILOG = """\
examples:
  aligner plot LJ001-0002 --alignments aligned --out alignment.pdf
  aligner plot LJ001-0002 --alignments aligned --show durations --out durations.svg
  aligner plot mine.wav --text "same team" --checkpoint last.ckpt
  aligner plot u00 --data prepared --checkpoint last.ckpt --show matrix --out matrix.pdf"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which utterance, where it is from, and what of it to draw."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("utterance", metavar="AUDIO|UTTERANCE", help="a recording, or an utterance's id")
    parser.add_argument(
        "--show", choices=_SHOWN, default=_SHOWN[0], help="what to draw (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the picture, .png, .svg or .pdf (default: UTTERANCE-SHOW.png, in this folder)",
    )
    there = parser.add_argument_group("alignments that are there")
    there.add_argument("--alignments", type=Path, metavar="ALIGNMENTS", help=ALIGNMENTS)
    there.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="the recordings: a prepared corpus, or a folder of sound files named by utterance id (default: "
        "those that the alignments name)",
    )
    new = parser.add_argument_group("to align now")
    add_checkpoint(new, required=False)
    add_data(new, required=False)
    new.add_argument("--text", help="what is said in AUDIO")
    parser.add_argument(
        "--reference", type=Path, metavar="DIR", help="known times, drawn as dashed lines (alignment)"
    )
    add_tiers(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw it; returns what was drawn and where."""
    from aligner.formats.writer import safe_name
    from aligner.plot import picture_format, save_picture

    _check_form(args)
    out = args.out or Path(f"{safe_name(_id(args))}-{args.show}.png")
    picture_format(out)
    id, figure = _of_alignments(args) if args.alignments else _aligned_now(args)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out.parent.mkdir(parents=True, exist_ok=True)
        save_picture(figure, out)
    if any("missing from font" in str(warning.message) for warning in caught):
        print("note: matplotlib's font lacks some characters; they are drawn as boxes", file=sys.stderr)
    return {"out": str(out), "utterance": id, "show": args.show}


def in_a_line(summary: dict[str, Any]) -> str:
    """What was drawn, in the end."""
    return f"{summary['show']} of {summary['utterance']}: {summary['out']}"


def _id(args: argparse.Namespace) -> str:
    """The utterance's id: what was named, or, where that is a recording, its name."""
    path = Path(args.utterance)
    return path.stem if path.is_file() else args.utterance


def _check_form(args: argparse.Namespace) -> None:
    """Say what is missing, or goes with something else, before anything is loaded."""
    is_file = Path(args.utterance).is_file()
    if args.alignments and (args.checkpoint or args.data or args.text):
        raise WrongArguments(
            "either --alignments, which are there, or a --checkpoint with --data or --text, to align now"
        )
    if args.alignments and args.show == "matrix":
        raise WrongArguments("--show matrix: alignments hold no likelihoods; name a --checkpoint and --data")
    if args.reference and args.show != "alignment":
        raise WrongArguments(f"--reference: is not drawn with --show {args.show}")
    if args.alignments:
        return
    if not args.checkpoint:
        raise WrongArguments(
            f"{args.utterance}: name the --alignments that it is in, or a --checkpoint to align it with"
        )
    if bool(args.data) == bool(args.text):
        raise WrongArguments("with a --checkpoint name either the corpus, --data, or AUDIO's own --text")
    if args.text and not is_file:
        raise AlignerError(f"{args.utterance}: no such recording")


def _of_alignments(args: argparse.Namespace) -> "tuple[str, Figure]":
    """A picture of an utterance of alignments that are there."""
    from aligner.formats import read
    from aligner.plot import plot_durations
    from aligner.report import Sounds

    found, ids = None, []
    lengths_s: dict[str, list[float]] = defaultdict(list)
    for alignment in read(args.alignments, on_error=lambda error: None):
        ids.append(alignment.id)
        if alignment.id == _id(args):
            found = alignment
            if args.show != "durations":
                break
        for token in alignment.tokens:
            lengths_s[token.symbol].append(token.end_s - token.start_s)
    if found is None:
        near = did_you_mean(_id(args), ids)
        raise AlignerError(f"{_id(args)}: no such utterance that can be read in {args.alignments}{near}")
    if args.show == "durations":
        return found.id, plot_durations(found, lengths_s, found.id)
    try:
        audio, rate_hz = Sounds(args.alignments, args.audio).read(found)
    except AlignerError as error:
        raise AlignerError(f"{found.id}: {error}") from error
    return found.id, _with_reference(args, found, audio, rate_hz)


def _aligned_now(args: argparse.Namespace) -> "tuple[str, Figure]":
    """A picture of an utterance that a checkpoint aligns."""
    from aligner.plot import MOST_FRAMES, plot_durations, plot_likelihoods

    aligner = load_aligner(args)
    recording = aligner.recording(args.utterance, args.text) if args.text else _of_corpus(args, aligner)
    id = recording.id
    if args.show == "matrix":
        return id, plot_likelihoods(aligner.likelihoods(recording, MOST_FRAMES), id)
    (alignment,) = aligner.align_batch([recording])
    if args.show == "durations":
        return id, plot_durations(alignment, {}, id)
    rate_hz = aligner.frontend.sample_rate_hz
    return id, _with_reference(args, alignment, recording.audio.numpy(), rate_hz)


def _of_corpus(args: argparse.Namespace, aligner: "Aligner") -> "Recording":
    from aligner.align_corpus import check_reading
    from aligner.corpus.prepared import load_info, load_lengths, load_utterances
    from aligner.corpus.recording import load_recording

    for note in check_reading(aligner, load_info(args.data), args.checkpoint, str(args.data)):
        print(f"note: {note}", file=sys.stderr)
    found = load_utterances(args.data, {_id(args)})
    if not found:
        near = did_you_mean(_id(args), load_lengths(args.data))
        raise AlignerError(f"{_id(args)}: no such utterance in {args.data}{near}")
    return load_recording(found[0], aligner.frontend.sample_rate_hz)


def _with_reference(
    args: argparse.Namespace, alignment: "Alignment", audio: Any, sample_rate_hz: int
) -> "Figure":
    from aligner.formats import AlignmentLookup, NoMatch
    from aligner.plot import plot_alignment

    reference = None
    if args.reference:
        tiers = read_tiers(args.tier)
        try:
            lookup = AlignmentLookup(args.reference, tiers.get("words"), tiers.get("phones"))
            reference = lookup.find(alignment.id)
        except NoMatch as error:
            raise AlignerError(f"--reference {args.reference}: {alignment.id}: {error}") from error
    return plot_alignment(alignment, audio, sample_rate_hz, reference)
