"""Matcha-TTS in training, on given durations or on those of its own search.

B batch, T text tokens, S speech frames; ΣT the tokens of all utterances.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from matcha_source import make_model
from numpy.typing import NDArray
from packed import PackedCorpus
from torch import Tensor
from trainer import Trainer

from aligner.errors import AlignerError

SEARCH = "search"  # Matcha's own, in training
CLIP = 5.0  # its configs/trainer/default.yaml, as is half precision
DOWNSAMPLING = 4  # S is a multiple of it: its `fix_len_compatibility`
STEPS, TEMPERATURE = 10, 0.667  # of synthesis: its cli.py
DRAWS = 16  # of noise, over which held-out flow losses are averaged


class MatchaTrainer(Trainer):
    """Matcha-TTS in training.

    Args:
        args: As `Trainer` has them.

    Raises:
        AlignerError: If there are no such durations, or a token has none.
    """

    LOSSES = ("duration", "prior", "flow")  # as its `forward` gives them
    OWN_DURATIONS = (SEARCH,)

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        self.searches = args.aligner == SEARCH
        # No blank between tokens, for all: an aligner has no time of its own for one.
        symbols, numbers = np.unique(self.texts.symbols, return_inverse=True)
        heard = self.features.mel[np.repeat(~self.features.held_out, self.features.frames)]
        mean, deviation = float(heard.mean(dtype=np.float64)), float(heard.std(dtype=np.float64))
        self.voice, settings = make_model(args.code, mean, deviation, self.searches, args.smaller)
        if len(symbols) >= settings.model.n_vocab:  # 0 is where a text has ended
            raise AlignerError(f"{len(symbols)} symbols are too many for Matcha's {settings.model.n_vocab}")
        self.voice.to(self.device)
        durations = self._durations(args.aligner)
        self.corpus = PackedCorpus(self.features, self.texts, numbers + 1, durations, self.device)
        self._fill_caches()
        self._batch = settings.data.batch_size
        on_gpu = self.device.type == "cuda"
        rate = args.rate or settings.model.optimizer.lr
        self.optimiser = torch.optim.Adam(self.voice.parameters(), rate, fused=on_gpu)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=on_gpu)

    def epoch(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Batches as its `DataLoader` makes them; the last may be smaller."""
        return np.split(order, range(self._batch, len(order), self._batch))

    def step(self, utterances: NDArray[np.int64]) -> Sequence[Tensor]:
        """Learn one batch."""
        self.voice.train()
        losses = self._forward(utterances)[:-1]
        self._scaler.scale(sum(losses)).backward()
        self._scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.voice.parameters(), CLIP)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        self.optimiser.zero_grad()
        return losses

    def losses(self, utterances: NDArray[np.int64]) -> list[float]:
        """Its losses of some utterances, with their own durations or those that it finds.

        Noise and times of the flow loss are drawn `DRAWS` times, the same for every voice.
        """
        self.voice.eval()
        with torch.no_grad(), self._noise_of(int(utterances[0])):
            return [float(loss) for loss in self._forward(np.repeat(utterances, DRAWS))[:-1]]

    def spoken(self, utterance: int) -> Tensor:
        """The mel of one text, everything predicted, `[S, 80]`."""
        self.voice.eval()
        texts, lengths, *_ = self.corpus.padded(np.array([utterance]))
        with self._noise_of(utterance):
            return self.voice.synthesise(texts, lengths, STEPS, TEMPERATURE)["mel"][0].T

    def found(self) -> NDArray[np.int64] | None:
        """The durations of its search, `[ΣT]`."""
        if not self.searches:
            return None
        self.voice.eval()
        parts = []
        with torch.no_grad(), self._noise_of(0):
            for utterances in self.epoch(np.arange(len(self.features.ids))):
                frames = self._forward(utterances)[-1].sum(-1).long().cpu().numpy()
                rows = zip(frames, self.corpus.text_lengths[utterances], strict=True)
                parts += [row[:length] for row, length in rows]
        return np.concatenate(parts)

    def _forward(self, utterances: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Duration, prior and flow loss, and the path `[B, T, S]`."""
        texts, lengths, mel, frames, durations = self.corpus.padded(utterances, DOWNSAMPLING)
        inside = torch.arange(mel.shape[1], device=self.device) < frames[:, None]
        normal = (mel - self.voice.mel_mean) / self.voice.mel_std * inside[..., None]
        given = None if self.searches else durations
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            return self.voice(texts, lengths, normal.mT, frames, durations=given)

    def _durations(self, aligner: str) -> NDArray[np.int64]:
        """An aligner's, `[ΣT]`; for the search some that nobody asks for."""
        if self.searches:
            return np.zeros(len(self.texts.symbols), np.int64)
        if aligner not in self.texts.frames:
            raise AlignerError(f"no durations of {aligner!r}; there are {', '.join(self.texts.frames)}")
        if not self.texts.frames[aligner].all():
            raise AlignerError(
                f"{aligner}: a token has no frame, and Matcha takes the logarithm of each duration"
            )
        return self.texts.frames[aligner]

    def _fill_caches(self) -> None:
        """Make its encoder see the longest text: what it keeps of a longer one that `synthesise` meets first
        could not be trained with, because that is made in inference mode."""
        self.voice.eval()
        longest = self.corpus.text_lengths.argmax(keepdims=True)
        texts, lengths, *_ = self.corpus.padded(longest)
        with torch.no_grad():
            self.voice.encoder(texts, lengths)

    @contextmanager
    def _noise_of(self, seed: int) -> Iterator[None]:
        """Random numbers that are the same for every voice, and take none from training."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
