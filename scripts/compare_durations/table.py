"""The comparison as tables with confidence intervals, and its curves.

V seeds, U held-out utterances, R resamplings.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from measures import MEASURES, RECORDINGS
from numpy.typing import NDArray

from aligner.errors import AlignerError

RESAMPLINGS = 10_000
COLUMNS = {
    "postnet_mel": "mel loss",
    "prior": "prior loss",
    "flow": "flow loss",
    "duration": "duration loss",
    "mcd_db": "MCD, dB",
    "f0_cents": "F0, cents",
    "voicing_percent": "voicing, %",
    "length_percent": "length, %",
    "words_percent": "words, %",
}
Values = dict[str, dict[str, NDArray[np.float64]]]  # [V, U] of each column of each aligner


@dataclass(frozen=True)
class Voices:
    """What is known of all voices.

    Args:
        values: Measures and losses by aligner.
        loss_names: Of the model's losses.
        curves: Of each voice: steps, training losses, held-out losses, a row every so many steps.
        steps: Of each voice.
    """

    values: Values
    loss_names: list[str]
    curves: dict[str, NDArray]
    steps: NDArray


def read(path: Path) -> Voices:
    """All voices.

    Args:
        path: What the step `measure` wrote.

    Raises:
        AlignerError: If voices had different numbers of steps or losses, or aligners of seeds.
    """
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    voices: dict[str, list[str]] = defaultdict(list)
    for voice in sorted({name.split("/")[0] for name in data} - {RECORDINGS}):
        voices[voice.rsplit("-", 1)[0]].append(voice)
    steps = np.array([data[f"{voice}/steps"] for its in voices.values() for voice in its])
    names = {tuple(map(str, data[f"{voice}/loss_names"])) for its in voices.values() for voice in its}
    if max(len(set(steps)), len(names), len({len(its) for its in voices.values()})) != 1:
        raise AlignerError(f"{path}: not the same steps, losses or seeds for all: {dict(voices)}, {steps}")
    loss_names = list(names.pop())
    values: Values = {RECORDINGS: _columns(MEASURES, data[f"{RECORDINGS}/measures"][None])}
    for aligner, its in voices.items():
        measures, losses = (
            np.stack([data[f"{voice}/{kind}"] for voice in its]) for kind in ("measures", "losses")
        )
        values[aligner] = _columns(MEASURES, measures) | _columns(loss_names, losses)
    curves = {name.split("/")[0]: data[name] for name in data if name.endswith("/curve")}
    return Voices(values, loss_names, curves, steps)


def _columns(names: Sequence[str], values: NDArray) -> dict[str, NDArray]:
    return {name: values[..., index] for index, name in enumerate(names)}


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
    shown = {name: title for name, title in COLUMNS.items() if any(name in its for its in values.values())}
    lines = [f"| | {' | '.join(shown.values())} |", "|---" * (len(shown) + 1) + "|"]
    for aligner, columns in values.items():
        if aligner == than or (than and aligner == RECORDINGS):
            continue
        cells = []
        for name in shown:
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


def draw(voices: Voices, path: Path) -> None:
    """Held-out losses over the steps.

    Args:
        voices: As `read` gives them.
        path: A picture.
    """
    losses = [name for name in COLUMNS if name in voices.loss_names]
    figure = Figure(figsize=(4.5 * len(losses), 3.6), layout="constrained")
    aligners = sorted({voice.rsplit("-", 1)[0] for voice in voices.curves})
    for axes, loss in zip(figure.subplots(1, len(losses)), losses, strict=True):
        column = 1 + len(voices.loss_names) + voices.loss_names.index(loss)
        for voice, curve in voices.curves.items():
            if len(curve):  # fewer steps than one point of it
                aligner, seed = voice.rsplit("-", 1)
                label = aligner if seed == "0" else None
                axes.plot(
                    curve[:, 0], curve[:, column], color=f"C{aligners.index(aligner)}", label=label, lw=0.9
                )
        axes.set(title=COLUMNS[loss], xlabel="step", ylabel="held out")
        axes.set_yscale("log")
    if any(map(len, voices.curves.values())):
        axes.legend()
    figure.savefig(path, dpi=90)


def run(args: argparse.Namespace) -> None:
    """The step `table`."""
    voices = read(args.measures)
    values, steps = voices.values, voices.steps
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
    draw(voices, args.out / "curves.png")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`table`."""
    parser = commands.add_parser("table", help="tables with confidence intervals, and curves")
    parser.add_argument("measures", type=Path, help="what the step `measure` wrote")
    parser.add_argument("--than", default="ours", help="the aligner that the others are compared with")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    parser.set_defaults(run=run)
