"""What silence around and between the words does to boundaries: errors by its kind, length and place.

    python scripts/bench_silence.py --checkpoint runs/timit/checkpoints/last.ckpt --data prepared
    python scripts/bench_silence.py --checkpoint last.ckpt --data prepared --seconds 2 10 --kinds zeros hum
    python scripts/bench_silence.py --fit ljspeech --data prepared --seconds 2 10   # also in training

Every recording of a prepared corpus with known times gets the silence (at its start, its end, both, or where
the word nearest to its middle ends), its known times move along, and the checkpoint aligns it. `error` is the
mean error of a boundary against the known times: of words, or of phones where there are none. `moved` is
how far boundaries are from where they are without the silence. With --fit an aligner is trained for each row,
on recordings that have the silence, which are written to a temporary folder.

N samples.
"""

import argparse
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner import Aligner
from aligner.align_batches import batches
from aligner.alignment import Alignment, Interval, is_pause
from aligner.commands.output import print_table, progress
from aligner.corpus.prepared import (
    Utterance,
    evenly_spread,
    load_audio,
    load_info,
    load_utterances,
    save_corpus,
)
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.evaluate import boundary_figures, compare
from aligner.text.transcript import PAUSE

PLACES = ("start", "end", "both", "middle")
Kind = Callable[[int, int, np.random.Generator], NDArray[np.float64]]


def noise(level_db: float) -> Kind:
    """White noise, its level the root mean square below full scale."""
    return lambda n, rate_hz, draw: 10 ** (level_db / 20) * draw.standard_normal(n)


KINDS: dict[str, Kind] = {
    "zeros": lambda n, rate_hz, draw: np.zeros(n),
    "noise-55": noise(-55),
    "noise-70": noise(-70),
    "noise-45": noise(-45),
    "brown": lambda n, rate_hz, draw: _scaled(np.cumsum(draw.standard_normal(n)), -50),
    "hum": lambda n, rate_hz, draw: 0.01 * np.sin(2 * np.pi * 50 / rate_hz * np.arange(n)),
    "offset": lambda n, rate_hz, draw: np.full(n, 0.05),
    "dither": lambda n, rate_hz, draw: draw.integers(-1, 2, n) / 32768,
    "clicks": lambda n, rate_hz, draw: np.where(np.arange(n) % (rate_hz * 7 // 10) == rate_hz // 3, 0.5, 0.0),
    "beep": lambda n, rate_hz, draw: _beep(n, rate_hz),
}


def _scaled(sound: NDArray[np.float64], level_db: float) -> NDArray[np.float64]:
    """The sound without what is slower than 800 samples, also at its ends: a step there is a click."""
    width = np.ones(801)
    sound = sound - np.convolve(sound, width, "same") / np.convolve(np.ones(len(sound)), width, "same")
    return 10 ** (level_db / 20) * sound / np.sqrt(np.mean(sound**2))


def _beep(n: int, rate_hz: int) -> NDArray[np.float64]:
    """A tone of 1 kHz and 0.4 s in the middle of zeros."""
    time_s = np.arange(n) / rate_hz
    return 0.1 * np.sin(2 * np.pi * 1000 * time_s) * (abs(time_s - n / rate_hz / 2) < 0.2)


@dataclass(frozen=True)
class Cell:
    """A row of the table.

    Args:
        kind: Of silence, a key of `KINDS`; "" for none.
        seconds: Of each silence.
        place: One of `PLACES`.
    """

    kind: str = ""
    seconds: float = 0.0
    place: str = ""

    def cuts_s(self, reference: Alignment) -> list[float]:
        """Where in a recording the silence goes in; [] where there is no such place."""
        middle = [] if self.place != "middle" else _word_ends_s(reference)
        edges = {"start": [0.0], "end": [reference.duration_s], "both": [0.0, reference.duration_s]}
        nearest = sorted(middle, key=lambda end_s: abs(end_s - reference.duration_s / 2))[:1]
        return edges.get(self.place, nearest)


def _word_ends_s(reference: Alignment) -> list[float]:
    """The ends of words but the last; without words, the middle of pauses between phones."""
    if reference.words:
        return [word.end_s for word in reference.words[:-1]]
    return [(t.start_s + t.end_s) / 2 for t in reference.tokens[1:-1] if is_pause(t.symbol)]


def with_silence(sound: Tensor, rate_hz: int, cuts_s: Sequence[float], cell: Cell, seed: int) -> Tensor:
    """The samples `[N]` with silence at each of the cuts."""
    draw = np.random.default_rng(seed)
    parts: list[Tensor] = []
    at = 0
    for cut_s in cuts_s:
        cut = round(cut_s * rate_hz)
        silence = KINDS[cell.kind](round(cell.seconds * rate_hz), rate_hz, draw)
        parts += [sound[at:cut], torch.from_numpy(silence).float()]
        at = cut
    return torch.cat([*parts, sound[at:]])


def moved(alignment: Alignment, cuts_s: Sequence[float], seconds: float) -> Alignment:
    """The alignment of the recording with the silence: what starts or ends after a cut is that much later."""

    def later(time_s: float, is_start: bool) -> float:
        return time_s + seconds * sum(cut < time_s or (is_start and cut == time_s) for cut in cuts_s)

    def shift(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
        return tuple(
            replace(i, start_s=later(i.start_s, True), end_s=later(i.end_s, False)) for i in intervals
        )

    words, tokens = shift(alignment.words), list(shift(alignment.tokens))
    duration_s = alignment.duration_s + seconds * len(cuts_s)
    for place in range(len(tokens), 0, -1):  # what lies between two tokens now is a pause
        before, after = tokens[place - 1], tokens[place] if place < len(tokens) else None
        start_s = duration_s if after is None else after.start_s
        if start_s > before.end_s:
            tokens.insert(place, Interval(PAUSE, before.end_s, start_s))
    if tokens and tokens[0].start_s > 0:
        tokens.insert(0, Interval(PAUSE, 0.0, tokens[0].start_s))
    return replace(alignment, duration_s=duration_s, tokens=tuple(tokens), words=words)


def with_silence_in_file(cell: Cell, utterance: Utterance, folder: Path) -> Utterance:
    """The utterance with the silence, its sound in a file of the folder."""
    assert utterance.reference is not None
    cuts_s = cell.cuts_s(utterance.reference) if cell.kind else []
    sound = load_audio(utterance, utterance.audio_rate_hz)
    seed = zlib.crc32(utterance.id.encode())
    sound = with_silence(sound, utterance.audio_rate_hz, cuts_s, cell, seed)
    path = folder / f"{utterance.id}.wav"
    soundfile.write(path, sound.numpy(), utterance.audio_rate_hz, "PCM_16")
    duration_s = len(sound) / utterance.audio_rate_hz
    reference = moved(replace(utterance.reference, duration_s=utterance.duration_s), cuts_s, cell.seconds)
    return replace(
        utterance,
        audio=path,
        duration_s=duration_s,
        start_s=0.0,
        channels=(0,),
        reference=replace(reference, duration_s=duration_s),
    )


def trained(config: str, utterances: Sequence[Utterance], data: Path, folder: Path) -> Path:
    """The checkpoint of an aligner trained on the utterances."""
    from aligner.training.lightning_cli import find_config, train

    save_corpus(folder / "prepared", utterances, load_info(data))
    settings = ["--data.data_dir", str(folder / "prepared"), "--trainer.accelerator", "cpu"]
    return Path(train([find_config(config)], settings, folder / "run")["checkpoint"])


@dataclass
class Result:
    """What an aligner made of the utterances of a cell.

    Args:
        alignments: By id.
        errors_ms: Of boundaries, against the known times.
        errors_of: The same by id.
        longest: The longest phone: seconds, symbol, id.
    """

    alignments: dict[str, Alignment]
    errors_ms: list[float]
    errors_of: dict[str, float]
    longest: tuple[float, str, str]


def measure(aligner: Aligner, utterances: Sequence[Utterance]) -> Result:
    """Align the utterances and compare with their known times."""
    result = Result({}, [], {}, (0.0, "", ""))
    rate_hz = aligner.frontend.sample_rate_hz
    by_id = {utterance.id: utterance for utterance in utterances}
    for ids in batches({utterance.id: utterance.duration_s for utterance in utterances}):
        batch = [by_id[id] for id in ids]
        alignments = aligner.align_batch([load_recording(utterance, rate_hz) for utterance in batch])
        for utterance, alignment in zip(batch, alignments, strict=True):
            assert utterance.reference is not None
            errors_ms = boundary_errors_ms(alignment, utterance.reference)
            result.alignments[utterance.id] = alignment
            result.errors_ms += errors_ms
            result.errors_of[utterance.id] = float(np.mean(np.abs(errors_ms))) if errors_ms else 0.0
            phones = [
                (t.end_s - t.start_s, t.symbol, utterance.id) for t in alignment.tokens if t.symbol != PAUSE
            ]
            result.longest = max([result.longest, *phones])
    return result


def boundary_errors_ms(alignment: Alignment, reference: Alignment) -> list[float]:
    """Of words; of phones where words are not known."""
    errors = compare(alignment, reference)
    return [*errors.word_starts_ms, *errors.word_ends_ms] or errors.phones_ms


def row(cell: Cell, result: Result, clean: Result, sample: Sequence[Utterance]) -> list[str]:
    """The figures of one cell, as text."""
    figures = boundary_figures(result.errors_ms)
    moves_ms: list[float] = []
    for utterance in sample if cell.place != "middle" else []:  # sides are a matter of taste there
        assert utterance.reference is not None
        cuts_s = cell.cuts_s(utterance.reference) if cell.kind else []
        before = moved(clean.alignments[utterance.id], cuts_s, cell.seconds)
        moves_ms += boundary_errors_ms(result.alignments[utterance.id], before)
    worst = max(result.errors_of, key=lambda id: result.errors_of[id] - clean.errors_of[id])
    seconds, symbol, id = result.longest
    name = f"{cell.seconds:g} s {cell.kind}, {cell.place}" if cell.kind else "as recorded"
    return [
        name,
        f"{figures['mean_ms']:.2f}",
        f"{figures['median_ms']:.2f}",
        f"{figures['beyond_100ms']:.2f}",
        f"{np.mean(np.abs(moves_ms)):.2f}" if moves_ms else "",
        f"{np.max(np.abs(moves_ms)):.0f}" if moves_ms else "",
        f"{worst} {clean.errors_of[worst]:.0f} -> {result.errors_of[worst]:.0f}",
        f"{seconds:.2f} s {symbol} ({id})",
    ]


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """What every measure of changed recordings is told: of which corpus, by which aligner."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="a prepared corpus with known times")
    trained_on = parser.add_mutually_exclusive_group(required=True)
    trained_on.add_argument("--checkpoint", help="an aligner")
    trained_on.add_argument(
        "--fit", metavar="CONFIG", help="train one for each row instead, as `aligner fit`"
    )
    parser.add_argument(
        "--utterances", type=int, default=80, help="evenly spread over the corpus (%(default)s)"
    )
    parser.add_argument("--device", default="cpu")
    return parser


def known_utterances(data: Path) -> list[Utterance]:
    """Those of a prepared corpus that have known times."""
    known = [utterance for utterance in load_utterances(data) if utterance.reference is not None]
    if not known:
        raise AlignerError(f"{data} has no utterance with known times")
    return known


def measured(
    args: argparse.Namespace,
    sample: Sequence[Utterance],
    change: Callable[[Utterance, Path], Utterance],
    aligner: Aligner | None,
) -> Result:
    """The sample, each utterance changed into a file of the folder, aligned and compared.

    Args:
        args: Of `parser_of`.
        sample: Utterances with known times.
        change: Called with each and the folder.
        aligner: None: one is trained on the changed utterances (--fit).
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        utterances = [change(utterance, folder) for utterance in sample]
        if aligner is None:
            aligner = Aligner.load(trained(args.fit, utterances, args.data, folder), args.device)
        return measure(aligner, utterances)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=["zeros", "noise-55"],
        choices=list(KINDS),
        metavar="KIND",
        help=f"{', '.join(KINDS)} (default: %(default)s)",
    )
    parser.add_argument("--seconds", nargs="+", type=float, default=[1, 2, 5, 10, 60])
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=PLACES)
    return parser.parse_args()


def main() -> int:
    """Measure every cell and print the table."""
    args = arguments()
    sample = evenly_spread(known_utterances(args.data), args.utterances)
    cells = [Cell(k, s, p) for k in args.kinds for s in args.seconds for p in args.places]
    rows: list[list[str]] = []
    clean: Result | None = None
    aligner = None if args.fit else Aligner.load(args.checkpoint, args.device)
    for cell in progress([Cell(), *cells], "silence"):
        result = measured(args, sample, partial(with_silence_in_file, cell), aligner)
        clean = clean or result
        rows.append(row(cell, result, clean, sample))
        print("\t".join(rows[-1]), file=sys.stderr, flush=True)
    header = [
        "silence",
        "error ms",
        "median",
        "> 100 ms %",
        "moved ms",
        "most",
        "worst: ms before -> with",
        "longest phone",
    ]
    print_table(
        header,
        rows,
        title=f"{args.checkpoint or args.fit}, {len(sample)} utterances of {args.data}",
        figures=True,
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AlignerError as error:
        sys.exit(f"bench_silence: {error}")
