"""ming024's FastSpeech2 and its corpus in the memory of a device.

B batch, T text tokens, S speech frames.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from durations import Durations
from features import Features
from numpy.typing import NDArray
from torch import Tensor, nn

from aligner.errors import AlignerError

SETTINGS = "LJSpeech"  # of its config/


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


class Corpus:
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
        self.text_lengths, self.frames = texts.text_lengths, features.frames
        self._token_starts = np.cumsum(self.text_lengths) - self.text_lengths
        self._frame_starts = np.cumsum(self.frames) - self.frames
        args = (durations, self._token_starts, ~features.held_out)
        self.pitch = PerToken.of(_filled(features.f0_hz, self._frame_starts), *args)
        self.energy = PerToken.of(features.energy, *args)
        numbers = np.array([symbol_ids[f"@{symbol}"] for symbol in texts.symbols])
        self._device = device
        self._texts, self._durations = self._on_device(numbers), self._on_device(durations.astype(np.int64))
        self._pitch, self._energy = self._on_device(self.pitch.values), self._on_device(self.energy.values)
        self._mel = self._on_device(features.mel)

    def batch(self, utterances: NDArray[np.int64]) -> list[Any]:
        """As FastSpeech2's `to_device` gives it: ids, texts, speakers, then what its model is called with."""
        text_lengths, frames = self.text_lengths[utterances], self.frames[utterances]
        t, s = int(text_lengths.max()), int(frames.max())
        tokens = self._padding(self._token_starts[utterances], text_lengths, t)
        speech = self._padding(self._frame_starts[utterances], frames, s)
        texts, pitch, energy, durations = (
            values[tokens[0]] * tokens[1]
            for values in (self._texts, self._pitch, self._energy, self._durations)
        )
        mel = self._mel[speech[0]].float() * speech[1][..., None]
        speakers = torch.zeros(len(utterances), dtype=torch.long, device=self._device)
        lengths = self._on_device(text_lengths), self._on_device(frames)
        return [None, None, speakers, texts, lengths[0], t, mel, lengths[1], s, pitch, energy, durations]

    def _padding(self, starts: NDArray, lengths: NDArray, longest: int) -> tuple[Tensor, Tensor]:
        """Where in the packed values each place of a padded batch lies, and whether it holds one."""
        places = np.arange(longest)
        inside = places < lengths[:, None]
        return self._on_device(np.where(inside, starts[:, None] + places, 0)), self._on_device(inside)

    def _on_device(self, values: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device, non_blocking=True)


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
