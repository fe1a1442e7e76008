"""An alignment: which token and word is spoken when. Seconds <-> frames is converted here and only here.

T tokens, S speech frames, N samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE

FrameRule = Literal["centred", "centred_floor", "tiled"]
FRAME_RULES: tuple[FrameRule, ...] = get_args(FrameRule)

_PAUSES = {"", PAUSE, "sp", "pau", "epi", "h#", "#h", "_", "<eps>", "<sil>", "<p>", "<blank>", "silence"}
_PUNCTUATION = set(';:,.!?¡¿—–-…"«»“”„()[] ')  # not all there is: @, { and & are phones in X-SAMPA


class DoesNotFit(AlignerError):
    """An utterance with more tokens than a consumer has frames for it."""


@lru_cache(maxsize=65536)  # asked of every token and word, which are the same few over and over
def is_pause(symbol: str) -> bool:
    """Whether nobody speaks in a token of this name: a silence in any common notation, a blank, punctuation.

    "spn" (noise or an unknown word, in Kaldi's and MFA's notation) is not a pause: somebody speaks.
    """
    return symbol.lower() in _PAUSES or _PUNCTUATION.issuperset(symbol)


@dataclass(frozen=True)
class FrameGrid:
    """Where a consumer's frames lie. A frame's time is its centre.

    "centred" (an STFT with `center=True`: FastSpeech2, ESPnet, librosa): frame s is centred on sample
    s * hop, N samples give 1 + N // hop frames, the boundary between frames s-1 and s lies at (s - 1/2) *
    hop. "centred_floor" (NeMo): the same without the last frame, N // hop of them. "tiled" (padding by (n_fft
    - hop) / 2: HiFi-GAN, VITS, Matcha): frame s is centred on (s + 1/2) * hop, N samples give N // hop
    frames, the boundary lies at s * hop.
    """

    hop_samples: int
    sample_rate_hz: int
    rule: FrameRule = "centred"

    def __post_init__(self) -> None:
        if self.hop_samples <= 0 or self.sample_rate_hz <= 0:
            raise AlignerError(
                f"hop {self.hop_samples} and sample rate {self.sample_rate_hz} must be greater than 0"
            )
        if self.rule not in FRAME_RULES:
            raise AlignerError(f"frame rule {self.rule!r}: use one of {', '.join(FRAME_RULES)}")

    def frame_count(self, n_samples: int) -> int:
        """Frames of `n_samples` samples (at this grid's own sample rate)."""
        return n_samples // self.hop_samples + (self.rule == "centred")

    def first_frame_after(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """For each time the number of frames centred before it: the index of the first frame of what starts
        there.
        """
        hops = np.asarray(times_s) * self.sample_rate_hz / self.hop_samples
        # A centre that a boundary meets to within a millionth of a hop belongs to what starts there.
        return np.ceil(np.round(hops - (self.rule == "tiled") * 0.5, 6)).astype(np.int64)

    def boundary_s(self, frames: NDArray[np.int64]) -> NDArray[np.float64]:
        """The time half-way between the centres of frame s-1 and frame s, for each s."""
        return (np.asarray(frames) - (self.rule != "tiled") * 0.5) * self.hop_samples / self.sample_rate_hz


@dataclass(frozen=True)
class Interval:
    """`symbol` is spoken from `start_s` to `end_s`. `word` is the index into `Alignment.words`, -1 for none.

    `score` is a confidence in [0, 1], None where nobody gave one (a reference).
    """

    symbol: str
    start_s: float
    end_s: float
    score: float | None = None
    word: int = -1


@dataclass(frozen=True)
class Alignment:
    """One utterance. `tokens` tile [0, duration_s] without gap or overlap; `words` are spans over them.

    Optional pauses that nobody spoke are not in `tokens`. A reference may lack either level: an empty tuple.
    text: as written, "" if unknown. audio: the recording's path as the manifest has it, "" if unknown.
    """

    id: str
    duration_s: float
    tokens: tuple[Interval, ...]
    words: tuple[Interval, ...]
    speaker: str = ""
    score: float | None = None
    text: str = ""
    audio: str = ""

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
        speaker: str = "",
        score: float | None = None,
        text: str = "",
        audio: str = "",
    ) -> "Alignment":
        """From T tokens and the T + 1 times around them, in seconds and in order.

        words: for each token the index into `word_texts`, -1 for none. The first time becomes 0 and the last
        `duration_s`. Tokens without extent (optional pauses that nobody spoke) are left out. A word's score
        is the mean over its tokens, weighted by their length.

        Raises AlignerError for lengths that differ, times out of order and words left without a token.
        """
        if not len(symbols) == len(words) == len(boundaries_s) - 1 or (
            scores is not None and len(scores) != len(symbols)
        ):
            raise AlignerError(
                f"{id}: {len(symbols)} tokens with {len(boundaries_s)} boundaries (one more needed)"
            )
        edges = np.clip(np.asarray(boundaries_s, np.float64), 0.0, duration_s)
        edges[0], edges[-1] = 0.0, duration_s
        if not (np.diff(edges) >= 0).all():
            raise AlignerError(f"{id}: token boundaries are not in order (or not numbers)")
        tokens = tuple(
            Interval(
                symbols[t],
                float(edges[t]),
                float(edges[t + 1]),
                None if scores is None else float(scores[t]),
                words[t],
            )
            for t in range(len(symbols))
            if edges[t + 1] > edges[t]
        )
        spans = tuple(_word_span(id, index, word, tokens) for index, word in enumerate(word_texts))
        return cls(id, float(duration_s), tokens, spans, speaker, score, text, audio)

    @classmethod
    def from_durations(
        cls,
        id: str,
        symbols: Sequence[str],
        words: Sequence[int],
        word_texts: Sequence[str],
        durations: Sequence[int] | NDArray[np.int64],
        grid: FrameGrid,
        duration_s: float,
        **more,
    ) -> "Alignment":
        """From frames per token, `[T]`, on a grid; otherwise as `from_boundaries`, which takes `more`."""
        edges = np.concatenate([[0], np.cumsum(durations)])
        return cls.from_boundaries(id, symbols, words, word_texts, grid.boundary_s(edges), duration_s, **more)

    def durations(
        self,
        hop_samples: int,
        sample_rate_hz: int,
        frames: int | None = None,
        frame_rule: str = "centred",
    ) -> NDArray[np.int64]:
        """Frames per token on a consumer's grid, `[T]`: their sum is `frames`, each is at least 1.

        A frame belongs to the token its centre lies in (see `FrameGrid`). Where that leaves a token without a
        frame, boundaries around it move, by as few frames as will do. frames: the consumer's own count;
        without it the count its rule gives for `duration_s` at its sample rate.

        Raises DoesNotFit (an AlignerError) if there are more tokens than frames.
        """
        rule: FrameRule = "centred" if frame_rule == "centered" else frame_rule  # type: ignore[assignment]
        grid = FrameGrid(hop_samples, sample_rate_hz, rule)
        return self.durations_on(grid, frames)

    def durations_on(self, grid: FrameGrid, frames: int | None = None) -> NDArray[np.int64]:
        """As `durations`."""
        if frames is None:
            frames = grid.frame_count(round(self.duration_s * grid.sample_rate_hz))
        n_tokens = len(self.tokens)
        if n_tokens == 0 or n_tokens > frames:
            raise DoesNotFit(
                f"{self.id}: {n_tokens} tokens do not fit {frames} frames of {grid.hop_samples} samples at "
                f"{grid.sample_rate_hz} Hz; use a shorter hop, or leave this utterance out"
            )
        starts = grid.first_frame_after(np.array([token.start_s for token in self.tokens[1:]]))
        return np.diff(_at_least_one_frame(starts, frames), prepend=0, append=frames)


def _at_least_one_frame(starts: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """The strictly increasing integers in 1..frames-1 nearest to `starts` in the largest move.

    With position i taken off, "strictly" becomes "not decreasing", and the answer to that is the mean of the
    running maximum from the left and the running minimum from the right; starts in order already do not move.
    """
    position = np.arange(1, len(starts) + 1)
    slack = starts - position
    upper = np.maximum.accumulate(slack)
    lower = np.minimum.accumulate(slack[::-1])[::-1]
    middle = (upper + lower) // 2
    return np.clip(middle, 0, frames - 1 - len(starts)) + position


def _word_span(id: str, index: int, word: str, tokens: tuple[Interval, ...]) -> Interval:
    own = [token for token in tokens if token.word == index]
    if not own:
        raise AlignerError(f"{id}: word {index} ({word!r}) has no token with any extent")
    lengths = [token.end_s - token.start_s for token in own]
    scores = [token.score for token in own if token.score is not None]
    score = float(np.average(scores, weights=lengths)) if len(scores) == len(own) else None
    return Interval(word, own[0].start_s, own[-1].end_s, score, index)
