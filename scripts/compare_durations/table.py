"""The comparison as tables with confidence intervals, and its curves.

V seeds, U held-out utterances, R resamplings.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from measures import MEASURES, RECORDINGS
from numpy.typing import NDArray
from training import LOSSES

from aligner.errors import AlignerError

RESAMPLINGS = 10_000
COLUMNS = {
    "postnet_mel": "mel loss",
    "duration": "duration loss",
    "mcd_db": "MCD, dB",
    "f0_cents": "F0, cents",
    "voicing_percent": "voicing, %",
    "length_percent": "length, %",
    "words_percent": "words, %",
}
Values = dict[str, dict[str, NDArray[np.float64]]]  # [V, U] of each column of each aligner


def read(path: Path) -> tuple[Values, dict[str, NDArray], NDArray]:
    """Measures and losses by aligner, the curves of every voice, the steps of every voice.

    Args:
        path: What the step `measure` wrote.

    Raises:
        AlignerError: If voices had different numbers of steps, or aligners different numbers of seeds.
    """
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    voices: dict[str, list[str]] = defaultdict(list)
    for voice in sorted({name.split("/")[0] for name in data} - {RECORDINGS}):
        voices[voice.rsplit("-", 1)[0]].append(voice)
    steps = np.array([data[f"{voice}/steps"] for its in voices.values() for voice in its])
    if len(set(steps)) != 1 or len({len(its) for its in voices.values()}) != 1:
        raise AlignerError(f"{path}: not the same steps or seeds for all: {dict(voices)}, {steps}")
    values: Values = {RECORDINGS: _columns(data[f"{RECORDINGS}/measures"][None], None)}
    for aligner, its in voices.items():
        losses = np.stack([data[f"{voice}/losses"] for voice in its])
        values[aligner] = _columns(np.stack([data[f"{voice}/measures"] for voice in its]), losses)
    return values, {name.split("/")[0]: data[name] for name in data if name.endswith("/curve")}, steps


def _columns(measures: NDArray, losses: NDArray | None) -> dict[str, NDArray]:
    columns = {name: measures[..., index] for index, name in enumerate(MEASURES)}
    if losses is not None:
        columns |= {name: losses[..., index] for index, name in enumerate(LOSSES)}
    return columns


def resampled(values: NDArray, seed: int = 0) -> NDArray:
    """Means of resampled seeds and utterances, `[R]`.

    Args:
        values: `[V, U]`; NaN where there is no value.
        seed: Of the draws.
    """
    draw = np.random.default_rng(seed)
    n_seeds, n_utterances = values.shape
    means = np.empty(RESAMPLINGS)
    for r in range(RESAMPLINGS):
        picked = values[draw.integers(n_seeds, size=n_seeds)][
            :, draw.integers(n_utterances, size=n_utterances)
        ]
        means[r] = np.nanmean(picked)  # an utterance without voice in both has no pitch difference
    return means


def rows(values: Values, than: str | None) -> list[str]:
    """A Markdown table: means and 95 % intervals.

    Args:
        values: As `read` gives them.
        than: Show differences from this aligner; None: the values themselves.
    """
    lines = [f"| | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for aligner, columns in values.items():
        if aligner == than or (than and aligner == RECORDINGS):
            continue
        cells = []
        for name in COLUMNS:
            if name not in columns:
                cells.append("")
                continue
            own = columns[name] - (values[than][name] if than else 0)
            low, high = np.percentile(resampled(own), [2.5, 97.5])
            cells.append(
                f"{np.nanmean(own):+.3f} [{low:+.3f}, {high:+.3f}]"
                if than
                else f"{np.nanmean(own):.3f} [{low:.3f}, {high:.3f}]"
            )
        lines.append(f"| {aligner} | {' | '.join(cells)} |")
    return lines


def draw(curves: dict[str, NDArray], path: Path) -> None:
    """Held-out mel and duration losses over the steps.

    Args:
        curves: Of each voice: steps, training losses, held-out losses.
        path: A picture.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    aligners = sorted({voice.rsplit("-", 1)[0] for voice in curves})
    for axes, loss in zip(figure.subplots(1, 2), ("postnet_mel", "duration"), strict=True):
        column = 1 + len(LOSSES) + LOSSES.index(loss)
        for voice, curve in curves.items():
            if len(curve):  # fewer steps than one point of it
                aligner, seed = voice.rsplit("-", 1)
                label = aligner if seed == "0" else None
                axes.plot(
                    curve[:, 0], curve[:, column], color=f"C{aligners.index(aligner)}", label=label, lw=0.9
                )
        axes.set(title=COLUMNS[loss], xlabel="step", ylabel="held out")
        axes.set_yscale("log")
    if any(map(len, curves.values())):
        axes.legend()
    figure.savefig(path, dpi=90)


def run(args: argparse.Namespace) -> None:
    """The step `table`."""
    values, curves, steps = read(args.measures)
    if args.than not in values:
        raise AlignerError(f"no voices of {args.than!r}; there are {', '.join(values)}")
    text = "\n".join(
        [
            f"{len(steps)} voices, {steps[0]} steps each",
            "",
            *rows(values, None),
            "",
            f"Differences from {args.than}:",
            "",
        ]
        + rows(values, args.than)
    )
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "table.md").write_text(text + "\n")
    draw(curves, args.out / "curves.png")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`table`."""
    parser = commands.add_parser("table", help="tables with confidence intervals, and curves")
    parser.add_argument("measures", type=Path, help="what the step `measure` wrote")
    parser.add_argument("--than", default="ours", help="the aligner that the others are compared with")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    parser.set_defaults(run=run)
