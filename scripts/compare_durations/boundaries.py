"""How far the boundaries of two sets of durations lie from each other.

ΣT the tokens of all utterances, one after the other; N boundaries.
"""

import argparse
from pathlib import Path

import numpy as np
from durations import Durations
from features import GRID, Features
from numpy.typing import NDArray

from aligner.errors import AlignerError

FAR_MS = 100.0


def distances_ms(
    frames: NDArray[np.int64], others: NDArray[np.int64], text_lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How far each boundary between two tokens of an utterance lies from its other, in ms, `[N]`.

    Args:
        frames: Durations, `[ΣT]`.
        others: Durations, `[ΣT]`.
        text_lengths: Tokens of each utterance.
    """
    # Both fill the same recordings, so that the sums may run on over all of them.
    apart = np.abs(np.cumsum(frames) - np.cumsum(others))
    inside = np.ones(len(frames), bool)
    inside[np.cumsum(text_lengths) - 1] = False  # an utterance's end
    return 1000 * GRID.hop_s * apart[inside]


def row(name: str, apart_ms: NDArray[np.float64]) -> str:
    """A line of a Markdown table."""
    far = 100 * np.mean(apart_ms > FAR_MS)
    return f"| {name} | {apart_ms.mean():.1f} | {np.median(apart_ms):.1f} | {far:.2f} % | {len(apart_ms)} |"


def run(args: argparse.Namespace) -> None:
    """The step `boundaries`."""
    features = Features.load(args.features)
    texts = Durations.read(features, args.durations)
    if args.than not in texts.frames:
        raise AlignerError(f"no durations of {args.than!r}; there are {', '.join(texts.frames)}")
    sets = {name: frames for name, frames in texts.frames.items() if name != args.than}
    for path in sorted(args.runs.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            if "found" in file:
                sets[path.stem] = file["found"]
    trained_on = np.repeat(~features.held_out, texts.text_lengths)
    lengths = texts.text_lengths[~features.held_out]
    print("| | mean, ms | median, ms | beyond 100 ms | boundaries |", "|---|---|---|---|---|", sep="\n")
    for name, frames in sets.items():
        pair = frames[trained_on], texts.frames[args.than][trained_on]
        print(row(name, distances_ms(*pair, lengths)))


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`boundaries`."""
    parser = commands.add_parser(
        "boundaries", help="how far boundaries lie from those of one aligner, on training utterances"
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("runs", type=Path, help="what the step `train` wrote: what Matcha's search has found")
    parser.add_argument("--durations", type=Path, nargs="+", required=True, help="folders, one an aligner")
    parser.add_argument("--than", default="ours", help="the aligner that the others are compared with")
    parser.set_defaults(run=run)
