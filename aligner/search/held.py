"""Boundaries that are set beforehand: the search goes from each to the next.

B batch, N packed tokens, n boundaries that are held.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aligner.alignment import FrameGrid
from aligner.corpus.recording import Recording
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices
from aligner.text.packed import PackedTokens


@dataclass(frozen=True)
class HeldBoundaries:
    """The boundaries of a batch that may not move.

    Args:
        times_s: For each of B utterances the times of those that are held: boundary t is before token t.
        pauses: For each the optional pauses that get a frame all the same.
    """

    times_s: Sequence[Mapping[int, float]]
    pauses: Sequence[Collection[int]]

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> "HeldBoundaries":
        """What a person set in recordings.

        Args:
            recordings: Of a batch.
        """
        kept = [recording.kept for recording in recordings]
        return cls([own.boundaries_s for own in kept], [own.pauses for own in kept])

    def __bool__(self) -> bool:
        return any(self.times_s)

    def cut(
        self, features: PackedFeatures, tokens: PackedTokens, grid: FrameGrid
    ) -> tuple[PackedFeatures, PackedTokens]:
        """The same frames and tokens in more parts: utterances are cut at what is held, so that a search in
        each part holds it.

        Where a part would have too few frames for its tokens, it stays with the next one, and the boundary is
        only held when frames are seconds (`boundaries.hold`).

        Args:
            features: Of the B utterances.
            tokens: Of the same.
            grid: Where the frames lie.
        """
        ends, skippable = np.cumsum(tokens.lengths), tokens.skippable.copy()
        for end, length, pauses in zip(ends, tokens.lengths, self.pauses, strict=True):
            skippable[[end - length + t for t in pauses]] = False
        rows: list[int] = []
        n_tokens: list[int] = []
        n_frames: list[int] = []
        for b, own in enumerate(self.times_s):
            total, frames = int(tokens.lengths[b]), int(features.n_frames[b])
            must = (~skippable[ends[b] - total : ends[b]]).cumsum()
            cuts = [(0, 0)]
            for boundary, time_s in sorted(own.items()):
                frame = int(np.clip(grid.first_frame_after(np.array(time_s)), 0, frames))
                before, after = cuts[-1], (boundary, frame)
                if _fits(must, before, after) and _fits(must, after, (total, frames)):
                    cuts.append(after)
            parts = np.diff([*cuts, (total, frames)], axis=0)
            rows += [b] * len(parts)
            n_tokens += parts[:, 0].tolist()
            n_frames += parts[:, 1].tolist()
        return (
            replace(features, n_frames=np.array(n_frames, np.int64)),
            replace(
                tokens,
                ids=tuple(tokens.ids[b] for b in rows),
                lengths=np.array(n_tokens, np.int64),
                skippable=skippable,
                speakers=tuple(tokens.speakers[b] for b in rows) if tokens.speakers else (),
            ),
        )


def _fits(must: Indices, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether the tokens from one boundary to another fit the frames from the one's to the other's.

    Args:
        must: `[T]`, of the tokens up to each how many need a frame.
        before: A boundary and its frame.
        after: A later one.
    """
    (first, first_frame), (end, end_frame) = before, after
    if end <= first or end_frame <= first_frame:
        return False
    needed = must[end - 1] - (must[first - 1] if first else 0)
    return bool(needed <= end_frame - first_frame)
