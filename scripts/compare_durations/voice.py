"""ming024's FastSpeech2, its corpus in the memory of a device, and its training.

B batch, T text tokens, S speech frames.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from durations import Durations
from features import Features
from numpy.typing import NDArray
from packed import PackedCorpus
from torch import Tensor, nn
from trainer import Trainer

from aligner.errors import AlignerError

SETTINGS = "LJSpeech"  # of its config/
BATCH, GROUP = 16, 4  # its train.yaml and train.py: batches of 16 of similar length among 64 at random


class LengthRegulator(nn.Module):
    """Each token's vector repeated for its frames: FastSpeech2's own, without a loop over tokens."""

    def forward(self, x: Tensor, duration: Tensor, max_len: int | None) -> tuple[Tensor, Tensor]:
        """The frames `[B, S, C]` of `x` `[B, T, C]`, and how many each item has."""
        ends = duration.long().clamp(min=0).cumsum(1)
        lengths = ends[:, -1]
        frames = torch.arange(max_len or int(lengths.max()), device=x.device).expand(len(x), -1).contiguous()
        tokens = torch.searchsorted(ends, frames, right=True).clamp(max=x.shape[1] - 1)
        repeated = x.gather(1, tokens[..., None].expand(-1, -1, x.shape[2]))
        return repeated * (frames < lengths[:, None])[..., None], lengths


@dataclass(frozen=True)
class PerToken:
    """Pitch or energy of each token, normalised as FastSpeech2's `preprocessor.py` does it."""

    values: NDArray[np.float32]
    mean: float
    deviation: float

    @classmethod
    def of(
        cls, per_frame: NDArray, durations: NDArray, token_starts: NDArray, training: NDArray
    ) -> "PerToken":
        """The mean over each token's frames; mean and deviation are those of training utterances' tokens
        without outliers."""
        ends = np.cumsum(durations)
        sums = np.concatenate([[0.0], np.cumsum(per_frame, dtype=np.float64)])
        means = (sums[ends] - sums[ends - durations]) / np.maximum(durations, 1)
        kept = np.concatenate(
            [
                _without_outliers(part)
                for part, use in zip(np.split(means, token_starts[1:]), training, strict=True)
                if use
            ]
        )
        mean, deviation = float(kept.mean()), float(kept.std())
        return cls(((means - mean) / deviation).astype(np.float32), mean, deviation)

    def stats(self) -> list[float]:
        """As they stand in `stats.json`."""
        return [float(self.values.min()), float(self.values.max()), self.mean, self.deviation]


class Corpus(PackedCorpus):
    """A corpus with one aligner's durations, on a device.

    Args:
        features: The recordings.
        texts: Their tokens and durations.
        aligner: Whose durations.
        symbol_ids: FastSpeech2's number of each symbol.
        device: Where.

    Raises:
        AlignerError: If there are no such durations, or FastSpeech2 has not a symbol.
    """

    def __init__(
        self,
        features: Features,
        texts: Durations,
        aligner: str,
        symbol_ids: dict[str, int],
        device: torch.device,
    ) -> None:
        if aligner not in texts.frames:
            raise AlignerError(f"no durations of {aligner!r}; there are {', '.join(texts.frames)}")
        unknown = {f"@{symbol}" for symbol in np.unique(texts.symbols)} - symbol_ids.keys()
        if unknown:
            raise AlignerError(f"FastSpeech2 has no {', '.join(sorted(unknown))}")
        durations = texts.frames[aligner]
        numbers = np.array([symbol_ids[f"@{symbol}"] for symbol in texts.symbols])
        super().__init__(features, texts, numbers, durations, device)
        args = (durations, self._token_starts, ~features.held_out)
        self.pitch = PerToken.of(_filled(features.f0_hz, self._frame_starts), *args)
        self.energy = PerToken.of(features.energy, *args)
        self._pitch, self._energy = self.on_device(self.pitch.values), self.on_device(self.energy.values)

    def batch(self, utterances: NDArray[np.int64]) -> list[Any]:
        """As FastSpeech2's `to_device` gives it: ids, texts, speakers, then what its model is called with."""
        texts, lengths, mel, frames, durations = self.padded(utterances)
        tokens, inside = self.token_places(utterances)
        pitch, energy = (values[tokens] * inside for values in (self._pitch, self._energy))
        speakers = torch.zeros(len(utterances), dtype=torch.long, device=self._device)
        most = texts.shape[1], mel.shape[1]
        return [None, None, speakers, texts, lengths, most[0], mel, frames, most[1], pitch, energy, durations]


class FastSpeech2Trainer(Trainer):
    """FastSpeech2 in training.

    Args:
        args: As `Trainer` has them.
    """

    LOSSES = ("total", "mel", "postnet_mel", "pitch", "energy", "duration")  # as FastSpeech2Loss gives them

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        numbers = import_code(args.code)
        self.corpus = Corpus(self.features, self.texts, args.aligner, numbers, self.device)
        from model import ScheduledOptim

        stats = args.out / f"{args.aligner}-{args.seed}"
        stats.mkdir(parents=True, exist_ok=True)
        self.voice, self.loss, model, train = make_model(
            args.code, stats, self.corpus, self.device, args.smaller
        )
        peak = train["optimizer"]["warm_up_step"] ** -0.5
        train["optimizer"]["warm_up_step"] = args.warm_up
        self.optimiser = ScheduledOptim(self.voice, train, model, 0)
        self.optimiser.init_lr *= peak * args.warm_up**0.5  # the published peak, earlier
        self._clip = train["optimizer"]["grad_clip_thresh"]

    def epoch(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Batches of similar length among `GROUP` of them; those that are not whole are dropped."""
        groups = np.split(order, range(BATCH * GROUP, len(order), BATCH * GROUP))
        lengths = self.corpus.text_lengths
        batches = [part for group in groups for part in _batches(group[np.argsort(-lengths[group])])]
        return batches or [order]  # a corpus of less than a batch

    def step(self, utterances: NDArray[np.int64]) -> Sequence[Tensor]:
        """Learn one batch."""
        self.voice.train()
        batch = self.corpus.batch(utterances)
        with self._precision():
            losses = self.loss(batch, self.voice(*batch[2:]))
        losses[0].backward()
        torch.nn.utils.clip_grad_norm_(self.voice.parameters(), self._clip)
        self.optimiser.step_and_update_lr()
        self.optimiser.zero_grad()
        return losses

    def losses(self, utterances: NDArray[np.int64]) -> list[float]:
        """FastSpeech2's losses of some utterances, with their own durations, pitch and energy."""
        self.voice.eval()
        batch = self.corpus.batch(utterances)
        with torch.no_grad(), self._precision():
            return [float(loss) for loss in self.loss(batch, self.voice(*batch[2:]))]

    def spoken(self, utterance: int) -> Tensor:
        """The mel of one text, everything predicted, `[S, 80]`."""
        self.voice.eval()
        batch = self.corpus.batch(np.array([utterance]))
        with torch.no_grad():
            return self.voice(*batch[2:6])[1][0]

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")


def import_code(folder: Path) -> dict[str, int]:
    """Make FastSpeech2's modules importable.

    Args:
        folder: A clone of ming024/FastSpeech2.

    Returns:
        The number of each symbol.
    """
    if not (folder / "model" / "fastspeech2.py").is_file():
        raise AlignerError(f"{folder}: is no clone of https://github.com/ming024/FastSpeech2")
    sys.path.insert(0, str(folder))
    from text.symbols import symbols

    return {symbol: number for number, symbol in enumerate(symbols)}


def make_model(code: Path, folder: Path, corpus: Corpus, device: torch.device, smaller: bool) -> Any:
    """FastSpeech2, its loss, and its optimiser's class with its settings.

    Args:
        code: As in `import_code`.
        folder: Where `stats.json` is written, which its model reads.
        corpus: Whose statistics.
        device: Where.
        smaller: A quarter of the width, for a try on a CPU.
    """
    from model import FastSpeech2, FastSpeech2Loss
    from transformer import PostNet

    preprocess, model, train = (
        yaml.safe_load((code / "config" / SETTINGS / f"{name}.yaml").read_text())
        for name in ("preprocess", "model", "train")
    )
    (folder / "stats.json").write_text(
        json.dumps({"pitch": corpus.pitch.stats(), "energy": corpus.energy.stats()})
    )
    preprocess["path"]["preprocessed_path"] = str(folder)
    if smaller:
        model["transformer"] |= {"encoder_hidden": 64, "decoder_hidden": 64, "conv_filter_size": 256}
        model["variance_predictor"]["filter_size"] = 64
    voice = FastSpeech2(preprocess, model)
    if smaller:
        voice.postnet = PostNet(postnet_embedding_dim=64)
    voice.variance_adaptor.length_regulator = LengthRegulator()
    if corpus.frames.max() > model["max_seq_len"]:
        raise AlignerError(
            f"an utterance has more than {model['max_seq_len']} frames: FastSpeech2 would cut it"
        )
    return voice.to(device), FastSpeech2Loss(preprocess, model), model, train


def _batches(group: NDArray) -> list[NDArray]:
    """Whole batches only, as its `drop_last`."""
    return [group[i : i + BATCH] for i in range(0, len(group) - BATCH + 1, BATCH)]


def _filled(f0_hz: NDArray, starts: NDArray) -> NDArray:
    """Pitch with the frames between voiced ones interpolated, of each utterance on its own."""
    parts = []
    for part in np.split(f0_hz, starts[1:]):
        voiced = np.flatnonzero(part)
        parts.append(np.interp(np.arange(len(part)), voiced, part[voiced]) if len(voiced) else part)
    return np.concatenate(parts)


def _without_outliers(values: NDArray) -> NDArray:
    low, high = np.percentile(values, [25, 75])
    inside = (values > low - 1.5 * (high - low)) & (values < high + 1.5 * (high - low))
    return values[inside]
