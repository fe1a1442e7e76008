"""Arguments that several commands share, and what their values mean."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.aligner import Aligner
    from aligner.alignment import FrameGrid

Parser = argparse.ArgumentParser | argparse._ArgumentGroup

ALIGNMENTS = (
    "what `aligner align` wrote; or TextGrids (also MFA's), CTM, .phn/.wrd, JSON, a lhotse manifest. A "
    '.ctm file is of words if its name has "word" or "wrd" in it, otherwise of phones'
)

FRAME_RULES_HELP = (
    "of N samples; center: 1 + N//hop frames, frame s centred on sample s*hop; center_drop_last: the same "
    "without the last frame; same: N//hop frames, frame s centred on sample (s + 1/2)*hop"
)


class WrongArguments(AlignerError):
    """Arguments that do not go together, or one that is missing."""

    exit_status = 2


def whole_number(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number.

    Args:
        least: The smallest that will do.
    """

    def read(given: str) -> int:
        try:
            number = int(given)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{given!r} must be a whole number, at least {least}")
        return number

    return read


def add_checkpoint(parser: Parser, required: bool = True) -> None:
    """The trained model: --checkpoint, --device, --trust. `load_aligner` makes it of them."""
    parser.add_argument(
        "--checkpoint",
        required=required,
        metavar="CKPT",
        help="a trained aligner: OUT/checkpoints/last.ckpt of `aligner fit`, or the name of one that comes "
        "with this program (en-us, de)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda if there is a GPU)")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="allow the checkpoint to use classes from outside this package",
    )


def read_device(args: argparse.Namespace) -> str:
    """The device that `--device` names, or the default: the GPU if there is one.

    Raises:
        AlignerError: This machine has no such device.
    """
    import torch

    from aligner.devices import check_device

    device = args.device
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        check_device(device)
    except AlignerError as error:
        raise AlignerError(f"--device {device}: {error}") from error
    return device


def load_aligner(args: argparse.Namespace) -> "Aligner":
    """The model that the arguments of `add_checkpoint` name.

    Raises:
        AlignerError: There is no such device or file, or the file is no checkpoint.
    """
    from aligner.aligner import Aligner

    device = read_device(args)
    return Aligner.load(args.checkpoint, device, trust=args.trust)


def add_data(parser: Parser, required: bool = True) -> None:
    """--data, a prepared corpus."""
    parser.add_argument(
        "--data",
        required=required,
        type=Path,
        metavar="DIR",
        help="a prepared corpus: the folder that `aligner prepare` wrote",
    )


def add_strict(parser: argparse.ArgumentParser, help: str) -> None:
    """--strict, which makes an error of what is otherwise only listed."""
    parser.add_argument("--strict", action="store_true", help=help)


def add_tiers(parser: Parser) -> None:
    """--tier, of the reference; `read_tiers` reads it."""
    parser.add_argument(
        "--tier",
        action="append",
        default=[],
        metavar="words=NAME|phones=NAME",
        help="a tier of the reference TextGrids that is not named words or phones; may be given for both",
    )


def read_tiers(given: Sequence[str]) -> dict[str, str]:
    """The tiers that the argument of `add_tiers` names, by "words" and "phones".

    Raises:
        AlignerError: One of them says something else.
    """
    tiers = {}
    for tier in given:
        kind, equals, name = tier.partition("=")
        if kind not in ("words", "phones") or not equals or not name:
            raise AlignerError(f"--tier {tier}: say words=NAME or phones=NAME")
        tiers[kind] = name
    return tiers


def add_grid(parser: argparse.ArgumentParser) -> None:
    """The frames that durations count: --preset, or --hop, --sample-rate, --frame-rule (`read_grid`)."""
    from aligner.alignment import FRAME_RULES
    from aligner.formats import PRESETS

    grid = parser.add_argument_group("frames")
    grid.add_argument("--preset", choices=list(PRESETS), help="a program's hop, sample rate and frame rule")
    grid.add_argument("--hop", type=int, metavar="SAMPLES", help="samples from one frame to the next")
    grid.add_argument("--sample-rate", type=int, metavar="HZ", help="sample rate that the hop counts in")
    grid.add_argument("--frame-rule", choices=FRAME_RULES, help=FRAME_RULES_HELP)


def check_grid(formats: Sequence[str], grid: "FrameGrid | None") -> None:
    """Say before any work that `npy`, which is no program's format, needs frames.

    Raises:
        AlignerError: There is no grid.
    """
    if "npy" in formats and grid is None:
        raise AlignerError("--format npy: say --hop, --sample-rate and --frame-rule, or a --preset")


def read_grid(args: argparse.Namespace) -> "FrameGrid | None":
    """The frames that the arguments of `add_grid` ask for; None: each format's own.

    Raises:
        AlignerError: A hop, a sample rate or a frame rule without the other two, or beside a preset.
    """
    from aligner.alignment import FrameGrid
    from aligner.formats import PRESETS

    given = [args.hop, args.sample_rate, args.frame_rule]
    if all(value is None for value in given):
        return PRESETS[args.preset] if args.preset else None
    if args.preset:
        raise AlignerError("give either --preset or --hop, --sample-rate and --frame-rule")
    if None in given:
        raise AlignerError(
            "--hop, --sample-rate and --frame-rule go together: a hop alone says no frame count"
        )
    return FrameGrid(args.hop, args.sample_rate, args.frame_rule)
