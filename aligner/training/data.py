"""Batches of a prepared corpus for training.

B batch, N samples.

Utterances of similar length share a batch (lhotse's bucketing sampler). It also shares them among the
processes of a DDP run: build the Trainer with `use_distributed_sampler=False`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aligner.corpus.prepared import (
    CUTS,
    CorpusInfo,
    Utterance,
    evenly_spread,
    load_audio,
    load_info,
    load_utterances,
)
from aligner.errors import AlignerError
from aligner.text.packed import PackedTexts
from aligner.text.vocabulary import Vocabulary
from aligner.training.feature_store import FeatureStore

if TYPE_CHECKING:
    from lhotse import CutSet
    from lhotse.dataset.sampling.base import CutSampler

MAX_BUCKETS = 10  # lhotse's usual number; more make little difference


@dataclass
class Batch:
    """B utterances, padded with 0 to the longest; only the lengths tell what is padding.

    Args:
        utterances: B of them.
        audio: float32 `[B, N]`; `[B, 0]` where it was left out.
        audio_lengths: int64 `[B]`, samples.
        texts: Their words with all pronunciations; they stay on the host.
    """

    utterances: list[Utterance]
    audio: Tensor
    audio_lengths: Tensor
    texts: PackedTexts

    @property
    def ids(self) -> list[str]:
        """The utterances' names."""
        return [utterance.id for utterance in self.utterances]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """A copy with its audio on `device`. Lengths stay where reading them costs nothing."""
        return replace(self, audio=self.audio.to(device, non_blocking=non_blocking))

    def __len__(self) -> int:
        return len(self.utterances)


def collate(
    utterances: Sequence[Utterance],
    sample_rate_hz: int,
    texts: Sequence[PackedTexts],
    with_audio: bool = True,
) -> Batch:
    """A batch: the audio of the utterances, read and padded, and their texts.

    Args:
        utterances: B of them.
        sample_rate_hz: What the audio is resampled to.
        texts: Of each.
        with_audio: False leaves the audio out.

    Raises:
        AlignerError: For audio that cannot be read, naming the utterance.
    """
    if with_audio:
        audio = [load_audio(utterance, sample_rate_hz) for utterance in utterances]
    else:
        audio = [torch.empty(0)] * len(utterances)
    return Batch(
        utterances=list(utterances),
        audio=torch.nn.utils.rnn.pad_sequence(audio, batch_first=True),
        audio_lengths=torch.tensor([len(a) for a in audio]),
        texts=PackedTexts.cat(texts),
    )


class AlignerData(lightning.LightningDataModule):
    """A prepared corpus as training and validation batches.

    Args:
        data_dir: What `aligner prepare` wrote.
        sample_rate_hz: What the frontend takes; set by it.
        batch_duration_s: Seconds of audio in a batch at most, padding counted, give or take one utterance.
        n_validation: Utterances that boundary errors are shown of during training, those with known times
            first. They are trained on as well, since nothing of them but audio and text is learnt from.
        num_workers: Processes that load audio beside the training; 0 for none.
        seed: Of the order of batches.
        reload_audio: Load the audio anew each epoch, although features are kept; set if the model has a
            perturbation.
    """

    def __init__(
        self,
        data_dir: str,
        sample_rate_hz: int,
        batch_duration_s: float = 200.0,
        n_validation: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        reload_audio: bool = False,
    ) -> None:
        super().__init__()
        if batch_duration_s <= 0:
            raise AlignerError(f"data.batch_duration_s is {batch_duration_s}: must be above 0")
        self.data_dir = data_dir
        self.sample_rate_hz = sample_rate_hz
        self.batch_duration_s = batch_duration_s
        self.n_validation = n_validation
        self.num_workers = num_workers
        self.seed = seed
        self.reload_audio = reload_audio
        self.info: CorpusInfo = load_info(data_dir)
        self.utterances: list[Utterance] = []
        self.features = FeatureStore()

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
            self.utterances = load_utterances(self.data_dir)

    def train_dataloader(self) -> DataLoader:
        loader = self._loader(self.utterances, shuffle=True)
        if self.trainer is not None:  # which tells samplers the epoch too late for the first after a resume
            epochs_done = self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
            loader.sampler.set_epoch(epochs_done)  # type: ignore[attr-defined]
        return loader

    def val_dataloader(self) -> DataLoader:
        measured = [utterance for utterance in self.utterances if utterance.reference is not None]
        chosen = measured or self.utterances
        return self._loader(evenly_spread(chosen, self.n_validation), shuffle=False)

    def _loader(self, utterances: list[Utterance], shuffle: bool) -> DataLoader:
        return DataLoader(
            _Batches(utterances, self, self.features if shuffle and not self.reload_audio else None),
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
    """What a sampler's `CutSet`s become: lhotse calls this with one at a time.

    Args:
        utterances: That the sampler draws from.
        data: Whose settings apply.
        features: Utterances whose features are kept here come without audio. None: all with audio.
    """

    def __init__(
        self, utterances: Sequence[Utterance], data: AlignerData, features: FeatureStore | None
    ) -> None:
        self._utterances = {utterance.id: utterance for utterance in utterances}
        self._data = data
        self._features = features
        self._vocabulary = Vocabulary(data.symbols)
        self._texts: dict[str, PackedTexts] = {}  # encoded once

    def __getitem__(self, cuts: "CutSet") -> Batch:
        data = self._data
        utterances = [self._utterances[cut.id] for cut in cuts]
        kept = self._features is not None and all(u.id in self._features for u in utterances)
        texts = [self._text(utterance) for utterance in utterances]
        return collate(utterances, data.sample_rate_hz, texts, with_audio=not kept)

    def _text(self, utterance: Utterance) -> PackedTexts:
        if utterance.id not in self._texts:
            own = PackedTexts.of(self._vocabulary, [utterance.id], [utterance.transcript])
            self._texts[utterance.id] = own
        return self._texts[utterance.id]
