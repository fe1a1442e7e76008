"""Diagnostics of each utterance, as the Montreal Forced Aligner's `alignment_analysis.csv` has them."""

import csv
import io
import math
from collections.abc import Iterable

import numpy as np

from aligner.alignment import Alignment, Interval, is_pause
from aligner.formats.writer import Writer
from aligner.spread import probability_within

_FILE = "alignment_analysis.csv"
_LEAST = 1e-6  # a score of 0 has no logarithm
# MFA's columns in its order, then ours.
_COLUMNS = (
    *("file", "begin", "end", "speaker", "overall_log_likelihood", "speech_log_likelihood"),
    *("phone_duration_deviation", "snr"),
    *("score", "lowest_word", "lowest_word_score", "words", "phones", "pause_s", "longest_phone_s"),
    *("mean_spread_s", "within_20_ms"),
)


class Diagnostics(Writer):
    """`alignment_analysis.csv`: what looks wrong in each utterance, with MFA's columns and some of ours.

    `phone_duration_deviation` is MFA's: the mean over phones of how many standard deviations a phone's length
    is from the mean of all of its name. An alignment has scores and no likelihoods, so
    `overall_log_likelihood` is the mean logarithm of the scores by time, and `speech_log_likelihood` that of
    what is no pause; both are higher where the alignment is better, as MFA's are. `snr` stays empty.
    `mean_spread_s` is the mean spread of the boundaries but for the recording's ends, `within_20_ms` the part
    of them that is probably within 20 ms (`aligner.spread`).
    """

    lists = (_FILE,)

    def begin(self) -> None:
        self._list = self.list_file(_FILE)
        self._rows: list[tuple[list[object], bytes]] = []
        self._numbers: dict[str, int] = {}

    def write(self, alignment: Alignment, name: str) -> None:
        spoken = [token for token in alignment.tokens if not is_pause(token.symbol)]
        scored = [word for word in alignment.words if word.score is not None]
        lowest = min(scored, key=lambda word: word.score or 0.0, default=None)
        lengths_s = [token.end_s - token.start_s for token in spoken]
        row: list[object] = [
            name,
            0.0,
            round(alignment.duration_s, 6),
            alignment.speaker,
            _mean_log_score(alignment.tokens),
            _mean_log_score(spoken),
            None,
            None,
            alignment.score,
            lowest.symbol if lowest else None,
            lowest.score if lowest else None,
            len(alignment.words),
            len(spoken),
            round(sum((t.end_s - t.start_s for t in alignment.tokens if is_pause(t.symbol)), 0.0), 6),
            round(max(lengths_s, default=0.0), 6),
            *_spreads(alignment),
        ]
        _line(row)  # what cannot be written is refused before it is counted
        phones = [self._numbers.setdefault(token.symbol, len(self._numbers)) for token in spoken]
        self._rows.append((row, np.array([phones, lengths_s], np.float32).tobytes()))

    def finish(self) -> None:
        phones = [np.frombuffer(data, np.float32).reshape(2, -1) for _, data in self._rows]
        mean, deviation = _lengths_by_phone(phones, len(self._numbers))
        self._list.write(_line(_COLUMNS))
        for (row, _), (numbers, lengths_s) in zip(self._rows, phones, strict=True):
            own = numbers.astype(int)
            known = deviation[own] > 0
            if known.any():
                far = np.abs(lengths_s[known] - mean[own[known]]) / deviation[own[known]]
                row[_COLUMNS.index("phone_duration_deviation")] = round(float(far.mean()), 4)
            self._list.write(_line(row))


def _spreads(alignment: Alignment) -> tuple[float | None, float | None]:
    """The mean spread in seconds, and the part of the boundaries that is probably within 20 ms."""
    own = [spread_s for _, spread_s in alignment.spreads_s[1:-1]]
    if not own:
        return None, None
    return round(float(np.mean(own)), 5), round(float(probability_within(own, 0.020).mean()), 4)


def _mean_log_score(tokens: Iterable[Interval]) -> float | None:
    """The mean natural logarithm of scores, weighted by length; None if a token has none."""
    total = length_s = 0.0
    for token in tokens:
        if token.score is None:
            return None
        total += (token.end_s - token.start_s) * math.log(max(token.score, _LEAST))
        length_s += token.end_s - token.start_s
    return round(total / length_s, 4) if length_s else None


def _lengths_by_phone(phones: list[np.ndarray], n_phones: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in seconds of each phone, `[n_phones]`; of one that comes once it is 0."""
    count, total, squares = np.zeros(n_phones), np.zeros(n_phones), np.zeros(n_phones)
    for numbers, lengths_s in phones:
        own = numbers.astype(int)
        np.add.at(count, own, 1)
        np.add.at(total, own, lengths_s)
    mean = total / np.maximum(count, 1)
    for numbers, lengths_s in phones:
        own = numbers.astype(int)
        np.add.at(squares, own, (lengths_s - mean[own]) ** 2)
    return mean, np.sqrt(squares / np.maximum(count - 1, 1))


def _line(fields: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode()
