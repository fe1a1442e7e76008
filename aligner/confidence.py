"""How sure an aligner is that a phone, a word, an utterance is what the text says.

T tokens, F frames of a batch one after the other, M states.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligner.transcript import PAUSE, Tokens

if TYPE_CHECKING:
    from aligner.corpus import Utterance
    from aligner.module import Aligner

_UTTERANCES = 200  # enough for two coefficients, and a matter of seconds


def phone_evidence(
    posteriors: Tensor,
    starts: Sequence[int],
    durations: Sequence[NDArray[np.int64]],
    tokens: Sequence[Tokens],
    token_ids: dict[str, int],
) -> list[NDArray[np.float64]]:
    """For each token the mean log posterior of its symbol over its frames, `[T]`: 0 sure, the lower the less.

    posteriors: `[F, V]`, log. starts: the first frame of each utterance. A token without frames has evidence 0.
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
) -> float:
    """The worse of two means over what is spoken: over phones (a text with words too many squeezes phones that are
    not there into few frames) and over frames (one with words too few stretches a few phones over many).
    """
    spoken = np.array([symbol != PAUSE for symbol in tokens.symbols])
    if not spoken.any():
        return 0.0
    by_phone = evidence[spoken].mean()
    by_frame = np.average(evidence[spoken], weights=np.maximum(durations[spoken], 1))
    return float(min(by_phone, by_frame))


class Calibration(nn.Module):
    """From evidence to a probability, by logistic regression on the corpus itself.

    What belongs together is each utterance with its own text; what does not, each with another's. `phone` and
    `utterance` hold slope and offset.
    """

    phone: Tensor
    whole: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("phone", torch.tensor([1.0, 2.0]))
        self.register_buffer("whole", torch.tensor([1.0, 2.0]))

    def phones(self, evidence: NDArray[np.float64]) -> list[float]:
        """Scores in 0..1 of tokens."""
        return _probability(evidence, self.phone).tolist()

    def utterance(self, evidence: float) -> float:
        """The score in 0..1 of an utterance."""
        return float(_probability(np.array(evidence), self.whole))

    def fit(self, aligner: "Aligner", utterances: "Sequence[Utterance]", seed: int) -> None:
        """Learn both from a sample of a corpus."""
        chosen = np.random.default_rng(seed).permutation(len(utterances))[:_UTTERANCES]
        own = [utterances[i] for i in chosen]
        right = _evidence(aligner, own, own)
        wrong = _evidence(aligner, own, own[1:] + own[:1])
        if not wrong:
            return
        for buffer, level in ((self.phone, 0), (self.whole, 1)):
            values = np.concatenate([np.concatenate([r[level] for r in rows]) for rows in (right, wrong)])
            label = np.arange(len(values)) < sum(len(r[level]) for r in right)
            buffer.copy_(torch.from_numpy(_logistic(values, label)))


def _probability(evidence: NDArray[np.float64], line: Tensor) -> NDArray[np.float64]:
    slope, offset = line.tolist()
    return 1 / (1 + np.exp(-(slope * evidence + offset)))


def _evidence(
    aligner: "Aligner", audio_of: "Sequence[Utterance]", text_of: "Sequence[Utterance]"
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Phone and utterance evidence of each pair whose text fits its audio."""
    from aligner.corpus import load_audio, min_frames

    rate = aligner.frontend.sample_rate_hz
    result = []
    for heard, read in zip(audio_of, text_of, strict=True):
        audio = load_audio(heard, rate)
        if min_frames(read.transcript) > aligner.frontend.frame_count(len(audio)):
            continue
        tokens, durations, evidence = aligner.evidence(heard.id, audio, read.transcript)
        spoken = np.array([symbol != PAUSE for symbol in tokens.symbols])
        result.append((evidence[spoken], np.array([utterance_evidence(evidence, tokens, durations)])))
    return result


def _logistic(values: NDArray[np.float64], label: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Slope and offset that make the two classes, weighted alike, most probable."""
    from scipy.optimize import minimize

    weight = np.where(label, 0.5 / max(label.sum(), 1), 0.5 / max((~label).sum(), 1))
    sign = np.where(label, 1.0, -1.0)

    def loss(line: NDArray[np.float64]) -> float:
        penalty = 1e-4 * line[0] ** 2  # separable classes would send the slope to infinity
        return float((weight * np.logaddexp(0, -sign * (line[0] * values + line[1]))).sum() + penalty)

    return minimize(loss, np.array([1.0, 1.0]), method="Nelder-Mead").x
