"""Features kept on disk, for frontends that cost more than the model.

B batch, N samples, S speech frames, C channels.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor

from aligner.errors import AlignerError
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import make_folder
from aligner.frontends.base import Frontend

_VERSION = 1  # raise it when a frontend computes something else under the same settings


class Cached(Frontend):
    """Another frontend whose features are computed once for each recording and kept on disk.

    A file's name is a hash of everything that the features depend on: the frontend's settings, what it has
    learned (such as `SelfSupervised`'s components), and the samples of the recording. So a changed setting, a
    changed recording or a second model never finds the wrong file, and several processes may share a folder.
    What the frontend learns from a corpus is kept likewise. Corpus statistics are applied after reading.
    Files that do not read are computed again; where none can be written, a warning says so. Nothing is ever
    deleted: delete the folder.

    Args:
        frontend: The frontend that computes the features.
        folder: Where they are kept; made if missing.
    """

    def __init__(self, frontend: Frontend, folder: str) -> None:
        super().__init__(frontend.grid, frontend.channel_names)
        self.frontend = frontend
        self.folder = Path(folder)

    @torch.no_grad()
    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`, from disk where it is there."""
        features = audio.new_zeros(len(audio), n_frames, self.channels)
        settings = self._settings()
        for item, length in enumerate(audio_lengths.tolist()):
            sound = audio[item, :length]
            path = self._path(settings, sound)
            found = _read(path, (self.frame_count(length), self.channels))
            if found is None:
                alone = torch.tensor([length], device=audio.device)
                found = self.frontend(sound[None], alone)[0][0].cpu().numpy()
                _write(path, _npy(found))
            features[item, : len(found)] = torch.from_numpy(found).to(features)
        return features

    def fit_normalisation(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """As `Frontend.fit_normalisation`: the frontend's own first, where it has some to learn.

        Args:
            batches: `(audio, audio_lengths)`, as `forward` takes them.
        """
        batches = list(batches) if iter(batches) is batches else batches
        if type(self.frontend).fit_normalisation is not Frontend.fit_normalisation:
            self._learn(batches)
        super().fit_normalisation(batches)

    def _learn(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        sounds = (sound[:n] for audio, lengths in batches for sound, n in zip(audio, lengths, strict=True))
        path = self._path(self._settings(), *sounds).with_suffix(".pt")
        try:
            self.frontend.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, EOFError, UnpicklingError):
            self.frontend.fit_normalisation(batches)
            content = io.BytesIO()
            torch.save(self.frontend.state_dict(), content)
            _write(path, content.getvalue())

    def _settings(self) -> bytes:
        digest = hashlib.sha256()
        digest.update(json.dumps([_VERSION, self.frontend.configuration()], sort_keys=True).encode())
        for name, value in sorted(self.frontend.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.digest()

    def _path(self, settings: bytes, *sounds: Tensor) -> Path:
        digest = hashlib.sha256(settings)
        for sound in sounds:
            digest.update(sound.detach().cpu().contiguous().numpy().tobytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features if features.shape == shape and features.dtype == np.float32 else None


def _write(path: Path, content: bytes) -> None:
    try:
        make_folder(path.parent)
        with atomic_write(path) as file:
            file.write(content)
    except (OSError, AlignerError) as error:  # a full disk, or the folder of the machine that trained
        warnings.warn(f"features are not kept: {error}", stacklevel=2)


def _npy(features: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, features, allow_pickle=False)
    return content.getvalue()
