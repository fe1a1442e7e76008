"""Batches of a prepared corpus for training.

B batch, T tokens, N samples. Cuts of like length go together (lhotse's bucketing sampler, which also shares
them among the processes of a DDP run: build the Trainer with `use_distributed_sampler=False`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aligner.corpus.prepared import CUTS, CorpusInfo, Utterance, load_audio, load_cuts, load_info
from aligner.errors import AlignerError
from aligner.text.transcript import Transcript

if TYPE_CHECKING:
    from lhotse import CutSet
    from lhotse.dataset.sampling.base import CutSampler

MAX_BUCKETS = 10


@dataclass
class Batch:
    """B utterances. Padding is 0 in `audio`, `token_ids` (the pause) and `skippable`; only the lengths tell
    it apart.

    audio: float32 `[B, N]`. audio_lengths, text_lengths: int64 `[B]`. token_ids: int64 `[B, T]`. skippable:
    bool `[B, T]`. Tokens are those of each word's first variant; `transcripts` has the others.
    """

    ids: list[str]
    audio: Tensor
    audio_lengths: Tensor
    token_ids: Tensor
    text_lengths: Tensor
    skippable: Tensor
    transcripts: list[Transcript]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """A copy with its tensors on `device`."""
        return replace(
            self,
            audio=self.audio.to(device, non_blocking=non_blocking),
            audio_lengths=self.audio_lengths.to(device, non_blocking=non_blocking),
            token_ids=self.token_ids.to(device, non_blocking=non_blocking),
            text_lengths=self.text_lengths.to(device, non_blocking=non_blocking),
            skippable=self.skippable.to(device, non_blocking=non_blocking),
        )

    def __len__(self) -> int:
        return len(self.ids)


def collate(
    utterances: Sequence[Utterance], sample_rate_hz: int, token_ids: dict[str, int], with_audio: bool = True
) -> Batch:
    """Read the audio of `utterances` and pad everything to the longest; token_ids: the index of every symbol.

    with_audio: False leaves the audio out, `[B, 0]`, for a model that has kept its features.

    Raises AlignerError for a symbol that has no index and for audio that cannot be read, naming the
    utterance.
    """
    if with_audio:
        audio = [load_audio(utterance, sample_rate_hz) for utterance in utterances]
    else:
        audio = [torch.empty(0)] * len(utterances)
    tokens = [utterance.transcript.tokens() for utterance in utterances]
    ids = []
    for utterance, sequence in zip(utterances, tokens, strict=True):
        try:
            ids.append(torch.tensor([token_ids[symbol] for symbol in sequence.symbols]))
        except KeyError as error:
            raise AlignerError(
                f"{utterance.id}: symbol {error} is not in the vocabulary; prepare its corpus with --symbols"
            ) from error
    return Batch(
        ids=[utterance.id for utterance in utterances],
        audio=torch.nn.utils.rnn.pad_sequence(audio, batch_first=True),
        audio_lengths=torch.tensor([len(a) for a in audio]),
        token_ids=torch.nn.utils.rnn.pad_sequence(ids, batch_first=True),
        text_lengths=torch.tensor([len(i) for i in ids]),
        skippable=torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(sequence.skippable) for sequence in tokens], batch_first=True
        ),
        transcripts=[utterance.transcript for utterance in utterances],
    )


class AlignerData(lightning.LightningDataModule):
    """A prepared corpus as training and validation batches.

    data_dir: what `aligner prepare` wrote. sample_rate_hz: what the frontend wants. batch_duration_s: audio
    in a batch at most, padding counted, give or take one utterance. n_validation:
    utterances looked at during training, those with known times first; they are trained on as well, since
    nothing of them but audio and text is learnt from.
    """

    def __init__(
        self,
        data_dir: str,
        sample_rate_hz: int,
        batch_duration_s: float = 200.0,
        n_validation: int = 64,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.data_dir = data_dir
        self.sample_rate_hz = sample_rate_hz
        self.batch_duration_s = batch_duration_s
        self.n_validation = n_validation
        self.num_workers = num_workers
        self.seed = seed
        self.info: CorpusInfo = load_info(data_dir)
        self.utterances: list[Utterance] = []
        self.training_needs_audio = True  # a model that keeps its features says no more is needed

    @property
    def vocab_size(self) -> int:
        """Symbols of the corpus, the pause among them; to be linked to the model."""
        return len(self.info.symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The vocabulary; to be linked to the model."""
        return self.info.symbols

    @property
    def text(self) -> dict[str, Any] | None:
        """How texts became tokens, as `text.load_phonemizer` takes it; None if they were not made of text."""
        if self.info.phonemizer == "reference":
            return None
        names = ("phonemizer", "language", "options")
        return {name: getattr(self.info, name) for name in names}

    def setup(self, stage: str = "") -> None:
        if not self.utterances:
            self.utterances = load_cuts(self.data_dir)

    def train_dataloader(self) -> DataLoader:
        loader = self._loader(self.utterances, shuffle=True)
        if self.trainer is not None:  # which tells samplers the epoch too late for the first after a resume
            epochs_done = self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
            loader.sampler.set_epoch(epochs_done)  # type: ignore[attr-defined]
        return loader

    def val_dataloader(self) -> DataLoader:
        measured = [utterance for utterance in self.utterances if utterance.reference is not None]
        chosen = measured or self.utterances
        step = max(1, len(chosen) // self.n_validation)
        return self._loader(chosen[::step][: self.n_validation], shuffle=False)

    def predict_dataloader(self) -> DataLoader:
        return self._loader(self.utterances, shuffle=False)

    def _loader(self, utterances: list[Utterance], shuffle: bool) -> DataLoader:
        return DataLoader(
            _Batches(utterances, self, with_audio=not shuffle),
            sampler=self._sampler(utterances, shuffle),
            batch_size=None,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def _sampler(self, utterances: list[Utterance], shuffle: bool) -> "CutSampler":
        from lhotse import CutSet
        from lhotse.dataset import DynamicBucketingSampler, SimpleCutSampler

        cuts = CutSet.from_file(Path(self.data_dir) / CUTS)
        if not shuffle:
            wanted = {utterance.id for utterance in utterances}
            chosen = CutSet.from_cuts(cut for cut in cuts if cut.id in wanted)
            return SimpleCutSampler(chosen, max_duration=self.batch_duration_s)
        batches = sum(utterance.duration_s for utterance in utterances) / self.batch_duration_s
        buckets = min(MAX_BUCKETS, int(batches / 2))
        settings = {"max_duration": self.batch_duration_s, "shuffle": True, "seed": self.seed}
        if buckets < 2:  # too little audio to fill buckets of like length
            return SimpleCutSampler(cuts.to_eager(), **settings)
        return DynamicBucketingSampler(cuts, num_buckets=buckets, **settings)


class _Batches(Dataset):
    """What a sampler's `CutSet`s become: lhotse calls this with one at a time."""

    def __init__(self, utterances: Sequence[Utterance], data: AlignerData, with_audio: bool) -> None:
        self._utterances = {utterance.id: utterance for utterance in utterances}
        self._data = data
        self._with_audio = with_audio

    def __getitem__(self, cuts: "CutSet") -> Batch:
        data = self._data
        with_audio = self._with_audio or data.training_needs_audio
        return collate(
            [self._utterances[cut.id] for cut in cuts], data.sample_rate_hz, data.info.token_ids, with_audio
        )
