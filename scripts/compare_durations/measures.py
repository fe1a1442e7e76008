"""How far synthesised held-out texts are from their recordings: spectrum, pitch and words understood.

S speech frames.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy.fft
import soundfile
from features import GRID, N_FFT, Features, pitch_of
from numpy.typing import NDArray
from recogniser import word_errors, words_heard

from aligner.errors import AlignerError

CEPSTRA = 24  # without the first, which is the level
MEASURES = ("mcd_db", "f0_cents", "voicing_percent", "length_percent", "words_percent")
RECORDINGS = "recordings"  # their own mels through the same Griffin-Lim: what the measures give at best
GRIFFIN_LIM_ITERATIONS = 60  # FastSpeech2's audio/tools.py


def cepstra(log_mel: NDArray) -> NDArray:
    """Mel-cepstra 1 to `CEPSTRA`, `[S, CEPSTRA]`: distances of rows are root mean squares over bands, dB.

    Args:
        log_mel: Natural logarithm of mel amplitudes, `[S, 80]`.
    """
    values = scipy.fft.dct(log_mel.astype(np.float64), axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    return 20 / np.log(10) * values / np.sqrt(log_mel.shape[1])


def sound_of(log_mel: NDArray) -> NDArray[np.float32]:
    """A waveform by Griffin-Lim, the same each time.

    Args:
        log_mel: As in `cepstra`.
    """
    amplitudes = np.maximum(_inverse_filterbank() @ np.exp(log_mel.astype(np.float32)).T, 0.0)
    return librosa.griffinlim(
        amplitudes, n_iter=GRIFFIN_LIM_ITERATIONS, hop_length=GRID.hop_samples, n_fft=N_FFT, random_state=0
    )


def compare(
    recorded_mel: NDArray, recorded_f0_hz: NDArray, spoken_mel: NDArray, spoken_f0_hz: NDArray
) -> dict[str, float]:
    """The distances of one utterance.

    mcd_db: mel-cepstral distortion along the best time warping. f0_cents: root mean square of the pitch
    difference along it where both are voiced. voicing_percent: frames along it where only one is voiced.
    length_percent: how much the lengths differ.

    Args:
        recorded_mel: Of the recording, `[S, 80]`.
        recorded_f0_hz: Likewise, `[S]`.
        spoken_mel: Of the voice, with another S.
        spoken_f0_hz: Likewise.
    """
    ours, theirs = cepstra(recorded_mel), cepstra(spoken_mel)
    cost = np.sqrt(((ours[:, None] - theirs[None]) ** 2).sum(-1))
    _, path = librosa.sequence.dtw(C=cost)
    at, other = path.T
    voiced, other_voiced = recorded_f0_hz[at] > 0, spoken_f0_hz[other] > 0
    both = voiced & other_voiced
    cents = 1200 * np.log2(recorded_f0_hz[at][both] / spoken_f0_hz[other][both])
    return {
        "mcd_db": float(cost[at, other].mean()),
        "f0_cents": float(np.sqrt(np.mean(cents**2))) if both.any() else float("nan"),
        "voicing_percent": 100 * float(np.mean(voiced != other_voiced)),
        "length_percent": 100 * abs(len(spoken_mel) / len(recorded_mel) - 1),
    }


def measures_of(
    recorded_mel: NDArray, recorded_f0_hz: NDArray, text: str, spoken_mel: NDArray
) -> dict[str, float]:
    """`MEASURES` of one utterance: those of `compare`, and wrongly understood words in percent of the text's.

    Args:
        recorded_mel: As in `compare`.
        recorded_f0_hz: As in `compare`.
        text: Its words.
        spoken_mel: As in `compare`.
    """
    sound = sound_of(spoken_mel)
    said = text.split()
    errors = word_errors(said, words_heard(sound, GRID.sample_rate_hz))
    return compare(recorded_mel, recorded_f0_hz, spoken_mel, pitch_of(sound, len(spoken_mel))) | {
        "words_percent": 100 * errors / len(said)
    }


def measure(features: Features, runs: Path, samples: int, processes: int | None) -> dict[str, Any]:
    """The measures of every voice and of the recordings' own mels.

    Args:
        features: The corpus.
        runs: What the step `train` wrote; sounds of the first texts are written to `runs/samples`.
        samples: How many texts.
        processes: At a time; None: one a processor.

    Raises:
        AlignerError: If there is no voice, or one of other texts than those held out.
    """
    held_out = np.flatnonzero(features.held_out)
    ends = np.cumsum(features.frames)
    mels = np.split(features.mel, ends[:-1])
    heard = np.split(features.heard_f0_hz, np.cumsum(features.frames[held_out])[:-1])
    texts = [str(text) for text in features.texts[held_out]]
    recorded = [(mels[index], f0_hz, text) for index, f0_hz, text in zip(held_out, heard, texts, strict=True)]
    voices = {RECORDINGS: [mel for mel, _, _ in recorded]}
    results: dict[str, Any] = {}
    for path in sorted(runs.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            if list(file["ids"]) != list(features.ids[held_out]):
                raise AlignerError(f"{path}: its held-out texts are not those of the features")
            voices[path.stem] = np.split(file["mel"], np.cumsum(file["frames"])[:-1])
            kinds = ("losses", "loss_names", "curve", "steps", "seconds")
            results[path.stem] = {name: file[name] for name in kinds}
    if not results:
        raise AlignerError(f"{runs}: no voices; the step `train` writes them")
    jobs = [(*row, mel) for voice in voices.values() for row, mel in zip(recorded, voice, strict=True)]
    # Each process has one thread, set before it loads numpy.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(measures_of, *zip(*jobs, strict=True), chunksize=8))
    for number, name in enumerate(voices):
        rows = found[number * len(held_out) : (number + 1) * len(held_out)]
        results.setdefault(name, {})["measures"] = np.array([[row[m] for m in MEASURES] for row in rows])
    _write_samples(runs / "samples", features.ids[held_out[:samples]], voices)
    return results


def _write_samples(folder: Path, ids: Sequence[str], voices: dict[str, list[NDArray]]) -> None:
    folder.mkdir(exist_ok=True)
    for name, mels in voices.items():
        for id, mel in zip(ids, mels, strict=False):
            sound = sound_of(mel)
            path = folder / f"{id}-{name}.flac"
            soundfile.write(path, 0.9 * sound / max(abs(sound).max(), 1e-3), GRID.sample_rate_hz)


@cache
def _inverse_filterbank() -> NDArray[np.float32]:
    filterbank = librosa.filters.mel(sr=GRID.sample_rate_hz, n_fft=N_FFT, n_mels=80, fmin=0, fmax=8000)
    return np.linalg.pinv(filterbank).astype(np.float32)


def run(args: argparse.Namespace) -> None:
    """The step `measure`."""
    os.environ["OMP_NUM_THREADS"] = "1"
    results = measure(Features.load(args.features), args.runs, args.samples, args.processes)
    packed = {f"{voice}/{kind}": values for voice, its in results.items() for kind, values in its.items()}
    np.savez_compressed(args.out, **packed)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`measure`."""
    parser = commands.add_parser("measure", help="distances of the synthesised texts from their recordings")
    parser.add_argument("features", type=Path)
    parser.add_argument("runs", type=Path, help="what the step `train` wrote")
    parser.add_argument("--out", type=Path, required=True, help="an .npz file, not among the runs")
    parser.add_argument("--samples", type=int, default=3, help="texts of which sounds are written")
    parser.add_argument("--processes", type=int, help="at a time (default: one a processor)")
    parser.set_defaults(run=run)
