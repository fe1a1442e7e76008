"""Times the frontends: frames a second, and what 24 hours of speech take.

    python scripts/bench_features.py                               # the GPU if there is one, else the CPU
    python scripts/bench_features.py --hours 24 --batch-s 400
    python scripts/bench_features.py --device cpu --threads 1 --only yingram --pits ../pits

A corpus of clips of 1 to 10 s lies in memory. Timed is, batch by batch: padding, moving to the device,
features, moving them back. First each frontend's features on the device are compared with the same in float64
on the CPU; one that differs is reported and not timed, and makes the exit status 1. --pits says where PITS's
analysis.py and yin.py lie: its Yingram of the same frames is compared and timed beside ours, features alone.

B batch, N samples, S speech frames, C channels.
"""

import argparse
import copy
import importlib
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligner.frontends import Combine, Frontend, Mel, Nansy, Yingram
from aligner.frontends.base import pad_reflect

DAY_H = 24
TOLERANCE = 1e-4  # of a feature, or of its size where that is above 1
POOL_S = 120.0

FRONTENDS: dict[str, Callable[[], Frontend]] = {
    "mel hifigan": lambda: Mel("hifigan"),
    "cepstra 16k": lambda: Mel("16k-10ms", mels=23, cepstra=13, deltas=2, power=2.0, floor=1e-8),
    "yingram pits": lambda: Yingram("pits"),
    "yingram nansy": lambda: Yingram("nansy"),
    "mel + yingram": lambda: Combine([Mel("hifigan"), Yingram("pits")]),
    "nansy 16k": lambda: Nansy(16000, 160),
}


def speech_like(rate_hz: int) -> Tensor:
    """`POOL_S` seconds of syllables: a gliding buzz and noise, with pauses."""
    draw = np.random.default_rng(0)
    time_s = np.arange(int(POOL_S * rate_hz)) / rate_hz
    pitch_hz = 120 + 40 * np.sin(2 * np.pi * 0.3 * time_s)
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch_hz) / rate_hz))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time_s), 0, None)
    sound = syllables * (buzz + 0.2 * draw.standard_normal(len(time_s)))
    return torch.from_numpy((0.1 * sound + 1e-3 * draw.standard_normal(len(time_s))).astype(np.float32))


def corpus(rate_hz: int, hours: float, batch_s: float) -> Iterator[list[Tensor]]:
    """Batches of clips of like length, of at most `batch_s` together."""
    pool = speech_like(rate_hz)
    draw = np.random.default_rng(1)
    left_s = hours * 3600
    lengths_s = []
    while left_s > 0:
        lengths_s.append(min(draw.uniform(1, 10), max(left_s, 0.5)))
        left_s -= lengths_s[-1]
    batch: list[Tensor] = []
    for length_s in sorted(lengths_s, reverse=True):
        if batch and len(batch[0]) * (len(batch) + 1) > batch_s * rate_hz:
            yield batch
            batch = []
        start = int(draw.integers(len(pool) - int(length_s * rate_hz)))
        batch.append(pool[start : start + int(length_s * rate_hz)])
    yield batch


def padded(batch: list[Tensor]) -> tuple[Tensor, Tensor]:
    """audio `[B, N]` and audio_lengths `[B]`."""
    return torch.nn.utils.rnn.pad_sequence(batch, batch_first=True), torch.tensor([len(c) for c in batch])


def difference(frontend: Frontend, batch: list[Tensor], device: str) -> float:
    """The largest between features on the device and in float64 on the CPU, relative above 1."""
    audio, lengths = padded(batch)
    found, n_frames = (x.cpu() for x in frontend.to(device)(audio.to(device), lengths.to(device)))
    exact = copy.deepcopy(frontend).cpu().double()
    worst = 0.0
    for item, (sound, count) in enumerate(zip(batch, n_frames.tolist(), strict=True)):
        expected = in_float64(exact, sound, count)
        error = (found[item, :count].double() - expected).abs() / expected.abs().clamp(min=1)
        worst = max(worst, error.max().item()) if error.isfinite().all() else float("inf")
    return worst


def in_float64(frontend: Frontend, sound: Tensor, n_frames: int) -> Tensor:
    """Features `[S, C]` of one clip by a frontend made double."""
    if isinstance(frontend, Combine):
        return torch.cat([in_float64(part, sound, n_frames) for part in frontend.frontends], -1)
    return frontend.extract(sound.double()[None], torch.tensor([len(sound)]), n_frames)[0].double()


def seconds(device: str, call: Callable[[], object]) -> float:
    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def time_corpus(frontend: Frontend, batches: list[list[Tensor]], device: str) -> tuple[float, int]:
    """Seconds and frames of all batches, from memory to memory."""
    frames = 0

    def one(batch: list[Tensor]) -> None:
        nonlocal frames
        audio, lengths = padded(batch)
        features, n_frames = frontend(audio.to(device), lengths.to(device))
        features.cpu()
        frames += int(n_frames.sum())

    for batch in (batches[0], batches[-1]):
        one(batch)
    frames = 0
    with torch.inference_mode():
        taken = seconds(device, lambda: [one(batch) for batch in batches])
    return taken, frames


def time_pits(folder: Path, batch: list[Tensor], device: str) -> bool:
    """Print times of PITS's Yingram and ours on the same frames; false if they differ."""
    sys.path.insert(0, str(folder))
    pitch = importlib.import_module("analysis").Pitch(midi_start=-5, midi_end=75, octave_range=24).to(device)
    ours = Yingram("pits", noise_floor=0.0).to(device)
    audio, lengths = (x.to(device) for x in padded([clip[: len(batch[-1])] for clip in batch]))
    n_frames = ours.frame_count(audio.shape[1])
    windows = pad_reflect(audio, lengths, *ours.grid.padding(ours.settings.window_samples))

    def theirs() -> Tensor:
        return pitch.yingram(windows).mT[:, :n_frames]

    def mine() -> Tensor:
        return ours.extract(audio, lengths, n_frames)

    with torch.inference_mode():
        worst = (theirs() - mine()).abs().max().item()
        if worst > TOLERANCE:
            print(f"MISMATCH pits: {worst:.1e}, not timed")
            return False
        times_s = [[seconds(device, call) for call in (theirs, mine)] for _ in range(5)]
    their_s, our_s = np.median(times_s, axis=0)
    print(
        f"PITS's Yingram of {audio.numel() / 22050:.0f} s: {their_s * 1e3:.1f} ms, ours {our_s * 1e3:.1f} ms "
        f"({their_s / our_s:.1f} times as fast), {worst:.1e} apart"
    )
    return True


def machine(device: str) -> str:
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}, Python {platform.python_version()}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch takes)")
    parser.add_argument("--hours", type=float, help="of speech (default: 24 on a GPU, 0.05 on the CPU)")
    parser.add_argument("--batch-s", type=float, default=200.0, help="audio in a batch (default 200)")
    parser.add_argument("--only", default="", metavar="TEXT", help="frontends whose name has this in it")
    parser.add_argument("--pits", type=Path, metavar="DIR", help="folder with PITS's analysis.py and yin.py")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    hours = args.hours or (DAY_H if args.device.startswith("cuda") else 0.05)
    print(machine(args.device))
    print(f"{hours} h of speech in clips of 1 to 10 s, {args.batch_s:.0f} s a batch\n")
    titles = f"{'channels':>8} {'off by':>8} {'seconds':>8} {'frames/s':>12} {'24 h take, s':>13}"
    print(f"{'frontend':16} {titles}")
    wrong = False
    for name, make in FRONTENDS.items():
        if args.only not in name:
            continue
        frontend = make()
        batches = list(corpus(frontend.sample_rate_hz, hours, args.batch_s))
        off = difference(frontend, batches[-1][-8:], args.device)
        if off > TOLERANCE:
            print(f"MISMATCH {name}: off by {off:.1e}, not timed")
            wrong = True
            continue
        taken, frames = time_corpus(frontend, batches, args.device)
        day_s = taken * DAY_H / hours
        print(
            f"{name:16} {frontend.channels:8d} {off:8.0e} {taken:8.2f} {frames / taken:12,.0f} {day_s:13.1f}"
        )
    if args.pits:
        batch = next(corpus(22050, 0.05, 40.0))
        wrong |= not time_pits(args.pits, batch, args.device)
    if args.device.startswith("cuda"):
        print(f"GPU memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
