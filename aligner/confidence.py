"""How sure an aligner is that a phone, a word, an utterance is what the text says.

T tokens, F frames of a batch one after the other, M states.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligner.text.transcript import PAUSE, Tokens, Transcript

if TYPE_CHECKING:
    from aligner.corpus.prepared import Utterance
    from aligner.training.module import Aligner

_UTTERANCES = 100  # enough for a few coefficients, and a matter of seconds
_BATCH = 25
_STRETCH_FRAMES = 15


def phone_evidence(
    posteriors: Tensor,
    starts: Sequence[int],
    durations: Sequence[NDArray[np.int64]],
    tokens: Sequence[Tokens],
    token_ids: dict[str, int],
) -> list[NDArray[np.float64]]:
    """For each token the mean log posterior of its symbol over its frames, `[T]`: 0 sure, the lower the less.

    posteriors: `[F, V]`, log. starts: the first frame of each utterance. A token without frames has evidence
    0.
    """
    result = []
    for item, row, start in zip(tokens, durations, starts, strict=True):
        symbol = torch.tensor([token_ids[s] for s in item.symbols])
        frames = torch.repeat_interleave(symbol, torch.from_numpy(row)).to(posteriors.device)
        own = posteriors[start : start + len(frames)].gather(1, frames[:, None])[:, 0].double().cpu().numpy()
        total = np.bincount(np.repeat(np.arange(len(item)), row), own, minlength=len(item))
        result.append(total / np.maximum(row, 1))
    return result


def utterance_evidence(
    evidence: NDArray[np.float64], tokens: Tokens, durations: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What tells a text that fits from one that does not, `[3]`: the mean evidence of its phones, the worst
    stretch of 150 ms, pauses included (a word the text lacks is spread over its neighbours or passed over as
    a pause), and the mean of its three worst phones (a word too many).
    """
    spoken = np.array([symbol != PAUSE for symbol in tokens.symbols]) & (durations > 0)
    if not spoken.any():
        return np.zeros(3)
    by_frame = np.repeat(evidence, durations)
    sums = np.concatenate([[0.0], np.cumsum(by_frame)])
    width = min(_STRETCH_FRAMES, len(by_frame))
    worst_stretch = (sums[width:] - sums[:-width]).min() / width
    return np.array([evidence[spoken].mean(), worst_stretch, np.sort(evidence[spoken])[:3].mean()])


class Calibration(nn.Module):
    """From evidence to a probability, by logistic regression on the corpus itself.

    What belongs together is each utterance with its own text; what does not, each with another's text, with
    a word left out and with one too many. `phone` and `whole` hold the weights, the offset last.
    """

    phone: Tensor
    whole: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("phone", torch.tensor([1.0, 2.0]))
        self.register_buffer("whole", torch.tensor([1.0, 1.0, 1.0, 4.0]))

    def phones(self, evidence: NDArray[np.float64]) -> list[float]:
        """Scores in 0..1 of tokens with evidence `[T]`."""
        return _probability(evidence[:, None], self.phone).tolist()

    def utterance(self, evidence: NDArray[np.float64]) -> float:
        """The score in 0..1 of an utterance with evidence `[3]`."""
        return float(_probability(evidence[None], self.whole)[0])

    def fit(self, aligner: "Aligner", utterances: "Sequence[Utterance]", seed: int) -> None:
        """Learn both from a sample of a corpus. Leaves them as they are if it is too small to compare."""
        generator = np.random.default_rng(seed)
        own = [utterances[i] for i in generator.permutation(len(utterances))[:_UTTERANCES]]
        texts = [utterance.transcript for utterance in own]
        others = texts[1:] + texts[:1]
        right = _evidence(aligner, own, texts)
        swapped = _evidence(aligner, own, others)
        altered = _evidence(aligner, own, [_without_a_word(t, generator) for t in texts])
        altered += _evidence(
            aligner, own, [_with_a_word(t, o, generator) for t, o in zip(texts, others, strict=True)]
        )
        if not (right and swapped):
            return
        phones = [np.concatenate([phone for phone, _ in rows])[:, None] for rows in (right, swapped)]
        whole = [np.stack([utterance for _, utterance in rows]) for rows in (right, swapped + altered)]
        for buffer, (fitting, other) in ((self.phone, phones), (self.whole, whole)):
            buffer.copy_(torch.from_numpy(_logistic(fitting, other)))


def _without_a_word(transcript: Transcript, generator: np.random.Generator) -> Transcript:
    if transcript.fixed is not None or len(transcript.words) < 2:
        return transcript
    left_out = int(generator.integers(len(transcript.words)))
    return Transcript(transcript.words[:left_out] + transcript.words[left_out + 1 :])


def _with_a_word(transcript: Transcript, other: Transcript, generator: np.random.Generator) -> Transcript:
    if transcript.fixed is not None or not other.words:
        return transcript
    place = int(generator.integers(len(transcript.words) + 1))
    word = other.words[int(generator.integers(len(other.words)))]
    return Transcript((*transcript.words[:place], word, *transcript.words[place:]))


def _probability(evidence: NDArray[np.float64], line: Tensor) -> NDArray[np.float64]:
    *weights, offset = line.tolist()
    return 1 / (1 + np.exp(-(evidence @ np.array(weights) + offset)))


def _evidence(
    aligner: "Aligner", utterances: "Sequence[Utterance]", texts: Sequence[Transcript]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Evidence of the phones and of the whole, of each utterance whose text is not too long for it."""
    from aligner.corpus.prepared import load_audio, min_frames

    rate = aligner.frontend.sample_rate_hz
    pairs = []
    for utterance, text in zip(utterances, texts, strict=True):
        audio = load_audio(utterance, rate)
        if min_frames(text) <= aligner.frontend.frame_count(len(audio)):
            pairs.append((utterance.id, audio, text))
    result = []
    for start in range(0, len(pairs), _BATCH):
        for tokens, durations, evidence in aligner.evidence(
            *zip(*pairs[start : start + _BATCH], strict=True)
        ):
            spoken = np.array([symbol != PAUSE for symbol in tokens.symbols])
            result.append((evidence[spoken], utterance_evidence(evidence, tokens, durations)))
    return result


def _logistic(fitting: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights and offset that make the two classes `[n, features]`, weighted alike, most probable.

    Weights are not negative: more evidence never means less confidence.
    """
    from scipy.optimize import minimize

    values = np.concatenate([fitting, other])
    label = np.arange(len(values)) < len(fitting)
    mean, deviation = values.mean(0), values.std(0) + 1e-9
    standard = (values - mean) / deviation
    weight = np.where(label, 0.5 / len(fitting), 0.5 / len(other))
    sign = np.where(label, 1.0, -1.0)

    def loss(line: NDArray[np.float64]) -> float:
        penalty = 1e-3 * np.square(line[:-1]).sum()  # separable classes would send the weights to infinity
        return float((weight * np.logaddexp(0, -sign * (standard @ line[:-1] + line[-1]))).sum() + penalty)

    bounds = [(0.0, None)] * fitting.shape[1] + [(None, None)]
    line = minimize(loss, np.zeros(fitting.shape[1] + 1), bounds=bounds).x
    weights = line[:-1] / deviation
    return np.append(weights, line[-1] - weights @ mean)
