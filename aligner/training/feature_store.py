"""Features kept from one epoch to the next: on the device while they fit, then in memory, then on disk.

What fits nowhere is not kept, and is computed from the audio again in each epoch, so that memory has a
ceiling whatever the size of the corpus.

S speech frames, C channels.
"""

import os
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aligner.devices import free_memory_bytes
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures

GIGABYTE = 1e9
# Of what is free when the first features come. The rest is for the model, a batch's scores, and other people.
_FREE_FRACTION = 0.5


@dataclass(frozen=True)
class StoreLimits:
    """How much features may take in each place, in GB; None: half of what is free when training starts.

    Args:
        device_gb: Of the GPU's memory. On a CPU there is none.
        memory_gb: Of the machine's memory.
        disk_gb: Of the disk, in a file without a name, which vanishes with the run.
    """

    device_gb: float | None = None
    memory_gb: float | None = None
    disk_gb: float | None = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 0:
                raise AlignerError(f"features.{name} is {value}: must be at least 0")


class FeatureStore:
    """The features of utterances by id. The model fills it; the data leaves out audio that is not needed.

    Args:
        limits: How much may be kept where.
        folder: For what is kept on disk; None: the system's for temporary files.
    """

    def __init__(self, limits: StoreLimits | None = None, folder: Path | None = None) -> None:
        self._limits = limits or StoreLimits()
        self._disk = _Disk(folder)
        self._in_memory: dict[str, Tensor] = {}
        self._packs: dict[tuple[str, ...], PackedFeatures] = {}
        self._pack_of: dict[str, tuple[str, ...]] = {}
        self._free_bytes: dict[str, float] | None = None

    def __contains__(self, id: str) -> bool:
        return id in self._in_memory or id in self._disk

    def keep(self, ids: Sequence[str], features: Sequence[Tensor]) -> None:
        """Keep the features `[S, C]` of utterances, where there is room for them."""
        for id, own in zip(ids, features, strict=True):
            if id in self:
                continue
            place = self._place(own)
            if place == "disk":
                try:
                    self._disk.write(id, own)
                except OSError:  # full by now: features are computed again, and training goes on
                    self._free_bytes = {**(self._free_bytes or {}), "disk": 0.0}
            elif place is not None:
                # a copy, so that the rest of the batch is not kept for it; pinned: copied without waiting
                on_gpu_side = place == "device" or not own.is_cuda
                self._in_memory[id] = own.clone() if on_gpu_side else own.cpu().pin_memory()

    def read(self, id: str) -> Tensor | None:
        """What lies on disk, `[S, C]`; None for what does not. Any thread may call it."""
        return self._disk.read(id) if id in self._disk else None

    def get(self, id: str) -> Tensor | None:
        """What lies in memory or on the device, `[S, C]`."""
        return self._in_memory.get(id)

    def packed(self, ids: Sequence[str]) -> PackedFeatures | None:
        """What `hold` was given for just these utterances, if it is still held."""
        return self._packs.get(tuple(ids))

    def hold(self, ids: Sequence[str], packed: PackedFeatures) -> None:
        """Keep utterances together from now on, instead of each by itself, where all lie on that device.

        Args:
            ids: Of utterances that are kept.
            packed: Their features.
        """
        device = packed.frames.device
        if any((own := self._in_memory.get(id)) is None or own.device != device for id in ids):
            return
        key = tuple(ids)
        for id, own in zip(ids, packed.unpack(), strict=True):
            self._packs.pop(self._pack_of.get(id, key), None)
            self._pack_of[id], self._in_memory[id] = key, own
        self._packs[key] = packed

    def _place(self, features: Tensor) -> str | None:
        if self._free_bytes is None:
            self._free_bytes = _limit_bytes(self._limits, features.device, self._disk.folder)
        needed = features.numel() * features.element_size()
        for place, free in self._free_bytes.items():
            if needed <= free:
                self._free_bytes[place] -= needed
                return place
        return None


def pack_known(
    ids: Sequence[str],
    store: FeatureStore,
    loaded: Mapping[str, Tensor],
    device: torch.device,
    stays: bool = False,
) -> PackedFeatures:
    """The features of a batch, each utterance's from `loaded` or else from the store.

    Args:
        ids: Of the batch.
        store: Where the others are kept.
        loaded: Features `[S, C]` by id.
        device: Wanted.
        stays: Whether the same utterances will be asked for together again: the store then holds them so.
    """
    if stays and (held := store.packed(ids)) is not None:
        return held
    parts = []
    for id in ids:
        own = loaded[id] if id in loaded else store.get(id)
        assert own is not None, id
        parts.append(own if own.device == device else own.to(device, non_blocking=True))
    packed = PackedFeatures.pack(parts)
    if stays:
        store.hold(ids, packed)
    return packed


class _Disk:
    """Features in one file without a name, so that nothing stays behind however the run ends."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._file: Any = None
        self._where: dict[str, tuple[int, int, int]] = {}  # offset in bytes, frames, channels
        self._end = 0

    def __contains__(self, id: str) -> bool:
        return id in self._where

    def write(self, id: str, features: Tensor) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (open as long as the store)
            weakref.finalize(self, self._file.close)
        content = features.float().cpu().numpy().tobytes()
        os.pwrite(self._file.fileno(), content, self._end)
        self._where[id] = (self._end, *features.shape)  # type: ignore[assignment]
        self._end += len(content)

    def read(self, id: str) -> Tensor:
        assert self._file is not None
        offset, frames, channels = self._where[id]
        content = os.pread(self._file.fileno(), frames * channels * 4, offset)
        return torch.from_numpy(np.frombuffer(bytearray(content), np.float32).reshape(frames, channels))


def _limit_bytes(limits: StoreLimits, device: torch.device, folder: Path | None) -> dict[str, float]:
    """How much each place may take, the fastest first."""
    found: dict[str, float] = {}
    if device.type == "cuda":
        found["device"] = _limit(limits.device_gb, torch.cuda.mem_get_info(device)[0])
    found["memory"] = _limit(limits.memory_gb, free_memory_bytes())
    status = os.statvfs(folder or tempfile.gettempdir())
    found["disk"] = _limit(limits.disk_gb, status.f_bavail * status.f_frsize)
    return found


def _limit(limit_gb: float | None, free_bytes: float) -> float:
    most = _FREE_FRACTION * free_bytes
    return most if limit_gb is None else min(most, limit_gb * GIGABYTE)
