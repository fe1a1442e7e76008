"""Batches of a prepared corpus for training.

B batch, N samples, S speech frames, C channels.
"""

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from aligner.corpus.prepared import (
    CUTS,
    CorpusInfo,
    Utterance,
    evenly_spread,
    evenly_spread_hours,
    load_info,
    load_utterances,
)
from aligner.corpus.read_ahead import in_background, read_ahead
from aligner.corpus.recording import load_heard, padded_audio
from aligner.errors import AlignerError, reason
from aligner.formats.source import file_sha256
from aligner.text.packed import PackedTexts
from aligner.text.vocabulary import Vocabulary
from aligner.training.batches import batches_in_order, epoch_batches, of_process
from aligner.training.feature_store import FeatureStore, StoreLimits
from aligner.training.processes import gathered, world

_BATCH_S = 200.0
_GPU_BATCH_S_PER_GB, _USUAL_SYMBOLS = 50.0, 40  # phone mixtures take 6 MB a second with so many
_STEPS, _LEAST_STEP_S, _MOST_STEP_S = 100, 50.0, 400.0  # an epoch, if the corpus is large enough
_NO_AUDIO = torch.empty(0)
_NORMALISATION_HOURS = 2.0  # the mean and deviation of a channel do not change beyond


@dataclass
class Batch:
    """B utterances, padded with 0 to the longest; only the lengths tell what is padding.

    Args:
        utterances: B of them.
        audio: float32 `[B, N]`.
        audio_lengths: int64 `[B]`, samples; 0 where the audio was left out, because features are kept.
        features: Features `[S, C]` by id, of those utterances whose features lay on disk.
        texts: Their words with all pronunciations; they stay on the host.
        refused: Why utterances that would be here are not, by id.
        stays: Whether the same utterances share a batch in every epoch.
    """

    utterances: list[Utterance]
    audio: Tensor
    audio_lengths: Tensor
    features: dict[str, Tensor]
    texts: PackedTexts
    refused: dict[str, str] = field(default_factory=dict)
    stays: bool = False

    @property
    def ids(self) -> list[str]:
        """The utterances' names."""
        return [utterance.id for utterance in self.utterances]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """A copy with its audio on `device`. Lengths stay where reading them costs nothing."""
        return replace(self, audio=self.audio.to(device, non_blocking=non_blocking))

    def __len__(self) -> int:
        return len(self.utterances)

    def without(self, places: Collection[int]) -> "Batch":
        """The batch without the utterances at these places."""
        if not places:
            return self
        rows = [row for row in range(len(self)) if row not in places]
        return replace(
            self,
            utterances=[self.utterances[row] for row in rows],
            audio=self.audio[rows],
            audio_lengths=self.audio_lengths[rows],
            texts=self.texts.only(rows),
        )


@dataclass(frozen=True)
class Loaded:
    """What a thread read of an utterance: its audio, or features that lay on disk, or neither.

    Args:
        audio: `[N]`.
        features: `[S, C]`.
        refused: Why the utterance cannot be trained on; "" if it can.
    """

    audio: Tensor | None = None
    features: Tensor | None = None
    refused: str = ""


def collate(
    utterances: Sequence[Utterance],
    loaded: Sequence[Loaded],
    texts: Sequence[PackedTexts],
    *,
    for_gpu: bool = False,
) -> Batch:
    """A batch: the audio of the utterances, padded, and their texts.

    Args:
        utterances: B of them, possibly none.
        loaded: What was read of each.
        texts: Of all of them, in any parts.
        for_gpu: As of `padded_audio`.
    """
    audio, lengths = padded_audio(
        [_NO_AUDIO if own.audio is None else own.audio for own in loaded], for_gpu=for_gpu
    )
    return Batch(
        utterances=list(utterances),
        audio=audio,
        audio_lengths=lengths,
        features={
            utterance.id: own.features
            for utterance, own in zip(utterances, loaded, strict=True)
            if own.features is not None
        },
        texts=PackedTexts.cat(texts),
    )


class AlignerData(lightning.LightningDataModule):
    """A prepared corpus as training and validation batches.

    Args:
        data_dir: What `aligner prepare` wrote.
        sample_rate_hz: What the frontend takes; set by it.
        batch_duration_s: Seconds of audio in a batch at most, padding counted, give or take one utterance.
            null: for a method of gradients a hundredth of the corpus, 50 to 400; for one of statistics 200,
            or 50 a gigabyte of a GPU's memory, which small batches do not fill.
        n_validation: Utterances that boundary errors are shown of during training, those with known times
            first. They are trained on as well, since nothing of them but audio and text is learnt from.
        num_workers: Threads that read audio beside the training; 0 for none, null for one a processor, up to
            6.
        seed: Of the order of batches.
        reload_audio: Load the audio anew each epoch, although features are kept; set if the model has a
            perturbation.
        keep: How much features may take in each place between epochs.
        vocabulary: The symbols of the model, the pause first, which may be more than the corpus has; null:
            those of the corpus. Set by --init-checkpoint.
    """

    def __init__(
        self,
        data_dir: str,
        sample_rate_hz: int,
        batch_duration_s: float | None = None,
        n_validation: int = 64,
        num_workers: int | None = None,
        seed: int = 0,
        reload_audio: bool = False,
        keep: StoreLimits | None = None,
        vocabulary: list[str] | None = None,
    ) -> None:
        super().__init__()
        if batch_duration_s is not None and not 0 < batch_duration_s < math.inf:
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
        self.manifest_sha256 = ""
        self.by_id: dict[str, Utterance] = {}
        self.features = FeatureStore(keep)
        self.refused: dict[str, str] = {}  # why utterances cannot be trained on, by id; filled by the model
        if unknown := sorted(set(self.info.symbols) - set(vocabulary or self.info.symbols)):
            raise AlignerError(
                f"{data_dir} has symbols that the aligner to start from has not learnt: {' '.join(unknown)}; "
                "prepare it with --vocabulary and that checkpoint, which refuses utterances with them"
            )
        self._vocabulary = Vocabulary(vocabulary or self.info.symbols)
        self._texts: dict[str, PackedTexts] = {}
        self._staying: dict[float | None, list[list[str]]] = {}  # batches, by the hours heard
        self._texts_together: dict[tuple[str, ...], PackedTexts] = {}
        self.no_text = PackedTexts.of(self._vocabulary, [], [])  # where a process has none

    @property
    def symbols(self) -> tuple[str, ...]:
        """The vocabulary; to be linked to the model."""
        return self._vocabulary.symbols

    @property
    def text(self) -> dict[str, Any]:
        """How texts became tokens, as `TextReading.stated` takes it."""
        names = ("phonemizer", "language", "options")
        return {name: getattr(self.info, name) for name in names}

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The names of those who are known, sorted; to be linked to the model."""
        self.setup()
        return tuple(sorted({utterance.speaker for utterance in self.utterances} - {""}))

    @cached_property
    def fingerprint(self) -> str:
        """Of the utterances' ids, texts and lengths: a run goes on with the corpus that it began with."""
        self.setup()
        digest = hashlib.sha256()
        for utterance in sorted(self.utterances, key=lambda utterance: utterance.id):
            said = [utterance.id, utterance.n_samples, utterance.text, utterance.transcript.to_dict()]
            digest.update(json.dumps(said, sort_keys=True).encode())
        return digest.hexdigest()

    def setup(self, stage: str = "") -> None:
        if not self.utterances:
            self.utterances = load_utterances(self.data_dir)
            self.manifest_sha256 = file_sha256(Path(self.data_dir, CUTS))
            self.by_id = {utterance.id: utterance for utterance in self.utterances}

    def train_dataloader(self) -> "Batches":
        """The batches of the next epoch, which is why the trainer asks for one each epoch."""
        trainer: Any = self.trainer
        method = trainer.lightning_module.method
        epoch = trainer.fit_loop.epoch_progress.current.processed
        return self.epoch(epoch, method.hours_in(epoch), method.shares_batches)

    def epoch(self, number: int, hours: float | None = None, shares_batches: bool = True) -> "Batches":
        """This process' batches of an epoch: for every process as many, some of which may be empty.

        Args:
            number: From 0. It decides the batches of a method whose batches are steps; statistics do not
                depend on them, so that those are the same in every epoch, and are put together once.
            hours: See `TrainingMethod.hours_in`.
            shares_batches: See `TrainingMethod`.
        """
        durations_s = {u.id: u.duration_s for u in evenly_spread_hours(self.utterances, hours)}
        own = of_process(durations_s, *world())
        batch_s = self._step_s() if shares_batches else self._batch_s(large=True)
        if shares_batches:
            batches = epoch_batches(durations_s, batch_s, self.seed, number)
        elif (known := self._staying.get(hours)) is not None:
            batches = known
        else:
            batches = self._staying[hours] = epoch_batches(own, batch_s, self.seed, 0)
        plan = [[id for id in batch if id in own] for batch in batches]
        plan += [[] for _ in range(max(gathered(len(plan))) - len(plan))]
        return Batches(plan, self, None if self.reload_audio else self.features, stays=not shares_batches)

    def val_dataloader(self) -> "Batches":
        """A sample of the corpus, the same for every process."""
        return self._in_order(self.validation_sample())

    def validation_sample(self) -> list[Utterance]:
        """The utterances of `val_dataloader`."""
        measured = [utterance for utterance in self.utterances if utterance.reference is not None]
        return evenly_spread(measured or self.utterances, self.n_validation)

    def normalisation_batches(self) -> "Batches":
        """What the statistics of the features are taken of, the same for every process."""
        return self._in_order(evenly_spread_hours(self.utterances, _NORMALISATION_HOURS))

    def text_of(self, id: str) -> PackedTexts:
        """The text of an utterance, encoded once."""
        if id not in self._texts:
            text = PackedTexts.of(self._vocabulary, [id], [self.by_id[id].transcript])
            self._texts[id] = text.compact()
        return self._texts[id]

    def texts_of(self, ids: Sequence[str]) -> PackedTexts:
        """The texts of a batch that stays, put together once."""
        key = tuple(ids)
        if key not in self._texts_together:
            self._texts_together[key] = PackedTexts.cat([self.text_of(id) for id in ids])
        return self._texts_together[key]

    def _in_order(self, utterances: Sequence[Utterance]) -> "Batches":
        durations_s = {utterance.id: utterance.duration_s for utterance in utterances}
        return Batches(batches_in_order(durations_s, self._batch_s()), self, None)

    def _step_s(self) -> float:
        """Of a batch that is a step of an optimizer: in a small corpus small ones, to have steps enough."""
        total_s = sum(utterance.duration_s for utterance in self.utterances)
        return self.batch_duration_s or min(max(total_s / _STEPS, _LEAST_STEP_S), _MOST_STEP_S)

    def _batch_s(self, *, large: bool = False) -> float:
        if self.batch_duration_s is not None:
            return self.batch_duration_s
        if not large or not self.on_gpu:
            return _BATCH_S
        device = self.trainer.strategy.root_device  # type: ignore[union-attr]
        memory_gb = torch.cuda.get_device_properties(device).total_memory / 1e9
        needed = 0.85 + 0.15 * len(self.symbols) / _USUAL_SYMBOLS  # by features, by scores of states
        return max(_BATCH_S, _GPU_BATCH_S_PER_GB * memory_gb / needed)

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU trains."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


class Batches:
    """Batches in their order, made ready by threads while the model works.

    Args:
        plan: The ids of the utterances of each batch.
        data: Whose utterances and settings these are.
        features: Utterances whose features are kept here come without audio. None: all with audio.
        stays: Whether the same utterances share a batch in every epoch.
    """

    def __init__(
        self,
        plan: Sequence[Sequence[str]],
        data: AlignerData,
        features: FeatureStore | None,
        stays: bool = False,
    ) -> None:
        self._plan = plan
        self._data = data
        self._features = features
        self._stays = stays

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[Batch]:
        return in_background(self._batches()) if self._data.num_workers != 0 else self._batches()

    def _batches(self) -> Iterator[Batch]:
        data = self._data
        wanted = ([] if self._is_kept(ids) else ids for ids in self._plan)
        loaded_batches = read_ahead(wanted, self._load, data.num_workers)
        for (to_load, loaded), ids in zip(loaded_batches, self._plan, strict=True):
            if len(to_load) < len(ids):
                yield self._kept_batch(ids)
                continue
            refused = {id: own.refused for id, own in zip(ids, loaded, strict=True) if own.refused}
            ids = [id for id in ids if id not in refused]
            texts = [data.no_text, *(data.text_of(id) for id in ids)]
            usable = [own for own in loaded if not own.refused]
            batch = collate([data.by_id[id] for id in ids], usable, texts, for_gpu=data.on_gpu)
            yield replace(batch, refused=refused, stays=self._stays)

    def _is_kept(self, ids: Sequence[str]) -> bool:
        """Whether a batch that stays needs no reading: nothing is then done for each of its utterances."""
        store, refused = self._features, self._data.refused
        if not self._stays or store is None:
            return False
        return all(id in refused or store.get(id) is not None for id in ids)

    def _kept_batch(self, ids: Sequence[str]) -> Batch:
        data = self._data
        refused = {id: data.refused[id] for id in ids if id in data.refused}
        usable = [id for id in ids if id not in refused]
        return Batch(
            utterances=[data.by_id[id] for id in usable],
            audio=torch.empty(len(usable), 0),
            audio_lengths=torch.zeros(len(usable), dtype=torch.int64),
            features={},
            texts=data.texts_of(usable) if usable else data.no_text,
            refused=refused,
            stays=True,
        )

    def _load(self, id: str) -> Loaded:
        """Here training reads recordings and texts; what cannot be used is refused, and costs no other."""
        data = self._data
        if id in data.refused:
            return Loaded(refused=data.refused[id])
        try:
            data.text_of(id)
            if self._features is not None and id in self._features:
                return Loaded(features=self._features.read(id))
            return Loaded(audio=load_heard(data.by_id[id], data.sample_rate_hz))
        except (AlignerError, OSError) as error:  # OSError: of features on disk
            return Loaded(refused=reason(error).removeprefix(f"{id}: "))
