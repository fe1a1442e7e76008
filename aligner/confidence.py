"""Confidence of phones, words and utterances: goodness of pronunciation, calibrated to a probability.

B batch, T text tokens of an utterance, N those of a batch, F packed frames, V symbols.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligner.alignment import SCORE_DIGITS, Alignment, is_pause
from aligner.ragged import Indices, ranges, rows_of, starts_of, sums_of
from aligner.text.packed import PackedTokens
from aligner.text.transcript import GAP

LONGEST_PHONE_S = 1.5  # nobody speaks a longer one, unless he sings
# About the length of a short word.
_STRETCH_S = 0.150
_WORST_PHONES = 3
_PENALTY = 1e-3  # separable classes would send the weights to infinity


def too_long_phone(alignment: Alignment) -> str | None:
    """The longest phone of an alignment, in words, if it is longer than anybody speaks: its times are wrong.

    Args:
        alignment: Of an utterance.
    """
    phones = (t for t in alignment.tokens if not is_pause(t.symbol) and t.symbol != GAP)
    lengths = ((t.end_s - t.start_s, t.symbol) for t in phones)
    length_s, symbol = max(lengths, default=(0.0, ""))
    return f"phone {symbol!r} {length_s:.1f} s" if length_s > LONGEST_PHONE_S else None


def goodness_of_pronunciation(
    log_posteriors: Tensor, starts: Indices, durations: Indices, tokens: PackedTokens
) -> NDArray[np.float64]:
    """For each token the mean log posterior of its symbol over its frames, `[N]`: 0 at best.

    Args:
        log_posteriors: `[F, V]`, of every symbol at every frame of the batch.
        starts: `[B]`, the first frame of each utterance.
        durations: `[N]`, frames of each token. One without frames gets 0.
        tokens: Of the utterances.

    Source:
        Witt and Young, "Phone-level pronunciation scoring", 2000, the numerator's posterior form.
    """
    frame = torch.from_numpy(ranges(starts, sums_of(durations, tokens.lengths)))
    symbol = torch.from_numpy(np.repeat(tokens.token_ids, durations))
    own = log_posteriors[frame.to(log_posteriors.device), symbol.to(log_posteriors.device)]
    return sums_of(own.double().cpu().numpy(), durations) / np.maximum(durations, 1)


def utterance_evidence(
    goodness: NDArray[np.float64], tokens: PackedTokens, durations: Indices, frame_s: float
) -> NDArray[np.float64]:
    """What the score of an utterance is made of, `[B, 3]`.

    The mean goodness of the phones; that of the worst stretch of 150 ms, pauses included (a word that the
    text lacks is spread over its neighbours or passed over as a pause); and the mean of the three worst
    phones (a word too many). Zeros where no phone is spoken.

    Args:
        goodness: `[N]`, of each token.
        tokens: N tokens of B utterances.
        durations: `[N]`, frames of each token.
        frame_s: Seconds a frame.
    """
    utterance = rows_of(tokens.lengths)
    spoken = np.flatnonzero(tokens.is_phone & (durations > 0))
    n_spoken = sums_of(tokens.is_phone & (durations > 0), tokens.lengths)
    own = goodness[spoken]
    own = own[np.lexsort((own, utterance[spoken]))]  # the worst of each utterance first
    mean = sums_of(own, n_spoken) / np.maximum(n_spoken, 1)
    n_worst = np.minimum(n_spoken, _WORST_PHONES)
    worst = sums_of(own[ranges(starts_of(n_spoken), n_worst)], n_worst) / np.maximum(n_worst, 1)

    n_frames = sums_of(durations, tokens.lengths)
    width = np.minimum(max(1, round(_STRETCH_S / frame_s)), np.maximum(n_frames, 1))
    sums = np.concatenate([[0.0], np.cumsum(np.repeat(goodness, durations))])
    n_stretches = np.maximum(n_frames - width, 0) + 1
    first = ranges(starts_of(n_frames), n_stretches)
    last = np.minimum(first + np.repeat(width, n_stretches), len(sums) - 1)
    stretch = np.minimum.reduceat(sums[last] - sums[first], starts_of(n_stretches)) / width
    return np.where(n_spoken[:, None] > 0, np.stack([mean, stretch, worst], 1), 0.0)


class Calibration(nn.Module):
    """From goodness of pronunciation to a probability, by logistic regression.

    Of the weights the last is the offset. Until `fit` they are a guess.
    """

    phone_weights: Tensor
    utterance_weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("phone_weights", torch.tensor([1.0, 2.0]))
        self.register_buffer("utterance_weights", torch.tensor([1.0, 1.0, 1.0, 4.0]))

    def phone_scores(self, goodness: NDArray[np.float64]) -> list[float]:
        """Scores in 0..1 of tokens with goodness `[T]`."""
        return _probability(goodness[:, None], self.phone_weights).tolist()

    def utterance_score(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores in 0..1 of utterances with the evidence `[..., 3]` of `utterance_evidence`."""
        return _probability(evidence, self.utterance_weights)

    def fit(
        self,
        right_phones: NDArray[np.float64],
        wrong_phones: NDArray[np.float64],
        right_utterances: NDArray[np.float64],
        wrong_utterances: NDArray[np.float64],
    ) -> None:
        """Learn both from examples.

        Args:
            right_phones: `[n]`, goodness of phones that were spoken.
            wrong_phones: `[n]`, of phones that were not.
            right_utterances: `[n, 3]`, evidence of utterances with their own text.
            wrong_utterances: `[n, 3]`, with another.
        """
        phone = _logistic(right_phones[:, None], wrong_phones[:, None])
        self.phone_weights.copy_(torch.from_numpy(phone))
        self.utterance_weights.copy_(torch.from_numpy(_logistic(right_utterances, wrong_utterances)))


def _probability(evidence: NDArray[np.float64], line: Tensor) -> NDArray[np.float64]:
    *weights, offset = line.tolist()
    with np.errstate(over="ignore"):  # of a text that fits not at all: the probability is then 0
        probability = 1 / (1 + np.exp(-(evidence @ np.array(weights) + offset)))
    return np.round(probability, SCORE_DIGITS)


def _logistic(right: NDArray[np.float64], wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights and offset that make the two classes `[n, features]`, weighted alike, most probable.

    Weights are not negative: a better goodness never means less confidence.
    """
    from scipy.optimize import minimize

    values = np.concatenate([right, wrong])
    label = np.arange(len(values)) < len(right)
    mean, deviation = values.mean(0), values.std(0) + 1e-9
    standard = (values - mean) / deviation
    weight = np.where(label, 0.5 / len(right), 0.5 / len(wrong))
    sign = np.where(label, 1.0, -1.0)

    def loss(line: NDArray[np.float64]) -> float:
        penalty = _PENALTY * np.square(line[:-1]).sum()
        return float((weight * np.logaddexp(0, -sign * (standard @ line[:-1] + line[-1]))).sum() + penalty)

    bounds = [(0.0, None)] * right.shape[1] + [(None, None)]
    line = minimize(loss, np.zeros(right.shape[1] + 1), bounds=bounds).x
    weights = line[:-1] / deviation
    return np.append(weights, line[-1] - weights @ mean)
