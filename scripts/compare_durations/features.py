"""What FastSpeech2 hears of a corpus, in one file: mel, energy and pitch.

U utterances, N samples, S speech frames; ΣS the frames of all utterances, one after the other.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from aligner.alignment import FrameGrid
from aligner.corpus.prepared import Utterance, load_audio, load_utterances
from aligner.errors import AlignerError
from aligner.formats.tts import PRESETS
from aligner.frontends import Mel

GRID: FrameGrid = PRESETS["fastspeech2"]
N_FFT = 1024
F0_LOWEST_HZ, F0_HIGHEST_HZ = 71.0, 500.0  # a grown-up reader's


@dataclass(frozen=True)
class Features:
    """Recordings as FastSpeech2 learns them.

    Args:
        ids: `[U]`.
        texts: Words of each utterance in small letters, `[U]`.
        frames: Frames of each utterance, `[U]`.
        mel: Natural logarithm of mel amplitudes, `[ΣS, 80]`.
        energy: Norm of each frame's amplitudes, `[ΣS]`.
        f0_hz: Pitch, 0 where there is no voice, `[ΣS]`; what voices are trained on.
        held_out: Which utterances no voice is trained on, `[U]`.
        heard_f0_hz: Pitch of the held-out utterances as `pitch_of` hears it, one after the other.
    """

    ids: NDArray[np.str_]
    texts: NDArray[np.str_]
    frames: NDArray[np.int64]
    mel: NDArray[np.float16]
    energy: NDArray[np.float32]
    f0_hz: NDArray[np.float32]
    held_out: NDArray[np.bool_]
    heard_f0_hz: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write one compressed file."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Features":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(**{name: file[name] for name in file.files})


def pitch_of(sound: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """F0 in Hz by probabilistic YIN, 0 where there is no voice, `[frames]`.

    To measure with. DIO, which FastSpeech2 is trained on, finds voice elsewhere in speech by Griffin-Lim
    than in the recording (22 % of the frames of four of `kathleen`; probabilistic YIN 8 %).

    Args:
        sound: `[N]` at `GRID.sample_rate_hz`.
        frames: How many.
    """
    f0_hz, _, _ = librosa.pyin(
        sound, fmin=F0_LOWEST_HZ, fmax=F0_HIGHEST_HZ, sr=GRID.sample_rate_hz, frame_length=N_FFT,
        hop_length=GRID.hop_samples, fill_na=0.0,
    )  # fmt: skip
    return np.pad(f0_hz, (0, max(0, frames - len(f0_hz))))[:frames].astype(np.float32)


def features_of(audio: torch.Tensor) -> tuple[NDArray, NDArray, NDArray]:
    """Mel, energy and pitch of one recording as FastSpeech2's `preprocessor.py` makes them.

    Args:
        audio: `[N]` at `GRID.sample_rate_hz`, within -1..1.
    """
    import pyworld

    n_frames = GRID.frame_count(len(audio))
    log_mel = Mel(preset="fastspeech2").extract(audio[None], torch.tensor([len(audio)]), n_frames)[0]
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        audio, N_FFT, GRID.hop_samples, window=window, pad_mode="reflect", return_complex=True
    )
    energy = spectrum.abs().norm(dim=0)
    sound = audio.double().numpy()
    f0_hz, times_s = pyworld.dio(sound, GRID.sample_rate_hz, frame_period=1000 * GRID.hop_s)
    f0_hz = pyworld.stonemask(sound, f0_hz, times_s, GRID.sample_rate_hz)[:n_frames]
    return log_mel.half().numpy(), energy.float().numpy(), f0_hz.astype(np.float32)


def gather(prepared: Path, n_held_out: int, n_utterances: int | None) -> Features:
    """Mel, energy and pitch of a corpus.

    Args:
        prepared: What `aligner prepare` wrote.
        n_held_out: Utterances to hold out, drawn at random.
        n_utterances: How many of the corpus to take; None: all.

    Raises:
        AlignerError: If there are not more utterances than those to hold out.
    """
    utterances = list(load_utterances(prepared))[:n_utterances]
    if not 0 < n_held_out < len(utterances):
        raise AlignerError(f"{n_held_out} of {len(utterances)} utterances cannot be held out")
    held_out = np.zeros(len(utterances), bool)
    held_out[np.random.default_rng(0).choice(len(utterances), n_held_out, replace=False)] = True
    rows, heard = [], []
    for utterance, held in zip(utterances, held_out, strict=True):
        audio = load_audio(utterance, GRID.sample_rate_hz).clamp(-1, 1)
        rows.append(features_of(audio))
        if held:
            heard.append(pitch_of(audio.numpy(), len(rows[-1][0])))
    mel, energy, f0_hz = (np.concatenate(column) for column in zip(*rows, strict=True))
    frames = np.array([len(row[0]) for row in rows])
    ids, texts = (np.array(list(column)) for column in zip(*map(id_and_text, utterances), strict=True))
    return Features(ids, texts, frames, mel, energy, f0_hz, held_out, np.concatenate(heard))


def id_and_text(utterance: Utterance) -> tuple[str, str]:
    """An utterance's name, and its words in small letters."""
    return utterance.id, " ".join(word.text for word in utterance.transcript.words).lower()


def run(args: argparse.Namespace) -> None:
    """The step `features`."""
    features = gather(args.prepared, args.held_out, args.utterances)
    features.save(args.out)
    print(
        f"{len(features.ids)} utterances, {features.held_out.sum()} of them held out, "
        f"{features.frames.sum()} frames; in {args.out}"
    )


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`features`."""
    parser = commands.add_parser("features", help="mel, energy and pitch, in one file")
    parser.add_argument("prepared", type=Path, help="what `aligner prepare` wrote")
    parser.add_argument("--held-out", type=int, default=50)
    parser.add_argument("--utterances", type=int, help="take the first ones only")
    parser.add_argument("--out", type=Path, required=True, help="an .npz file")
    parser.set_defaults(run=run)
