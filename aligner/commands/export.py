"""`aligner export`: alignments in another program's format."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.alignment import FrameGrid
    from aligner.formats import ExportSettings

_SHOWN = 10  # refused utterances on the terminal; refused.txt has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to write, where, on which frames."""
    from aligner.formats import WRITERS

    parser.description = (
        "Write alignments as another program reads them. Durations count that program's frames: their sum\n"
        "is its own count, every token keeps at least one. Formats named after a program take its LJSpeech\n"
        "settings unless told otherwise."
    )
    parser.epilog = (
        "examples:\n"
        "  aligner export aligned --to textgrid --out textgrids\n"
        "  aligner export aligned --to fastspeech2 --out FastSpeech2/preprocessed_data/LJSpeech\n"
        "  aligner export aligned --to npy --hop 512 --sample-rate 44100 --frame-rule tiled --out durations\n"
        "\nformats:\n" + "\n".join(f"  {name:14}{_first_line(writer)}" for name, writer in WRITERS.items())
    )
    parser.add_argument(
        "alignments",
        metavar="ALIGNMENTS",
        help="what `aligner align` wrote; or TextGrids (also MFA's), CTM, .phn/.wrd, JSON, a lhotse manifest",
    )
    parser.add_argument(
        "--to",
        nargs="+",
        required=True,
        choices=[*WRITERS, "all"],
        metavar="FORMAT",
        help="see below; or all",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="with several formats, each goes to DIR/FORMAT"
    )
    add_grid_arguments(parser)
    tokens = parser.add_argument_group("tokens")
    tokens.add_argument(
        "--blanks",
        nargs="?",
        const="_",
        metavar="SYMBOL",
        help="put blanks between tokens, as in VITS",
    )
    tokens.add_argument("--symbols", metavar="FILE", help="rename tokens: lines of `old new`")
    tokens.add_argument(
        "--tokens",
        metavar="FILE",
        help="the program's own tokens to check against: lines of `id|TOKEN TOKEN`",
    )
    tokens.add_argument(
        "--any-symbols", action="store_true", help="fastspeech2: do not insist on ARPAbet symbols"
    )
    parser.add_argument("--wavs", metavar="DIR", help="coqui: the folder of its audio, files named {id}.wav")
    parser.add_argument(
        "--speaker", metavar="NAME", help="the speaker's name in the output, of all utterances"
    )
    parser.add_argument("--language", default="default", help="everyvoice: the language in file names")
    parser.add_argument(
        "--validation-share",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="fastspeech2: for val.txt (0.05)",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="formats written at once (default: CPU cores)")
    parser.add_argument("--strict", action="store_true", help="fail if any utterance cannot be written")


def add_grid_arguments(parser: argparse.ArgumentParser) -> None:
    """The frames that durations count: `read_grid` makes them of the arguments."""
    from aligner.alignment import FRAME_RULES
    from aligner.formats import PRESETS

    grid = parser.add_argument_group("frames")
    grid.add_argument("--preset", choices=list(PRESETS), help="a program's hop, sample rate and frame rule")
    grid.add_argument("--hop", type=int, metavar="SAMPLES", help="samples from one frame to the next")
    grid.add_argument("--sample-rate", type=int, metavar="HZ", help="sample rate that the hop counts in")
    grid.add_argument(
        "--frame-rule",
        choices=FRAME_RULES,
        help="centred: 1 + N//hop frames, frame s centred on s*hop; centred_floor: one less; "
        "tiled: N//hop frames, frame s centred on (s + 1/2)*hop",
    )


def read_grid(args: argparse.Namespace) -> "FrameGrid | None":
    """The frames that the arguments ask for, None for each format's own.

    Raises AlignerError for half a grid, and for a preset beside one.
    """
    from aligner.alignment import FrameGrid
    from aligner.formats import PRESETS

    stated = [args.hop, args.sample_rate, args.frame_rule]
    if all(value is None for value in stated):
        return PRESETS[args.preset] if args.preset else None
    if args.preset:
        raise AlignerError("give either --preset or --hop, --sample-rate and --frame-rule")
    if None in stated:
        raise AlignerError(
            "--hop, --sample-rate and --frame-rule go together: a hop alone says no frame count"
        )
    return FrameGrid(args.hop, args.sample_rate, args.frame_rule)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the formats, print a table, return the figures."""
    import os

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from aligner.formats import WRITERS

    formats = list(WRITERS) if "all" in args.to else list(dict.fromkeys(args.to))
    settings = _settings(args)
    roots = {name: Path(args.out) / name if len(formats) > 1 else Path(args.out) for name in formats}
    results = _export_all(Path(args.alignments), roots, settings, args.jobs or os.cpu_count() or 1)
    table = Table("format", "utterances", "files", "refused", "folder", box=box.SIMPLE)
    for name, result in results.items():
        refused = len(result["refused"])
        table.add_row(name, str(result["utterances"]), str(result["files"]), str(refused), str(roots[name]))
    Console().print(table)
    _report_refusals(results, roots, args.strict)
    return {"formats": results, "out": args.out}


def _first_line(writer: type) -> str:
    return (writer.__doc__ or "").splitlines()[0].replace("`", "")


def _settings(args: argparse.Namespace) -> "ExportSettings":
    from aligner.formats import ExportSettings
    from aligner.formats.write import read_symbols, read_tokens

    grid = read_grid(args)
    if not 0 <= args.validation_share < 1:
        raise AlignerError(f"--validation-share {args.validation_share}: must be from 0 to below 1")
    try:
        return ExportSettings(
            grid=grid,
            blank=args.blanks,
            symbols=read_symbols(args.symbols) if args.symbols else {},
            tokens=read_tokens(args.tokens) if args.tokens else None,
            speaker=args.speaker,
            language=args.language,
            wavs=Path(args.wavs) if args.wavs else None,
            validation_share=args.validation_share,
            any_symbols=args.any_symbols,
        )
    except OSError as error:
        raise AlignerError(f"{error.filename}: {error.strerror}") from error


def _export_all(
    source: Path, roots: dict[str, Path], settings: "ExportSettings", jobs: int
) -> dict[str, dict[str, Any]]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    names = list(roots)
    groups = [{name: roots[name] for name in names[job::jobs]} for job in range(min(jobs, len(names)))]
    if len(groups) == 1:
        return _export_group(source, groups[0], settings, show_progress=True)
    results: dict[str, dict[str, Any]] = {}
    # Not fork: torch's threads do not survive it.
    with ProcessPoolExecutor(len(groups) - 1, get_context("spawn")) as pool:
        others = [pool.submit(_export_group, source, group, settings) for group in groups[1:]]
        results.update(_export_group(source, groups[0], settings, show_progress=True))
        for other in others:
            results.update(other.result())
    return {name: results[name] for name in names}


def _export_group(
    source: Path, roots: dict[str, Path], settings: "ExportSettings", show_progress: bool = False
) -> dict[str, dict[str, Any]]:
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import track

    from aligner.formats import export, read

    errors = Console(stderr=True)
    shown = show_progress and errors.is_terminal
    alignments = track(read(source), "exporting", console=errors, disable=not shown, transient=True)
    return {name: asdict(result) for name, result in export(alignments, roots, settings).items()}


def _report_refusals(results: dict[str, dict[str, Any]], roots: dict[str, Path], strict: bool) -> None:
    import sys

    from aligner.formats.atomic import whole_file

    for name, result in results.items():
        listing = roots[name] / "refused.txt"
        listing.unlink(missing_ok=True)
        if not result["refused"]:
            continue
        with whole_file(listing) as file:
            file.write("".join(f"{reason}\n" for reason in result["refused"]).encode())
        for reason in result["refused"][:_SHOWN]:
            print(f"refused by {name}: {reason}", file=sys.stderr)
        if len(result["refused"]) > _SHOWN:
            print(f"... {len(result['refused'])} in all: {listing}", file=sys.stderr)
        if strict or not result["utterances"]:
            raise AlignerError(
                f"{name}: {len(result['refused'])} utterances could not be written; see {listing}"
            )
