"""An alignment: when each token and word is spoken.

T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import mul
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aligner.errors import AlignerError
from aligner.frame_grid import FRAME_RULES as FRAME_RULES
from aligner.frame_grid import FrameGrid as FrameGrid
from aligner.frame_grid import FrameRule as FrameRule
from aligner.ragged import at_least_one_each
from aligner.text.transcript import is_pause as is_pause

SCORE_DIGITS = 4  # more are noise, and a third of a manifest
PausesTo = Literal["previous", "next", "nearest"]
PAUSES_TO: tuple[PausesTo, ...] = get_args(PausesTo)

# How far a model's own count of frames may be from the grid's: windows at the ends, a trimmed recording.
_FRAMES_OFF, _SHARE_OFF = 8, 0.05


class DoesNotFit(AlignerError):
    """An utterance has more tokens than the model has frames for it."""


@dataclass(frozen=True)
class Interval:
    """A token or a word with its start and end.

    Args:
        symbol: The token, or the word as written.
        start_s: Its start in seconds.
        end_s: Its end in seconds.
        score: A confidence in [0, 1]; None where nobody gave one (a reference).
        word: Index of the token's word in `Alignment.words`, -1 for none.
        added: Whether it is a pause that the aligner put among a consumer's own tokens, which the consumer
            does not count (`Alignment.own_tokens`).
    """

    symbol: str
    start_s: float
    end_s: float
    score: float | None = None
    word: int = -1
    added: bool = False


@dataclass(frozen=True)
class Gap:
    """A place where text and audio differ: words that are not said, or speech that the text lacks, or both.

    Args:
        start_s: Where speech that the text lacks begins in seconds; without such speech, where the words
            should have been.
        end_s: Its end; without such speech the same as `start_s`.
        unsaid: The words that are not said, as written.
    """

    start_s: float
    end_s: float
    unsaid: tuple[str, ...] = ()

    def __str__(self) -> str:
        extra = f"{self.end_s - self.start_s:.2f} s of speech that the text lacks"
        if not self.unsaid:
            return f"{extra}, at {self.start_s:.2f} s"
        instead = f", instead {extra}" if self.end_s > self.start_s else ""
        return f"{' '.join(self.unsaid)!r} is not said at {self.start_s:.2f} s{instead}"


@dataclass(frozen=True)
class Alignment:
    """The tokens and words of one utterance with their times.

    Tokens follow each other from 0 to `duration_s` without gap or overlap. Optional pauses that nobody spoke
    are not among them. A reference may lack either level: it is an empty tuple then.

    Words of the text that are not said are not among the words; speech that the text lacks is a token
    (`text.transcript.GAP`) of no word. `gaps` has both.

    Where the text was given as a consumer's own tokens, pauses between them are `Interval.added`: `durations`
    has no entry for them, and gives their frames to a neighbour.

    Args:
        id: The utterance's name.
        duration_s: Length of the recording in seconds.
        tokens: Phones and pauses, T of them.
        words: Spans over the tokens.
        speaker: "" if unknown.
        score: A confidence in [0, 1] for the whole utterance; None where nobody gave one.
        text: As written, "" if unknown.
        audio: The recording's path as the manifest has it, "" if unknown.
        by_hand_s: The times that a person set, in order; the others are an aligner's. None: nobody said.
        wrong_words: Indices of the words that a person marked as wrong: they are not what is said.
        gaps: Where text and audio differ, in order; none in a consumer's own tokens, which are taken as said.
        spreads_s: Times of boundaries, in order, each with how far it may be off (`aligner.spread`).
    """

    id: str
    duration_s: float
    tokens: tuple[Interval, ...]
    words: tuple[Interval, ...]
    speaker: str = ""
    score: float | None = None
    text: str = ""
    audio: str = ""
    by_hand_s: tuple[float, ...] | None = None
    wrong_words: tuple[int, ...] = ()
    gaps: tuple[Gap, ...] = ()
    spreads_s: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_boundaries(
        cls,
        id: str,
        symbols: Sequence[str],
        words: Sequence[int],
        word_texts: Sequence[str],
        boundaries_s: Sequence[float] | NDArray[np.float64],
        duration_s: float,
        *,
        scores: Sequence[float] | None = None,
        added: Sequence[bool] | None = None,
        speaker: str = "",
        score: float | None = None,
        text: str = "",
        audio: str = "",
    ) -> "Alignment":
        """An alignment from T tokens and the T + 1 times around them.

        Tokens without extent (optional pauses that nobody spoke) are left out. A word's score is the mean
        over its tokens, weighted by their length.

        Args:
            id: The utterance's name.
            symbols: The tokens, `[T]`.
            words: For each token the index into `word_texts`, -1 for none, `[T]`.
            word_texts: The words as written.
            boundaries_s: Times in seconds and in order, `[T + 1]`. The first becomes 0 and the last
                `duration_s`.
            duration_s: Length of the recording in seconds.
            scores: A confidence for each token, `[T]`.
            added: For each token whether it is a pause among a consumer's own tokens, `[T]`; None: there are
                no such tokens. Only these are left out then.
            speaker: As in `Alignment`, like `score`, `text` and `audio`.
            score: Of the whole utterance.
            text: As written.
            audio: The recording's path.

        Raises:
            AlignerError: For lengths that differ, times out of order and words left without a token.
        """
        scored = len(symbols) if scores is None else len(scores)
        if not len(symbols) == len(words) == scored == len(boundaries_s) - 1:
            raise AlignerError(f"{id}: {len(symbols)} tokens need {len(symbols) + 1} boundaries")
        edges = np.clip(np.asarray(boundaries_s, np.float64), 0.0, duration_s)
        edges[0], edges[-1] = 0.0, duration_s
        if not (np.diff(edges) >= 0).all():
            raise AlignerError(f"{id}: token boundaries are not in order (or not numbers)")
        starts = edges.tolist()  # Python's own numbers: numpy's take ten times as long one by one
        tokens = tuple(
            Interval(
                symbols[t],
                starts[t],
                starts[t + 1],
                None if scores is None else float(scores[t]),
                words[t],
                added is not None and bool(added[t]),
            )
            for t in range(len(symbols))
            if starts[t + 1] > starts[t] or (added is not None and not added[t])
        )
        spans = _word_spans(id, word_texts, tokens)
        return cls(id, float(duration_s), tokens, spans, speaker, score, text, audio)

    def durations(
        self,
        hop_samples: int,
        sample_rate_hz: int,
        frames: int | None = None,
        frame_rule: FrameRule = "center",
        pauses_to: PausesTo = "previous",
    ) -> NDArray[np.int64]:
        """Frames per token on the grid of any model, `[T]`: their sum is `frames`, each is at least 1.

        A frame belongs to the token its centre lies in. Where that leaves a token without a frame, boundaries
        around it move, by as few frames as will do. Added pauses are not among the T tokens (`own_tokens`).

        Args:
            hop_samples: The model's hop.
            sample_rate_hz: The model's sample rate.
            frames: The model's own count of frames; without it the count that its rule gives for
                `duration_s` at its sample rate, rounded up to whole samples as librosa and torchaudio do.
            frame_rule: Where its frames lie, see `FrameGrid`.
            pauses_to: Which neighbour gets the frames of an added pause, see `own_tokens`.

        Raises:
            DoesNotFit: If there are more tokens than frames.
            AlignerError: If the grid makes no sense, or `frames` is far from what it gives for `duration_s`.
        """
        grid = FrameGrid(hop_samples, sample_rate_hz, frame_rule)
        if frames is not None and (isinstance(frames, bool) or not isinstance(frames, int | np.integer)):
            raise AlignerError(f"frames {frames!r} must be a whole number")
        durations = self.durations_on(grid, frames, pauses_to)
        usual = grid.frame_count(grid.sample_count(self.duration_s))
        if frames is not None and abs(frames - usual) > max(_FRAMES_OFF, _SHARE_OFF * usual):
            raise AlignerError(
                f"{self.id}: {frames} frames for {self.duration_s:.3f} s, of which {hop_samples} samples at "
                f"{sample_rate_hz} Hz make {usual}; is this the hop, the rate and the recording of the model?"
            )
        return durations

    def durations_on(
        self, grid: FrameGrid, frames: int | None = None, pauses_to: PausesTo = "previous"
    ) -> NDArray[np.int64]:
        """As `durations`.

        Args:
            grid: Where the model's frames lie.
            frames: The model's own count of frames, as in `durations`.
            pauses_to: As in `durations`.
        """
        if frames is None:
            frames = grid.frame_count(grid.sample_count(self.duration_s))
        tokens = self.own_tokens(pauses_to).tokens
        n_tokens = len(tokens)
        if not n_tokens:
            raise DoesNotFit(f"{self.id}: has no phones or other tokens to give frames to")
        if n_tokens > frames:
            raise DoesNotFit(
                f"{self.id}: {n_tokens} tokens do not fit {frames} frames of {grid.hop_samples} samples at "
                f"{grid.sample_rate_hz} Hz; use a shorter hop, or leave this utterance out"
            )
        starts = grid.first_frame_after(np.array([token.start_s for token in tokens[1:]]))
        return np.diff(at_least_one_each(starts, frames), prepend=0, append=frames)

    def own_tokens(self, pauses_to: PausesTo = "previous") -> "Alignment":
        """The alignment without added pauses: one entry for each token of the consumer, in order.

        Args:
            pauses_to: Which token gets the time of a pause: "previous", the one before it, as a mark of
                punctuation stands after its word; "next", the one after it; "nearest", each its half. At the
                two ends there is only one.

        Raises:
            AlignerError: For another value.
        """
        if pauses_to not in PAUSES_TO:
            raise AlignerError(f"pauses_to {pauses_to!r}: use one of {', '.join(PAUSES_TO)}")
        own = [token for token in self.tokens if not token.added]
        if len(own) in (0, len(self.tokens)):
            return self
        between = {
            "previous": [after.start_s for _, after in pairwise(own)],
            "next": [before.end_s for before, _ in pairwise(own)],
            "nearest": [(before.end_s + after.start_s) / 2 for before, after in pairwise(own)],
        }
        edges_s = [0.0, *between[pauses_to], self.duration_s]
        tokens = tuple(
            replace(token, start_s=start_s, end_s=end_s)
            for token, (start_s, end_s) in zip(own, pairwise(edges_s), strict=True)
        )
        return replace(self, tokens=tokens, words=words_around(self.words, tokens))


def words_around(words: tuple[Interval, ...], tokens: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """The words, each with the extent of its tokens; one without tokens as it is.

    Args:
        words: Of an alignment.
        tokens: Of the same, with other times.
    """
    extents: dict[int, tuple[float, float]] = {}
    for token in tokens:
        start_s, _ = extents.get(token.word, (token.start_s, 0.0))
        extents[token.word] = (start_s, token.end_s)
    spans = (extents.get(index, (word.start_s, word.end_s)) for index, word in enumerate(words))
    return tuple(
        replace(word, start_s=start_s, end_s=end_s)
        for word, (start_s, end_s) in zip(words, spans, strict=True)
    )


def _word_spans(id: str, words: Sequence[str], tokens: Sequence[Interval]) -> tuple[Interval, ...]:
    """The extent of each word, and its score: the mean over its tokens, weighted by their length."""
    own: list[list[Interval]] = [[] for _ in words]
    for token in tokens:
        if 0 <= token.word < len(own):
            own[token.word].append(token)
    spans = []
    for index, (word, its) in enumerate(zip(words, own, strict=True)):
        if not its:
            raise AlignerError(f"{id}: word {index} ({word!r}) has no token with any extent")
        lengths_s = [token.end_s - token.start_s for token in its]
        scored = [token.score for token in its if token.score is not None]
        mean = sum(map(mul, scored, lengths_s)) / sum(lengths_s) if len(scored) == len(its) else None
        score = None if mean is None else round(mean, SCORE_DIGITS)
        spans.append(Interval(word, its[0].start_s, its[-1].end_s, score, index))
    return tuple(spans)
