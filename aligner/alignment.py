"""An alignment: which token and word is spoken when. Seconds <-> frames is converted here and only here."""

from dataclasses import dataclass


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

    Optional pauses that nobody spoke are not in `tokens`.
    """

    id: str
    duration_s: float
    tokens: tuple[Interval, ...]
    words: tuple[Interval, ...]
    speaker: str = ""
    score: float | None = None
