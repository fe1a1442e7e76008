"""What noise and reverberation do to boundaries: errors by the kind of noise and its level.

    python scripts/bench_noise.py --checkpoint en-us --data prepared
    python scripts/bench_noise.py --checkpoint en-us --data prepared --kinds pink --levels 10 --room-s 0
    python scripts/bench_noise.py --fit ljspeech --data prepared --levels 10   # also in training

Every recording of a prepared corpus with known times is put into a room, gets noise, and is aligned. The
room is synthetic: its echoes are white noise that decays by 60 dB in --room-s (0: no room) and has
--direct-db less energy than what comes straight; that comes without delay, so that the known times stay. The
level is that of the recording in the room above the noise, in energy, both over the whole of it. Babble is
eight other recordings of the corpus together. With --fit an aligner is trained for each row on these
recordings, which are written to a temporary folder.

`error` is the mean error of a boundary against the known times, of words, or of phones where there are none;
`times clean` compares it with that of the recordings as they are.

N samples.
"""

import argparse
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from bench_silence import known_utterances, measured, parser_of
from numpy.typing import NDArray

from aligner import Aligner
from aligner.commands.output import print_table, progress
from aligner.corpus.prepared import Utterance, evenly_spread, load_audio
from aligner.errors import AlignerError
from aligner.evaluate import boundary_figures
from aligner.training.degradation import in_a_room, with_noise

BABBLE_VOICES = 8  # of fewer, single words are understood
HUM_HZ, HUM_HARMONICS = 50, 10
PEAK = 0.9  # of a file, so that nothing is clipped

Sound = NDArray[np.float64]
Others = Callable[[int], Sound]  # babble of so many samples
Kind = Callable[[int, int, np.random.Generator, Others], Sound]


def _pink(n: int, rate_hz: int, draw: np.random.Generator, others: Others) -> Sound:
    """Noise with as much energy in each octave."""
    spectrum = np.fft.rfft(draw.standard_normal(n))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n)


def _hum(n: int, rate_hz: int, draw: np.random.Generator, others: Others) -> Sound:
    """Mains: 50 Hz and its harmonics, each half as strong as the one before, in any phase."""
    radians = 2 * np.pi * HUM_HZ / rate_hz * np.arange(n)
    return sum(
        (0.5**k * np.sin((k + 1) * radians + draw.uniform(0, 2 * np.pi)) for k in range(HUM_HARMONICS)),
        np.zeros(n),
    )


KINDS: dict[str, Kind] = {
    "white": lambda n, rate_hz, draw, others: draw.standard_normal(n),
    "pink": _pink,
    "babble": lambda n, rate_hz, draw, others: others(n),
    "hum": _hum,
}


@dataclass(frozen=True)
class Cell:
    """A row of the table.

    Args:
        kind: Of noise, a key of `KINDS`; "" for none.
        level_db: Of the speech above the noise.
        room_s: The time in which the room's echoes decay by 60 dB; 0: no room.
        direct_db: How far the energy of the echoes is below that of what comes straight.
    """

    kind: str = ""
    level_db: float = 0.0
    room_s: float = 0.0
    direct_db: float = 0.0

    def __str__(self) -> str:
        room = f"room {self.room_s:g} s" if self.room_s else ""
        noise = f"{self.kind} {self.level_db:g} dB" if self.kind else ""
        return ", ".join(part for part in (room, noise) if part) or "as recorded"


def degraded(sound: Sound, rate_hz: int, cell: Cell, draw: np.random.Generator, others: Others) -> Sound:
    """The samples `[N]` in the cell's room with its noise."""
    if cell.room_s:
        sound = in_a_room(sound, rate_hz, cell.room_s, cell.direct_db, draw)
    if cell.kind:
        sound = with_noise(sound, KINDS[cell.kind](len(sound), rate_hz, draw, others), cell.level_db)
    return sound * min(1.0, PEAK / max(np.abs(sound).max(), np.finfo(float).tiny))


def babble(own: Utterance, corpus: Sequence[Utterance], draw: np.random.Generator) -> Others:
    """Other recordings together, each repeated from a random place; of other speakers, if there are any."""
    pool = [u for u in corpus if u.id != own.id and u.speaker != own.speaker]
    pool = pool or [u for u in corpus if u.id != own.id]
    if not pool:
        raise AlignerError("babble is made of other recordings, and there is one")

    def several(n: int) -> Sound:
        total = np.zeros(n)
        for place in draw.choice(len(pool), min(BABBLE_VOICES, len(pool)), replace=False):
            voice = load_audio(pool[place], own.audio_rate_hz).numpy().astype(np.float64)
            voice /= max(np.sqrt(np.mean(voice**2)), np.finfo(float).tiny)
            total += np.resize(np.roll(voice, int(draw.integers(len(voice)))), n)
        return total

    return several


def in_a_file(corpus: Sequence[Utterance], cell: Cell, utterance: Utterance, folder: Path) -> Utterance:
    """The utterance in the cell's room with its noise, its sound in a file of the folder."""
    if cell == Cell():
        return utterance
    draw = np.random.default_rng(zlib.crc32(utterance.id.encode()))
    rate_hz = utterance.audio_rate_hz
    sound = load_audio(utterance, rate_hz).numpy().astype(np.float64)
    sound = degraded(sound, rate_hz, cell, draw, babble(utterance, corpus, draw))
    path = folder / f"{utterance.id}.wav"
    soundfile.write(path, sound, rate_hz, "PCM_16")
    return replace(utterance, audio=path, start_s=0.0, channels=(0,))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--levels", nargs="*", type=float, default=[20, 10, 5, 0], metavar="DB")
    parser.add_argument("--room-s", type=float, default=0.4, help="0: no room (default: %(default)s)")
    parser.add_argument("--direct-db", type=float, default=3.0, help="(default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    """Measure every cell and print the table."""
    args = arguments()
    known = known_utterances(args.data)
    sample = evenly_spread(known, args.utterances)
    room = Cell(room_s=args.room_s, direct_db=args.direct_db)
    cells = [replace(room, kind=kind, level_db=level) for kind in args.kinds for level in args.levels]
    rows: list[list[str]] = []
    clean_ms = 0.0
    aligner = None if args.fit else Aligner.load(args.checkpoint, args.device)
    for cell in progress([Cell(), *([room] if args.room_s else []), *cells], "noise"):
        figures = boundary_figures(measured(args, sample, partial(in_a_file, known, cell), aligner).errors_ms)
        mean_ms = figures["mean_ms"] or 0.0
        clean_ms = clean_ms or mean_ms
        shown = [figures[name] for name in ("mean_ms", "median_ms", "within_20ms", "beyond_100ms")]
        rows.append([str(cell), *(f"{figure:.1f}" for figure in shown), f"{mean_ms / clean_ms:.2f}"])
        print("\t".join(rows[-1]), file=sys.stderr, flush=True)
    print_table(
        ["noise", "error ms", "median", "<= 20 ms %", "> 100 ms %", "times clean"],
        rows,
        title=f"{args.checkpoint or args.fit}, {len(sample)} utterances of {args.data}",
        figures=True,
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AlignerError as error:
        sys.exit(f"bench_noise: {error}")
