"""Trains RAD-TTS's aligner twice, with its own loss and with `mas.compat.ForwardSumLoss`: one loss curve.

    git clone https://github.com/NVIDIA/radtts
    python scripts/compare_alignment_loss.py LJSpeech-1.1 --radtts radtts --out curves.csv

Everything but the loss is RAD-TTS's `ConvAttention` over embedded characters and log-mels, from the same
weights, with the same batches. Prints the largest relative difference between the two curves; the exit status
is 1 where one is above 1e-3 (rounding grows over the steps) or the loss did not fall.

B batch, T characters, S mel frames, M mel bands.
"""

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from torch import Tensor, nn

from mas.compat import ForwardSumLoss

RATE_HZ, N_FFT, HOP, M, CHANNELS = 22050, 1024, 256, 80, 512
_MOST_APART = 1e-3


def log_mel(path: Path) -> Tensor:
    """`[M, S]`, as RAD-TTS's configuration has it."""
    audio, _ = librosa.load(path, sr=RATE_HZ)
    mel = librosa.feature.melspectrogram(
        y=audio, sr=RATE_HZ, n_fft=N_FFT, hop_length=HOP, n_mels=M, fmax=8000, power=1.0
    )
    return torch.from_numpy(np.log(np.maximum(mel, 1e-5)))


def load(folder: Path) -> tuple[list[tuple[Tensor, Tensor]], int]:
    """Characters `[T]` and log-mels `[M, S]` of a folder in LJSpeech's layout, and the number of symbols."""
    rows = [line.split("|") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    symbols = {symbol: n for n, symbol in enumerate(sorted({c for row in rows for c in row[-1]}))}
    sounds = {path.stem: path for path in (folder / "wavs").iterdir()}
    pairs = [(torch.tensor([symbols[c] for c in row[-1]]), log_mel(sounds[row[0]])) for row in rows]
    return pairs, len(symbols)


def curve(
    loss_of: Any,
    attention: type,
    pairs: list[tuple[Tensor, Tensor]],
    n_symbols: int,
    args: argparse.Namespace,
) -> list[float]:
    """The loss of each step."""
    torch.manual_seed(0)
    embedding, model = nn.Embedding(n_symbols, CHANNELS), attention(M, CHANNELS)
    both = nn.ModuleList([embedding, model]).to(args.device)
    optimizer = torch.optim.Adam(both.parameters(), 1e-3)
    draw = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(args.steps):
        batch = [pairs[i] for i in torch.randperm(len(pairs), generator=draw)[: args.batch].tolist()]
        texts, mels = zip(*batch, strict=True)
        in_lens, out_lens = (torch.tensor([own.shape[-1] for own in group]) for group in (texts, mels))
        text = nn.utils.rnn.pad_sequence(texts, batch_first=True).to(args.device)
        mel = nn.utils.rnn.pad_sequence([own.T for own in mels], batch_first=True).mT.to(args.device)
        _, scores = model(mel, embedding(text).mT, out_lens)
        loss = loss_of(scores, in_lens, out_lens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="a folder in LJSpeech's layout")
    parser.add_argument("--radtts", type=Path, required=True, metavar="DIR", help="a checkout of RAD-TTS")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV")
    args = parser.parse_args()
    sys.path.insert(0, str(args.radtts))
    from common import ConvAttention  # type: ignore[import-not-found]
    from loss import AttentionCTCLoss  # type: ignore[import-not-found]

    pairs, n_symbols = load(args.corpus)
    curves = {}
    for name, loss_of in (("RAD-TTS", AttentionCTCLoss()), ("mas", ForwardSumLoss())):
        began = time.perf_counter()
        curves[name] = curve(loss_of, ConvAttention, pairs, n_symbols, args)
        took_s = time.perf_counter() - began
        print(f"{name}: {curves[name][0]:.4f} to {curves[name][-1]:.4f} in {took_s:.0f} s", flush=True)
    theirs, ours = (np.array(values) for values in curves.values())
    with open(args.out, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("step", *curves), *zip(range(args.steps), theirs, ours, strict=True)])
    apart = np.abs(ours / theirs - 1)
    print(
        f"largest relative difference {apart.max():.1e} (step {apart.argmax()}), of the first {apart[0]:.1e}"
    )
    return int(not (apart.max() <= _MOST_APART and ours[-1] < ours[0]))


if __name__ == "__main__":
    sys.exit(main())
