"""`aligner export`: alignments in another program's format."""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import ALIGNMENTS, add_grid, add_strict, check_grid, read_grid
from aligner.commands.output import print_failures, print_table, progress
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aligner.alignment import Alignment
    from aligner.formats import ExportSettings

DESCRIPTION = """\
Write alignments as another program reads them. Durations count that program's frames: their sum is its own
frame count, and every token keeps at least one frame. Where it resamples, that is the count after librosa's
or torchaudio's resampling, which round up. Formats named after a program take its LJSpeech settings unless
told otherwise.

What cannot be read or written is left out and named in DIR/refused.txt; the exit status is 1 if nothing
could be written, if a manifest ends too early (what can be read of it is written), or with --strict if
anything could not. Files that no export wrote are replaced only with
--overwrite."""

EXAMPLES = """\
examples:
  aligner export aligned --format textgrid --out textgrids
  aligner export aligned --format fastspeech2 --speaker LJSpeech --out preprocessed
  aligner export aligned --format matcha --blanks --check-tokens consumer.txt --out LJSpeech-1.1
  aligner export aligned --format npy --hop 512 --sample-rate 44100 --frame-rule same --out durations
  aligner export aligned --format diffsinger elan rhubarb --out exported

formats:
"""


# Of formats that want a duration for each token of a program's own text front end.
_OWN_TOKENS_HINTS = {
    "matcha": "matcha: it wants a duration for each token of its own text front end, blanks included: align "
    "its tokens and say --blanks, and --check-tokens to be sure (recipes/matcha)",
    "stylish": "stylish: it wants a duration for each character of its own string of phonemes: align these "
    "(--phonemizer tokens), and say --check-tokens to be sure (recipes/export)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to write, where, on which frames."""
    from aligner.alignment import PAUSES_TO
    from aligner.formats import WRITERS

    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES + "\n".join(
        f"  {name:14}{_first_line(writer)}" for name, writer in WRITERS.items()
    )
    parser.add_argument("alignments", type=Path, metavar="ALIGNMENTS", help=ALIGNMENTS)
    parser.add_argument(
        "--format",
        nargs="+",
        required=True,
        choices=[*WRITERS, "all"],
        metavar="FORMAT",
        help="one or more of the formats below, or all",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder to write; several formats go to DIR/FORMAT each",
    )
    add_grid(parser)
    tokens = parser.add_argument_group("tokens")
    tokens.add_argument(
        "--blanks", nargs="?", const="_", metavar="SYMBOL", help="put blanks between tokens, as in VITS"
    )
    tokens.add_argument("--rename", metavar="FILE", help="rename tokens: lines of `old new`")
    tokens.add_argument(
        "--check-tokens",
        metavar="FILE",
        help="the program's own tokens, to check against: lines of `id|TOKEN TOKEN`",
    )
    tokens.add_argument(
        "--any-symbols", action="store_true", help="fastspeech2, diffsinger: allow symbols they do not know"
    )
    tokens.add_argument(
        "--pauses-to",
        choices=PAUSES_TO,
        default="previous",
        help="which token gets the time of a pause that lies between your own tokens (--phonemizer tokens) "
        "without being one of them: the one before, the one after, or half and half (default: previous)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files in DIR that no earlier export wrote"
    )
    parser.add_argument("--wavs", metavar="DIR", help="coqui: the folder of its audio, files named {id}.wav")
    parser.add_argument("--speaker", metavar="NAME", help="speaker name to write, for all utterances")
    parser.add_argument("--language", default="default", help="everyvoice: the language in file names")
    parser.add_argument(
        "--validation-share",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="fastspeech2: share of utterances that go to val.txt (default: %(default)s)",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="formats written at once (default: CPU cores)")
    add_strict(parser, "fail if any utterance cannot be written")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the formats, print a table, return the figures."""
    from aligner.formats import WRITERS

    formats = list(WRITERS) if "all" in args.format else list(dict.fromkeys(args.format))
    roots = {name: args.out / name if len(formats) > 1 else args.out for name in formats}
    settings = _settings(args)
    check_grid(formats, settings.grid)
    damage, unreadable, readable = _check(args.alignments, roots, settings, args.overwrite)
    results = _export_all(args.alignments, roots, settings, args.jobs or os.cpu_count() or 1, readable)
    for result in results.values():
        result["refused"] = [*map(str, damage), *unreadable, *result["refused"]]
    rows = [
        (name, *(str(n) for n in (r["utterances"], r["files"], len(r["refused"]))), str(roots[name]))
        for name, r in results.items()
    ]
    print_table(("format", "utterances", "files", "refused", "folder"), rows)
    if settings.blank is None and settings.tokens is None:
        for hint in (_OWN_TOKENS_HINTS[name] for name in formats if name in _OWN_TOKENS_HINTS):
            print(hint, file=sys.stderr)
    report_refused(results, roots, args.strict)
    if damage:
        raise AlignerError(f"a part only was written: {damage[0]}")
    return {"formats": results, "out": str(args.out)}


def in_a_line(summary: dict[str, Any]) -> str:
    """What was written, in the end."""
    formats = summary["formats"]
    files = sum(result["files"] for result in formats.values())
    refused = sum(len(result["refused"]) for result in formats.values())
    most = max(result["utterances"] for result in formats.values())
    return f"{most} utterances as {', '.join(formats)}: {files} files in {summary['out']}, {refused} refused"


def _first_line(writer: type) -> str:
    return (writer.__doc__ or "").splitlines()[0].replace("`", "")


def _settings(args: argparse.Namespace) -> "ExportSettings":
    from aligner.formats import ExportSettings
    from aligner.formats.export import read_symbols, read_tokens

    grid = read_grid(args)
    if not 0 <= args.validation_share < 1:
        raise AlignerError(f"--validation-share {args.validation_share}: must be from 0 to below 1")
    if args.jobs is not None and args.jobs < 1:
        raise AlignerError(f"--jobs {args.jobs}: must be at least 1")
    if args.wavs and not Path(args.wavs).is_dir():
        raise AlignerError(f"--wavs {args.wavs}: no such folder")
    return ExportSettings(
        grid=grid,
        blank=args.blanks,
        symbols=read_symbols(args.rename) if args.rename else {},
        tokens=read_tokens(args.check_tokens) if args.check_tokens else None,
        speaker=args.speaker,
        language=args.language,
        wavs=Path(args.wavs) if args.wavs else None,
        validation_share=args.validation_share,
        any_symbols=args.any_symbols,
        pauses_to=args.pauses_to,
    )


def _check(
    source: Path, roots: dict[str, Path], settings: "ExportSettings", overwrite: bool
) -> tuple[list[AlignerError], list[str], int]:
    """Read everything once before anything is written; returns why a manifest cannot be read to its end, why
    utterances cannot be read, and how many can.

    Raises:
        AlignerError: There is nothing to export, two names clash, or files of somebody else are in the way.
    """
    from aligner.formats import DamagedManifest, check_outputs, read
    from aligner.formats.read import find_manifest

    damage: list[AlignerError] = []
    unreadable: list[str] = []
    readable = 0

    def note(error: AlignerError) -> None:
        if isinstance(error, DamagedManifest):
            damage.append(error)
        else:
            unreadable.append(str(error))

    def counted() -> "Iterator[Alignment]":
        nonlocal readable
        for alignment in read(source, on_error=note):
            readable += 1
            yield alignment

    check_outputs(counted(), roots, settings, overwrite=overwrite, source=find_manifest(source))
    if not readable:
        print_failures("cannot be exported", [*map(str, damage), *unreadable])
        raise AlignerError(
            f"{source}: no alignments in it; name what `aligner align` wrote (`aligner prepare` writes none)"
        )
    return damage, unreadable, readable


def _export_all(
    source: Path, roots: dict[str, Path], settings: "ExportSettings", jobs: int, readable: int
) -> dict[str, dict[str, Any]]:
    """Write the formats in up to `jobs` processes; returns the figures of each format."""
    names = list(roots)
    groups = [{name: roots[name] for name in names[job::jobs]} for job in range(min(jobs, len(names)))]
    if len(groups) == 1:
        return _export_group(source, groups[0], settings, show_of=readable)
    results: dict[str, dict[str, Any]] = {}
    # Not fork: torch's threads do not survive it.
    with ProcessPoolExecutor(len(groups) - 1, get_context("spawn")) as pool:
        others = [pool.submit(_export_group, source, group, settings) for group in groups[1:]]
        results.update(_export_group(source, groups[0], settings, show_of=readable))
        for other in others:
            results.update(other.result())
    return {name: results[name] for name in names}


def _export_group(
    source: Path, roots: dict[str, Path], settings: "ExportSettings", show_of: int | None = None
) -> dict[str, dict[str, Any]]:
    from aligner.formats import export, read

    alignments: Iterable[Alignment] = read(source, on_error=lambda error: None)  # named by `_check`
    if show_of is not None:
        alignments = progress(alignments, "exporting", show_of)
    return {name: asdict(result) for name, result in export(alignments, roots, settings).items()}


def report_refused(results: dict[str, dict[str, Any]], roots: dict[str, Path], strict: bool) -> None:
    """List what each format refused in its refused.txt and on the terminal.

    Args:
        results: Of each format, the figures of an `Exported`.
        roots: The folder of each format.
        strict: Whether anything that was refused is an error.

    Raises:
        AlignerError: A format refused every utterance, or with `strict` any.
    """
    from aligner.formats.atomic import atomic_write

    failed = []
    for name, result in results.items():
        refused, listing = result["refused"], roots[name] / "refused.txt"
        listing.unlink(missing_ok=True)
        if not refused:
            continue
        listing.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(listing) as file:
            file.write(
                "".join(f"{' '.join(reason.split())}\n" for reason in refused).encode(errors="replace")
            )
        print_failures(f"refused by {name}", refused, listing)
        if strict or not result["utterances"]:
            failed.append(f"{name}: {len(refused)} utterances could not be written; see {listing}")
    if failed:
        raise AlignerError("; ".join(failed))
