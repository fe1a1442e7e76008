"""Durations of several aligners for the same tokens, checked against the frames that they have to fill.

T text tokens; ΣT the tokens of all utterances, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from features import Features
from numpy.typing import NDArray

from aligner.errors import AlignerError

UNIFORM = "uniform"


@dataclass(frozen=True)
class Durations:
    """Tokens, and each aligner's frames of them.

    Args:
        symbols: Each token, `[ΣT]`.
        text_lengths: Tokens of each utterance.
        frames: Of each aligner, frames of each token, `[ΣT]`.
    """

    symbols: NDArray[np.str_]
    text_lengths: NDArray[np.int64]
    frames: dict[str, NDArray[np.int64]]

    @classmethod
    def read(cls, features: Features, folders: Sequence[Path]) -> "Durations":
        """Those of a corpus, and a uniform split.

        Args:
            features: The corpus.
            folders: What `aligner export --format npy` or the step `place` wrote; a folder's name is its
                aligner's.

        Raises:
            AlignerError: If an utterance is missing in one, has other tokens than in another, or not as many
                durations as tokens, or if they do not sum to the frames of its mel.
        """
        found = {folder.name: _read_folder(folder) for folder in folders}
        if len(found) < len(folders) or UNIFORM in found:
            raise AlignerError(f"two folders have one name, or one is called {UNIFORM}: {folders}")
        tokens: list[list[str]] = []
        frames: dict[str, list[NDArray[np.int64]]] = {name: [] for name in (*found, UNIFORM)}
        for id, own_frames in zip(features.ids, features.frames, strict=True):
            its_tokens = {tuple(texts.get(id, ())) for texts, _ in found.values()}
            if len(its_tokens) != 1 or its_tokens == {()}:
                raise AlignerError(f"{id}: has not the same tokens in {', '.join(found)}")
            tokens.append(list(its_tokens.pop()))
            for name, (_, folder) in found.items():
                frames[name].append(_checked(folder / f"{id}.npy", len(tokens[-1]), own_frames))
            frames[UNIFORM].append(uniform(len(tokens[-1]), own_frames))
        return cls(
            np.array([symbol for its in tokens for symbol in its]),
            np.array([len(its) for its in tokens]),
            {name: np.concatenate(its) for name, its in frames.items()},
        )


def uniform(tokens: int, frames: int) -> NDArray[np.int64]:
    """Frames split evenly over the tokens.

    Args:
        tokens: How many.
        frames: How many.
    """
    return np.diff(np.round(np.linspace(0, frames, tokens + 1)).astype(np.int64))


def _read_folder(folder: Path) -> tuple[dict[str, list[str]], Path]:
    """The tokens of each utterance, and where its durations are."""
    lines = (folder / "tokens.txt").read_text(encoding="utf-8").splitlines()
    return {
        id: symbols.split(" ") for id, symbols in (line.split("|") for line in lines)
    }, folder / "durations"


def _checked(path: Path, tokens: int, frames: int) -> NDArray[np.int64]:
    durations = np.load(path, allow_pickle=False)
    if durations.shape != (tokens,) or not np.issubdtype(durations.dtype, np.integer):
        raise AlignerError(f"{path}: {durations.dtype}{list(durations.shape)} for {tokens} tokens")
    if (durations < 0).any():
        raise AlignerError(f"{path}: a token has less than no frames")
    if durations.sum() != frames:
        raise AlignerError(f"{path}: durations sum to {durations.sum()}, its mel has {frames} frames")
    return durations.astype(np.int64)
