"""What people look at: a picture of one alignment over its log-mel, and a page of boundary errors.

N samples.
"""

import html
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.formats.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = {
    "n": "n",
    "mean_ms": "mean",
    "median_ms": "median",
    "within_10ms": "≤10",
    "within_20ms": "≤20",
    "within_25ms": "≤25",
    "within_50ms": "≤50",
    "within_100ms": "≤100",
    "beyond_100ms": ">100",
    "bias": "bias",
    "skipped": "skip",
}
LEGEND = "mean, median, bias in ms (words: starts/ends; + is late); ≤ and > in per cent within so many ms"
_INCHES_A_SECOND = 4.0
_WIDEST_INCHES = 60.0


def plot_alignment(
    alignment: Alignment,
    audio: NDArray[np.float32],
    sample_rate_hz: int,
    reference: Alignment | None = None,
    title: str | None = None,
) -> "Figure":
    """Words, phones and their scores over the log-mel of `audio` `[N]`; reference boundaries dashed, if
    given.

    Dashed lines stand in the row of what they are the reference for: words above, phones below. The figure
    belongs to no window, so that it can be made in any thread; save it with `save_picture` or hand it to
    TensorBoard.

    Raises AlignerError if `audio` is not one channel or not of the alignment's length (to a tenth of a
    second).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if audio.ndim != 1 or abs(len(audio) / sample_rate_hz - alignment.duration_s) > 0.1:
        raise AlignerError(
            f"{alignment.id}: audio of shape {audio.shape} at {sample_rate_hz} Hz for an alignment of "
            f"{alignment.duration_s:.2f} s"
        )
    width = min(max(8.0, alignment.duration_s * _INCHES_A_SECOND), _WIDEST_INCHES)
    figure = Figure(figsize=(width, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    words, mel, phones, scores = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [0.7, 4, 0.9, 0.9]}
    )
    figure.suptitle(title if title is not None else alignment.id, fontsize=10)
    _draw_spectrogram(mel, audio, sample_rate_hz)
    _draw_row(words, alignment.words, "words", fontsize=10)
    _draw_row(phones, alignment.tokens, "phones", fontsize=8)
    _draw_scores(scores, alignment.tokens)
    for interval in alignment.tokens:
        mel.axvline(interval.start_s, color="white", linewidth=0.6, alpha=0.7)
    if reference is not None:
        _draw_reference(words, reference.words)
        _draw_reference(phones, reference.tokens)
        _draw_reference(mel, reference.tokens or reference.words)
        figure.text(0.995, 0.995, "dashed: reference", color="crimson", ha="right", va="top", fontsize=8)
    scores.set_xlim(0, alignment.duration_s)
    scores.set_xlabel("seconds")
    return figure


def save_picture(figure: "Figure", path: str | Path, dpi: int = 110) -> None:
    """The figure as a PNG file, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    with whole_file(Path(path)) as file:
        file.write(buffer.getvalue())


def figure_rows(summary: dict[str, Any], keys: Iterable[str] = tuple(FIGURES)) -> Iterator[list[str]]:
    """Rows of text for a table with a name and the `FIGURES` of `keys`: words and phones of all, of each
    speaker.
    """
    groups = [("", summary)]
    if len(summary["speakers"]) > 1:
        groups += [
            (f" {speaker or '(no speaker)'}", levels) for speaker, levels in summary["speakers"].items()
        ]
    for name, levels in groups:
        for level in ("words", "phones"):
            yield [f"{level}{name}", *(_cell(levels[level], key) for key in keys)]


def evaluation_page(summary: dict[str, Any], path: Path, title: str) -> None:
    """What `evaluate` found, as one HTML file that needs no other."""
    worst = ([w["id"], f"{w['mean_ms']:.1f}", f"{w['max_ms']:.1f}"] for w in summary["worst"])
    skipped = ([reason, str(len(what)), ", ".join(what[:20])] for reason, what in summary["reasons"].items())
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        "<style>body{font:15px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
        "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:right}td:first-child{text-align:left}"
        f"</style><h1>{html.escape(title)}</h1><p>{summary['utterances']} utterances compared, "
        f"{summary['skipped']} not.</p>"
        + _table(["boundaries", *FIGURES.values()], figure_rows(summary))
        + f"<p>{html.escape(LEGEND)}</p>"
        + _table(["worst utterances", "mean ms", "max ms"], worst)
        + _table(["skipped because", "times", "such as"], skipped)
    )
    with whole_file(path) as file:
        file.write(page.encode())


def _table(header: list[str], rows) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(figures: dict[str, Any], key: str) -> str:
    if key == "bias":
        signed = [
            figures[k] for k in ("start_bias_ms", "end_bias_ms", "bias_ms") if figures.get(k) is not None
        ]
        return "/".join(f"{value:+.1f}" for value in signed) or "-"
    value = figures[key]
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.1f}"


def _draw_spectrogram(axes: "Axes", audio: NDArray[np.float32], sample_rate_hz: int) -> None:
    import librosa

    hop = max(1, round(sample_rate_hz * 0.005))
    n_fft = 1 << round(np.log2(sample_rate_hz * 0.032))
    power = librosa.feature.melspectrogram(
        y=np.asarray(audio, np.float32), sr=sample_rate_hz, n_fft=n_fft, hop_length=hop, n_mels=80, fmax=8000
    )
    picture = librosa.power_to_db(power, ref=np.max, top_db=70.0)
    # Frame s is centred on s * hop: its pixel reaches half a hop to either side.
    half_s = hop / 2 / sample_rate_hz
    extent = (-half_s, (picture.shape[1] - 1) * hop / sample_rate_hz + half_s, 0, 80)
    axes.imshow(picture, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="nearest")
    axes.set_ylabel("mel band")


def _draw_row(axes: "Axes", intervals: tuple[Interval, ...], name: str, fontsize: int) -> None:
    for interval in intervals:
        axes.axvspan(
            interval.start_s, interval.end_s, facecolor="whitesmoke", edgecolor="steelblue", linewidth=0.8
        )
        middle_s = (interval.start_s + interval.end_s) / 2
        # A dollar sign would start mathematics in matplotlib
        symbol = interval.symbol.replace("$", r"\$")
        axes.text(middle_s, 0.5, symbol, ha="center", va="center", fontsize=fontsize, clip_on=True)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")


def _draw_scores(axes: "Axes", tokens: tuple[Interval, ...]) -> None:
    scored = [(t.start_s, t.end_s - t.start_s, t.score) for t in tokens if t.score is not None]
    if scored:
        starts_s, widths_s, heights = zip(*scored, strict=True)
        axes.bar(
            starts_s, heights, widths_s, align="edge", color="steelblue", edgecolor="white", linewidth=0.5
        )
    axes.set_ylim(0, 1)
    axes.set_ylabel("score", rotation=0, ha="right", va="center")


def _draw_reference(axes: "Axes", intervals: tuple[Interval, ...]) -> None:
    for time_s in {time_s for i in intervals for time_s in (i.start_s, i.end_s)}:
        axes.axvline(time_s, color="crimson", linewidth=1.0, linestyle="--")
