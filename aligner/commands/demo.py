"""`aligner demo`: every step once, on synthetic speech whose phone times are known."""

import argparse
import contextlib
import importlib
import io
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.output import print_record
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.alignment import Alignment

MARKER = "demo.json"
WORST_SHARE = 1 / 3  # of the uniform split's error; anything above is no alignment worth the name
_UTTERANCES = 60
_ENOUGH_UTTERANCES = 30  # fewer than these have gone wrong without anything being broken
_PARTS = ("corpus", "prepared", "run", "aligned")

DESCRIPTION = """\
Make a small corpus with eSpeak NG, which says when it starts each phone; prepare it, train on it (on audio
and tokens alone), align it, and measure against those times. Fails unless that is far better than giving
every token an equal share; of fewer than 30 sentences nothing can be told, and that is said.

Takes a few minutes on two CPU cores and needs the extra `espeak`: pip install 'mas-aligner[espeak]'"""

NEXT = """\
  lhotse download ljspeech .
  aligner prepare LJSpeech-1.1 --out prepared
  aligner fit --config ljspeech --data prepared --out runs/ljspeech
  aligner align --checkpoint runs/ljspeech/checkpoints/last.ckpt --data prepared --out aligned"""

EPILOG = """\
examples:
  aligner demo --out demo
  aligner demo --out demo-de --language de
  aligner demo --out demo-many --utterances 120 --speeds 110 165 250 \\
    --voices en-us en-us+f1 en-us+m1 en-us+m3 en-us+m5 en-us+steph en-us+linda en-us+Alex"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--utterances",
        type=int,
        default=_UTTERANCES,
        metavar="N",
        help="sentences to speak (default: %(default)s)",
    )
    parser.add_argument(
        "--language", choices=("en-us", "de"), default="en-us", help="of the sentences (default: %(default)s)"
    )
    parser.add_argument(
        "--voices",
        nargs="+",
        metavar="VOICE",
        help="eSpeak NG's, with or without +VARIANT, by turns (default: four of the language)",
    )
    parser.add_argument(
        "--speeds",
        nargs="+",
        type=int,
        metavar="WPM",
        help="words a minute, drawn for each sentence (default: 140 165 190)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All steps, one table, and the figures."""
    from aligner.corpus.synthetic import LANGUAGES, SPEEDS_WPM, synthesise_corpus
    from aligner.evaluate import evaluate
    from aligner.formats import MANIFEST, AlignmentLookup, read_alignments

    started_s = time.perf_counter()
    out: Path = args.out
    _clear(out)
    _announce(f"speaking {args.utterances} sentences")
    voices, sentences = LANGUAGES[args.language]
    spoken = synthesise_corpus(
        out / "corpus",
        args.utterances,
        args.voices or voices,
        args.speeds or SPEEDS_WPM,
        sentences=sentences,
    )
    tokens = str(out / "corpus" / "tokens.txt")
    prepared, trained, aligned = str(out / "prepared"), str(out / "run"), str(out / "aligned")
    _command("prepare", tokens, "--phonemizer", "tokens", "--pause-symbols", "sil", "--out", prepared)
    fitted = _command("fit", "--config", "demo", "--data", prepared, "--out", trained)
    to = ["--format", "npy", "textgrid", "--preset", "vits", "--out", aligned]
    _command("align", "--checkpoint", fitted["checkpoint"], "--data", prepared, *to)
    figures = _command("evaluate", aligned, "--reference", prepared)

    alignments = list(read_alignments(out / "aligned" / MANIFEST))
    uniform = evaluate(map(uniform_split, alignments), AlignmentLookup(prepared))
    exact = {utterance.alignment.id: utterance.alignment for utterance in spoken}
    picture = _draw_typical(alignments, exact, out / "alignment.png")
    seconds = time.perf_counter() - started_s
    summary = {
        "phone_error_ms": figures["phones"]["mean_ms"],
        "uniform_error_ms": uniform["phones"]["mean_ms"],
        "seconds": round(seconds, 1),
        "utterances": len(alignments),
        "out": str(out),
    }
    _print_summary(alignments, figures["phones"], uniform["phones"], fitted, summary, picture)
    _save(out / MARKER, summary)
    _judge(summary)
    return summary


def in_a_line(summary: dict[str, Any]) -> str:
    """How it went, in the end."""
    did = f"{summary['utterances']} sentences spoken, learnt and aligned in {summary['seconds']:.0f} s"
    found_ms, uniform_ms = summary["phone_error_ms"], summary["uniform_error_ms"]
    return f"{did}: mean phone error {found_ms:.1f} ms, of a uniform split {uniform_ms:.1f} ms"


def _judge(summary: dict[str, Any]) -> None:
    """Say whether the error is far below a uniform split's.

    Raises:
        AlignerError: It is not, and there were sentences enough to learn from.
    """
    found_ms, uniform_ms = summary["phone_error_ms"], summary["uniform_error_ms"]
    if found_ms <= WORST_SHARE * uniform_ms:
        return
    figures = (
        f"a mean phone error of {found_ms:.1f} ms is not far better than the {uniform_ms:.1f} ms of a "
        "uniform split"
    )
    if summary["utterances"] >= _ENOUGH_UTTERANCES:
        raise AlignerError(f"{figures}: something is broken here")
    print(
        f"note: {figures}; {summary['utterances']} sentences are too few to tell whether anything is wrong, "
        f"try {_UTTERANCES}",
        file=sys.stderr,
    )


def uniform_split(alignment: "Alignment") -> "Alignment":
    """The same tokens, each with the same share of the utterance."""
    import numpy as np

    from aligner.alignment import Alignment

    return Alignment.from_boundaries(
        alignment.id,
        [token.symbol for token in alignment.tokens],
        [token.word for token in alignment.tokens],
        [word.symbol for word in alignment.words],
        np.linspace(0, alignment.duration_s, len(alignment.tokens) + 1),
        alignment.duration_s,
        speaker=alignment.speaker,
    )


def _clear(out: Path) -> None:
    """Make room for a demo: what an earlier one left is removed, anything else is left alone."""
    if out.exists() and not (out.is_dir() and ((out / MARKER).is_file() or not any(out.iterdir()))):
        raise AlignerError(f"{out} is there and not from an earlier demo; choose another folder with --out")
    for part in _PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    _save(out / MARKER, {})


def _command(name: str, *arguments: str) -> dict[str, Any]:
    """Run another command as the user would, its tables left out; returns its figures."""
    from aligner.cli import build_parser

    _announce(f"aligner {name} {' '.join(arguments)}")
    args = build_parser(name).parse_args([name, *arguments])
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(f"aligner.commands.{name}").run(args)


def _announce(step: str) -> None:
    print(f"demo: {step}", flush=True)


def _draw_typical(alignments: "list[Alignment]", exact: "dict[str, Alignment]", path: Path) -> str:
    """A picture of the alignment whose error is in the middle of all; returns its id."""
    import numpy as np

    from aligner.corpus.audio import read_audio
    from aligner.evaluate import compare
    from aligner.plot import plot_alignment, save_picture

    by_error = sorted(alignments, key=lambda a: float(np.mean(np.abs(compare(a, exact[a.id]).phones_ms))))
    typical = by_error[len(by_error) // 2]
    audio, sample_rate_hz = read_audio(typical.audio)
    title = f"{exact[typical.id].text}  (of all alignments the one with the median error)"
    save_picture(plot_alignment(typical, audio, sample_rate_hz, exact[typical.id], title), path)
    return typical.id


def _save(path: Path, summary: dict[str, Any]) -> None:
    from aligner.formats.atomic import atomic_write

    with atomic_write(path) as file:
        file.write(json.dumps(summary).encode() + b"\n")


def _print_summary(
    alignments: "list[Alignment]",
    found: dict[str, Any],
    uniform: dict[str, Any],
    fitted: dict[str, Any],
    summary: dict[str, Any],
    picture: str,
) -> None:
    out = summary["out"]
    minutes = sum(alignment.duration_s for alignment in alignments) / 60
    speakers = len({alignment.speaker for alignment in alignments})
    rows = [
        ("spoken", f"{len(alignments)} sentences, {minutes:.1f} min, {speakers} voices of eSpeak NG"),
        ("trained", f"{fitted['epochs']} epochs on audio and tokens, {fitted['seconds']:.0f} s"),
    ]
    for name, figures in (("phones found", found), ("uniform split", uniform)):
        within = f"{figures['within_20ms']:.0f} % within 20 ms"
        spread = f"median {figures['median_ms']:.1f} ms, {within} of the exact times"
        rows.append((name, f"{figures['mean_ms']:.1f} ms mean error of {figures['n']} boundaries; {spread}"))
    files = {
        "alignment.png": f"picture of {picture}",
        "aligned/textgrid": "for Praat",
        "aligned/npy": "durations in VITS's frames",
        "aligned/alignments.jsonl.gz": "times and scores of every phone and word",
        "run/checkpoints/last.ckpt": "the aligner",
    }
    rows.append(("took", f"{summary['seconds']:.0f} s in all"))
    rows.append(("files", "\n".join(f"{out}/{name}: {what}" for name, what in files.items())))
    print_record("aligner demo", rows, show_lines=True)
    print("Next, LJSpeech (a GPU is used if there is one):\n" + NEXT)
