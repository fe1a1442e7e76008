"""Pictures: an alignment over its log-mel, what the search sees, durations, features.

N samples, S speech frames, C channels, M states of the model; in the matrix of likelihoods N states.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, FrameGrid, Interval, is_pause
from aligner.errors import AlignerError
from aligner.formats.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from aligner.frontends import Frontend
    from aligner.search import SpokenLikelihoods

PICTURE_FORMATS = ("png", "svg", "pdf")

_INCHES_A_SECOND = 4.0  # a phone of 50 ms is then wide enough for its symbol
_NARROWEST_INCHES = 8.0  # room for the title
_WIDEST_INCHES = 60.0  # 6600 pixels at 110 dpi; viewers and TensorBoard still show it
_LONGEST_S = 60.0  # beyond this nothing could be read; the report shows a recording of any length
_DOTS_AN_INCH = 110
_TITLE_POINTS = 10
_SMALL_POINTS = 7  # font size of channel names and legends
_LARGEST_DIFFERENCE_S = 0.1  # rounding and resampling change the length of a recording by less

# The log-mel behind an alignment: finer in time than any aligner's features, to see where sounds change.
_MEL_HOP_S = 0.005
_MEL_WINDOW_S = 0.032
_MEL_BANDS = 80
_MEL_FMAX_HZ = 8000
_MEL_PART_FRAMES = 12000  # a minute
MEL_RANGE_DB = 70.0

_CHANNEL_NAMES = 12  # names on the axis of a panel of features
# Of likelihoods, the colours begin where a third of the matrix is below: most of it is far from any path.
_DARKEST_QUANTILE = 1 / 3
_INCHES_A_TOKEN = 0.13  # a symbol of _SMALL_POINTS
_HIGHEST_INCHES = 40.0
_FRAMES_AN_INCH = 60.0
MOST_FRAMES = 6000
_INCHES_A_BAR = 0.2
_LETTERS_OF_A_BAR = 2  # more are written upwards

_LARGEST_DEVIATION = 2.5  # colours end at this many standard deviations: 99 % of a Gaussian's values


def plot_alignment(
    alignment: Alignment,
    audio: NDArray[np.float32],
    sample_rate_hz: int,
    reference: Alignment | None = None,
    title: str | None = None,
) -> "Figure":
    """A picture of an alignment: words, log-mel, phones and scores over the time in seconds.

    A band around a boundary is its spread. Of more than a minute it shows the first, as its title says. The
    figure belongs to no window, so any thread can make it; `save_picture` saves it, TensorBoard takes it.

    Args:
        alignment: The utterance.
        audio: Its recording, `[N]`.
        sample_rate_hz: Sample rate of `audio`.
        reference: hand-made times of the same utterance, drawn as dashed lines: those of words in the row of
            words, those of phones in the row of phones and in the log-mel.
        title: None: the utterance's id.

    Raises:
        AlignerError: `audio` is not one channel, or its length is not the alignment's to a tenth of a second.
    """
    if audio.ndim != 1 or abs(len(audio) / sample_rate_hz - alignment.duration_s) > _LARGEST_DIFFERENCE_S:
        raise AlignerError(
            f"{alignment.id}: audio of shape {audio.shape} at {sample_rate_hz} Hz for an alignment of "
            f"{alignment.duration_s:.2f} s"
        )
    title = title if title is not None else alignment.id
    end_s = alignment.duration_s
    if end_s > _LONGEST_S:
        title += f": the first {_LONGEST_S:g} of {end_s:.0f} s"
        end_s, audio = _LONGEST_S, audio[: round(_LONGEST_S * sample_rate_hz)]
    own_words, own_tokens = _until(end_s, alignment.words), _until(end_s, alignment.tokens)
    figure = _figure(end_s, height_inches=4.6)
    words, mel, phones, scores = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [0.7, 4, 0.9, 0.9]}
    )
    figure.suptitle(title, fontsize=_TITLE_POINTS, parse_math=False)
    _draw_log_mel(mel, audio, sample_rate_hz)
    _draw_row(words, own_words, "words", fontsize=10)
    _draw_row(phones, own_tokens, "phones", fontsize=8)
    _draw_scores(scores, own_tokens)
    for time_s, spread_s in alignment.spreads_s:
        phones.axvspan(time_s - spread_s, time_s + spread_s, color="darkorange", alpha=0.3, linewidth=0)
    for interval in own_tokens:
        mel.axvline(interval.start_s, color="white", linewidth=0.6, alpha=0.7)
    if reference is not None:
        _draw_reference(words, _until(end_s, reference.words))
        _draw_reference(phones, _until(end_s, reference.tokens))
        _draw_reference(mel, _until(end_s, reference.tokens or reference.words))
        figure.text(0.995, 0.995, "dashed: reference", color="crimson", ha="right", va="top", fontsize=8)
    scores.set_xlim(0, end_s)
    scores.set_xlabel("seconds")
    return figure


def plot_likelihoods(
    likelihoods: "SpokenLikelihoods", title: str, most_frames: int = MOST_FRAMES
) -> "Figure":
    """A picture of the matrix of likelihoods with the best path, as in the papers of Glow-TTS and Super-MAS.

    Time goes to the right, the tokens go up, each as high as it has states. Colours are log-likelihoods less
    the largest of each frame, which do not change the path.

    Args:
        likelihoods: Of one utterance.
        title: Of the picture.
        most_frames: Only so many are shown, with the states that the path visits in them, and the title says
            so. By default as many as are in a minute of 10 ms.
    """
    own, most = likelihoods, min(most_frames, likelihoods.matrix.shape[1])
    n_frames = int(own.durations.sum())
    if n_frames > most:
        title += f": the first {most} of {n_frames} frames"
        n_frames = most
    ends = np.cumsum(own.durations)
    rows = int(np.searchsorted(ends, n_frames)) + 1
    ends = np.minimum(ends[:rows], n_frames)
    matrix = own.matrix[:rows, :n_frames]
    matrix = matrix - matrix.max(0)
    first_rows = np.flatnonzero(np.diff(own.token[:rows], prepend=-1))
    heights = np.diff(first_rows, append=rows)
    height_inches = min(max(4.0, len(first_rows) * _INCHES_A_TOKEN + 1.0), _HIGHEST_INCHES)
    figure = _figure(n_frames / _FRAMES_AN_INCH / _INCHES_A_SECOND, height_inches)
    axes = figure.subplots()
    axes.set_title(title, fontsize=_TITLE_POINTS, parse_math=False)
    image = axes.imshow(
        matrix,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=float(np.quantile(matrix, _DARKEST_QUANTILE)),
        vmax=0.0,
        extent=(0, n_frames, 0, rows),
    )
    axes.stairs(np.arange(rows) + 0.5, [0, *ends], baseline=None, color="white", linewidth=2.2)
    axes.stairs(np.arange(rows) + 0.5, [0, *ends], baseline=None, color="crimson", linewidth=1.2)
    symbols = [own.symbols[place] for place in own.token[:rows][first_rows]]
    axes.set_yticks(first_rows + heights / 2, symbols, fontsize=_SMALL_POINTS, parse_math=False)
    axes.set_xlabel("frame")
    axes.set_ylabel("token")
    figure.colorbar(image, ax=axes, pad=0.01).set_label("log-likelihood, less the frame's largest")
    return figure


def plot_durations(alignment: Alignment, others: Mapping[str, Sequence[float]], title: str) -> "Figure":
    """A picture of the durations of an utterance's tokens, beside what is usual for each.

    Args:
        alignment: The utterance. Of one of more than a minute the first is shown, and the title says so.
        others: By symbol the lengths in seconds of the same token elsewhere; from the 5th to the 95th of 100
            of them is drawn as a line, their median as a mark. Symbols may be missing.
        title: Of the picture.
    """
    tokens = _until(_LONGEST_S, alignment.tokens)
    if len(tokens) < len(alignment.tokens):
        title += f": the first {_LONGEST_S:g} of {alignment.duration_s:.0f} s"
    places = np.arange(len(tokens))
    figure = _figure(len(tokens) * _INCHES_A_BAR / _INCHES_A_SECOND, height_inches=3.6)
    axes = figure.subplots()
    axes.set_title(title, fontsize=_TITLE_POINTS, parse_math=False)
    colours = ["lightgrey" if is_pause(token.symbol) else "steelblue" for token in tokens]
    axes.bar(places, [1000 * (token.end_s - token.start_s) for token in tokens], color=colours, width=0.8)
    for place, token in enumerate(tokens):
        if len(usual_s := others.get(token.symbol, ())) > 1:
            low, middle, high = 1000 * np.quantile(usual_s, (0.05, 0.5, 0.95))
            axes.vlines(place, low, high, color="crimson", linewidth=1.0)
            axes.plot(place, middle, "_", color="crimson")
    _name_bars(axes, [token.symbol for token in tokens])
    axes.set_xlim(-0.6, len(tokens) - 0.4)
    axes.set_ylabel("ms")
    return figure


def plot_occupancy(occupancy: NDArray[np.float64], symbols: Sequence[str]) -> "Figure":
    """A picture of the frames that each state learnt from: the pause has one state, each phone as many.

    Args:
        occupancy: `[M]`, the pause's state first.
        symbols: The vocabulary, the pause first.
    """
    states = (len(occupancy) - 1) // max(1, len(symbols) - 1)
    starts = np.concatenate([[0], 1 + states * np.arange(len(symbols) - 1)])
    figure = _figure(len(symbols) * _INCHES_A_BAR / _INCHES_A_SECOND, height_inches=3.6)
    axes = figure.subplots()
    for part in range(states):
        own = starts[1:] + part
        axes.bar(np.arange(1, len(symbols)) + 0.8 * (part + 0.5) / states - 0.4, occupancy[own], 0.8 / states)
    axes.bar(0, occupancy[0], 0.8, color="lightgrey")
    _name_bars(axes, symbols)
    axes.set_xlim(-0.6, len(symbols) - 0.4)
    axes.set_yscale("symlog")
    axes.set_ylabel("frames")
    return figure


def plot_features(
    frontends: "Mapping[str, Frontend]", features: "Mapping[str, Tensor]", title: str
) -> "Figure":
    """A picture of features: a panel for each frontend, channels by name over the time in seconds.

    Args:
        frontends: By the name to show; all with the same frame grid.
        features: What each of them made of one recording, `[S, C]`, by the same names. Colours suit channels
            of mean 0 and deviation 1.
        title: Of the picture.
    """
    grid = next(iter(frontends.values())).grid
    heights = [1.2 if frontend.channels == 1 else 3.2 for frontend in frontends.values()]
    figure = _figure(_start_s(grid, len(next(iter(features.values())))), sum(heights) + 0.6)
    panels = figure.subplots(len(frontends), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, frontend) in zip(panels, frontends.items(), strict=True):
        values = features[name].numpy()
        axes.set_ylabel(name)
        if frontend.channels == 1:
            axes.plot(
                grid.centre_s(np.arange(len(values), dtype=np.float64)),
                values[:, 0],
                label=frontend.channel_names[0],
            )
            axes.legend(loc="lower right", fontsize=_SMALL_POINTS)
        else:
            _draw_channels(axes, values, frontend.channel_names, grid)
    panels[0].set_title(
        f"{title}: {grid.hop_samples} samples a frame at {grid.sample_rate_hz} Hz",
        fontsize=_TITLE_POINTS,
        parse_math=False,
    )
    panels[-1].set_xlabel("seconds")
    return figure


def log_mel_db(audio: NDArray[np.float32], sample_rate_hz: int) -> tuple[NDArray[np.float32], FrameGrid]:
    """The log-mel that pictures and reports show, fine in time, and where its frames lie.

    Args:
        audio: One recording, `[N]`.
        sample_rate_hz: Its sample rate.

    Returns:
        `[C, S]` in dB, from -MEL_RANGE_DB to 0, the loudest; low frequencies first.
    """
    import librosa

    grid = FrameGrid(max(1, round(sample_rate_hz * _MEL_HOP_S)), sample_rate_hz, "center")
    n_fft = 1 << round(np.log2(sample_rate_hz * _MEL_WINDOW_S))
    n_frames = grid.frame_count(len(audio))
    # A part at a time, with what its first and last windows reach over: an hour's spectra are gigabytes.
    beside = -(-n_fft // grid.hop_samples)
    parts = []
    for first in range(0, n_frames, _MEL_PART_FRAMES):
        end = min(first + _MEL_PART_FRAMES, n_frames)
        before = min(first, beside)
        samples = audio[(first - before) * grid.hop_samples : (end + beside) * grid.hop_samples]
        samples = np.pad(samples, (0, max(0, n_fft - len(samples))))  # librosa warns of shorter ones
        power = librosa.feature.melspectrogram(
            y=np.asarray(samples, np.float32),
            sr=sample_rate_hz,
            n_fft=n_fft,
            hop_length=grid.hop_samples,
            n_mels=_MEL_BANDS,
            fmax=min(_MEL_FMAX_HZ, sample_rate_hz / 2),
        )
        parts.append(power[:, before : before + end - first])
    return librosa.power_to_db(np.concatenate(parts, 1), ref=np.max, top_db=MEL_RANGE_DB), grid


def save_picture(figure: "Figure", path: str | Path, dpi: int = _DOTS_AN_INCH) -> None:
    """Write a figure as a PNG, SVG or PDF file, by the suffix, atomically; the same figure as the same bytes.

    Args:
        figure: What a function of this file gave.
        path: The file.
        dpi: Dots an inch; of an SVG or PDF, those of the pictures in it.

    Raises:
        AlignerError: Another suffix.
    """
    import matplotlib

    format = picture_format(path)
    buffer = io.BytesIO()
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
    # Letters stay letters (type 42 in a PDF), which can be searched and which journals ask for.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "aligner"}):
        figure.savefig(buffer, format=format, dpi=dpi, metadata=undated)
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def picture_format(path: str | Path) -> str:
    """The format of a picture, by its suffix.

    Args:
        path: Of the file.

    Raises:
        AlignerError: Another suffix than those of `PICTURE_FORMATS`.
    """
    format = Path(path).suffix.lower().removeprefix(".")
    if format not in PICTURE_FORMATS:
        raise AlignerError(f"{path}: pictures are {', '.join(PICTURE_FORMATS)}; name one that ends so")
    return format


def _figure(duration_s: float, height_inches: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width_inches = min(max(_NARROWEST_INCHES, duration_s * _INCHES_A_SECOND), _WIDEST_INCHES)
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _until(end_s: float, intervals: tuple[Interval, ...]) -> tuple[Interval, ...]:
    return tuple(interval for interval in intervals if interval.start_s < end_s)


def _start_s(grid: FrameGrid, frame: int) -> float:
    return float(grid.boundary_s(np.array(frame)))


def _draw_log_mel(axes: "Axes", audio: NDArray[np.float32], sample_rate_hz: int) -> None:
    picture, grid = log_mel_db(audio, sample_rate_hz)
    extent = (_start_s(grid, 0), _start_s(grid, picture.shape[1]), 0, _MEL_BANDS)
    axes.imshow(picture, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="nearest")
    axes.set_ylabel("mel band")


def _draw_channels(
    axes: "Axes", values: NDArray[np.float32], names: tuple[str, ...], grid: FrameGrid
) -> None:
    image = axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=-_LARGEST_DEVIATION,
        vmax=_LARGEST_DEVIATION,
        extent=(_start_s(grid, 0), _start_s(grid, len(values)), -0.5, len(names) - 0.5),
    )
    shown = sorted({round(i * (len(names) - 1) / (_CHANNEL_NAMES - 1)) for i in range(_CHANNEL_NAMES)})
    axes.set_yticks(shown, [names[i] for i in shown], fontsize=_SMALL_POINTS)
    axes.figure.colorbar(image, ax=axes, pad=0.01)


def _name_bars(axes: "Axes", symbols: Sequence[str]) -> None:
    upright = all(len(symbol) <= _LETTERS_OF_A_BAR for symbol in symbols)
    axes.set_xticks(
        range(len(symbols)), symbols, fontsize=_SMALL_POINTS, rotation=0 if upright else 90, parse_math=False
    )


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
        starts, widths, heights = zip(*scored, strict=True)
        axes.bar(starts, heights, widths, align="edge", color="steelblue", edgecolor="white", linewidth=0.5)
    axes.set_ylim(0, 1)
    axes.set_ylabel("score", rotation=0, ha="right", va="center")


def _draw_reference(axes: "Axes", intervals: tuple[Interval, ...]) -> None:
    for time_s in {time_s for i in intervals for time_s in (i.start_s, i.end_s)}:
        axes.axvline(time_s, color="crimson", linewidth=1.0, linestyle="--")
