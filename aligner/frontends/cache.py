"""Features kept on disk, for frontends that cost more than the model.

B batch, N samples, S speech frames, C channels.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligner.frontends.base import Frontend

_VERSION = 1  # raise it when a frontend computes something else under the same settings


class Cached(Frontend):
    """Another frontend, whose features are computed once for each recording and then read from `folder`.

    A file's name is made of everything that the features depend on: the frontend's settings and what it has
    learned (`SelfSupervised`'s components), and the samples of the recording. So a changed setting, a changed
    recording or a second model never finds the wrong file, and several processes may share a folder. Corpus
    statistics are applied after reading. Files that do not read are computed again. Nothing is ever deleted:
    delete the folder.
    """

    def __init__(self, frontend: Frontend, folder: str) -> None:
        super().__init__(
            frontend.sample_rate_hz, frontend.hop_samples, frontend.frame_rule, frontend.channel_names
        )
        self.frontend = frontend
        self.folder = Path(folder)

    @torch.no_grad()
    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        features = audio.new_zeros(len(audio), n_frames, self.channels)
        settings = self._settings()
        for item, length in enumerate(audio_lengths.tolist()):
            sound = audio[item, :length].detach()
            path = self._path(settings, sound)
            found = _read(path, (self.frame_count(length), self.channels))
            if found is None:
                alone = torch.tensor([length], device=audio.device)
                found = self.frontend(sound[None], alone)[0][0].cpu().numpy()
                _write(path, found)
            features[item, : len(found)] = torch.from_numpy(found).to(features)
        return features

    def fit_statistics(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """As `Frontend.fit_statistics`: the frontend's own first, where it has some to learn."""
        batches = list(batches) if iter(batches) is batches else batches
        if type(self.frontend).fit_statistics is not Frontend.fit_statistics:
            self.frontend.fit_statistics(batches)
        super().fit_statistics(batches)

    def _settings(self) -> bytes:
        digest = hashlib.sha256()
        digest.update(json.dumps([_VERSION, self.frontend.configuration()], sort_keys=True).encode())
        for name, value in sorted(self.frontend.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.digest()

    def _path(self, settings: bytes, sound: Tensor) -> Path:
        name = hashlib.sha256(settings + sound.cpu().contiguous().numpy().tobytes()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features if features.shape == shape and features.dtype == np.float32 else None


def _write(path: Path, features: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = io.BytesIO()
    np.save(content, features, allow_pickle=False)
    temporary.write_bytes(content.getvalue())
    os.replace(temporary, path)
