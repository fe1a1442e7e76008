"""Is the spread of boundaries what it says? Fit its constants, and compare it with known times.

    python scripts/boundary_spread.py --check runs/timit/last.ckpt=timit
    python scripts/boundary_spread.py --fit a.ckpt=words b.ckpt=phones c.ckpt=czech --check d.ckpt=words

Each argument is a checkpoint and a prepared corpus with known times, which it aligns. With --fit the
constants of `aligner/spread.py` and `aligner/boundaries/spread.py` are fitted to all of these corpora, each
weighted alike, and printed; without, those of the package are measured. Corpora that were fitted to are
measured by constants fitted without the speaker in question (of one speaker: without an eighth of the
utterances), those of --check by the constants.

A table a corpus: of boundaries in tenths by the probability of being within 20 ms, how many are, and the
difference between the two; `chance` is the standard error of that share, were the probability true.

n boundaries.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_silence import known_utterances
from numpy.typing import NDArray

from aligner import Aligner
from aligner.align_batches import batches
from aligner.boundaries.spread import EVIDENCE, WEIGHTS, boundary_evidence
from aligner.commands.output import print_table, progress
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.evaluate import compared_times_s
from aligner.ragged import starts_of
from aligner.spread import DISTANCES_S, LOG_ODDS

WITHIN_S = 0.020
BINS, FOLDS = 10, 8
ENOUGH = 200  # in a tenth: below, chance alone is more than 0.03
_PENALTY = 1e-3  # as much as a weight of 1 may cost in nats
_SAME_S = 1e-6


@dataclass(frozen=True)
class Boundaries:
    """Boundaries of a corpus that have known times.

    Args:
        name: The corpus.
        evidence: `[n, 14]`, what their spread is made of.
        errors_s: `[n]`, how far each is off.
        fold: `[n]`, which are left out together.
    """

    name: str
    evidence: NDArray[np.float64]
    errors_s: NDArray[np.float64]
    fold: NDArray[np.int64]

    def where(self, wanted: NDArray[np.bool_]) -> "Boundaries":
        """Some of them."""
        return Boundaries(self.name, self.evidence[wanted], self.errors_s[wanted], self.fold[wanted])


@dataclass(frozen=True)
class Constants:
    """As in `aligner/spread.py` and `aligner/boundaries/spread.py`."""

    log_odds: NDArray[np.float64]
    weights: NDArray[np.float64]

    def probability(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of being within 20 ms, `[n]`; as the package says it of a spread, which has a least and a most."""
        difficulty = np.clip(evidence @ self.weights, self.log_odds[0], self.log_odds[-1])
        return 1 / (1 + np.exp(difficulty - self.log_odds[DISTANCES_S == WITHIN_S]))


def main() -> int:
    """Fit and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option in ("--fit", "--check"):
        parser.add_argument(option, nargs="+", default=[], metavar="CHECKPOINT=DATA")
    args = parser.parse_args()
    if not args.fit and not args.check:
        parser.error("--fit or --check is needed")
    fitted_to, checked = ([collected(pair) for pair in own] for own in (args.fit, args.check))
    constants = Constants(LOG_ODDS, WEIGHTS)
    if fitted_to:
        constants = fit(fitted_to)
        print("LOG_ODDS =", np.round(constants.log_odds, 3).tolist())
        for name, weight in zip(EVIDENCE, constants.weights, strict=True):
            print(f"{weight:8.3f}  {name}")
    every = []
    for number, own in enumerate(fitted_to):
        others = fitted_to[:number] + fitted_to[number + 1 :]
        probability = np.empty(len(own.errors_s))
        for fold in np.unique(own.fold):
            left_out = own.fold == fold
            probability[left_out] = fit([*others, own.where(~left_out)]).probability(own.evidence[left_out])
        every.append((f"{own.name}, fitted to without the speaker", probability, own.errors_s))
    every += [(own.name, constants.probability(own.evidence), own.errors_s) for own in checked]
    for row in every:
        report(*row)
    report("all together", *(np.concatenate(own) for own in list(zip(*every, strict=True))[1:]))
    return 0


def collected(pair: str) -> Boundaries:
    """The boundaries of words and phones of a corpus as a checkpoint finds them."""
    checkpoint, found, data = pair.rpartition("=")
    if not found:
        raise AlignerError(f"{pair!r}: give CHECKPOINT=DATA")
    aligner = Aligner.load(checkpoint)
    utterances = {u.id: u for u in known_utterances(Path(data))}
    speakers = sorted({u.speaker for u in utterances.values()})
    order = {id: number for number, id in enumerate(sorted(utterances))}
    evidence, errors_s, fold = [], [], []
    for batch in progress(list(batches({u.id: u.duration_s for u in utterances.values()})), data):
        recordings = [load_recording(utterances[id], aligner.frontend.sample_rate_hz) for id in batch]
        decoded, boundaries = aligner.boundaries(recordings)
        posterior_s, is_read = aligner.posterior_spread_s(decoded), np.array([r.is_read for r in recordings])
        rows = boundary_evidence(decoded.tokens, boundaries, posterior_s, is_read)
        starts = starts_of(decoded.tokens.lengths + 1)
        for alignment, start, n_tokens in zip(
            aligner.align_batch(recordings), starts, decoded.tokens.lengths, strict=True
        ):
            utterance = utterances[alignment.id]
            assert utterance.reference is not None
            own_s = boundaries.times_s[start : start + n_tokens + 1]
            for ours_s, theirs_s in compared_times_s(alignment, utterance.reference):
                place = int(np.abs(own_s - ours_s).argmin())
                if not _SAME_S < ours_s < alignment.duration_s - _SAME_S:
                    continue  # the end of a recording: certain, and known to all
                evidence.append(rows[start + place])
                errors_s.append(abs(ours_s - theirs_s))
                several = len(speakers) > 1
                fold.append(speakers.index(utterance.speaker) if several else order[alignment.id] % FOLDS)
    return Boundaries(f"{checkpoint}={data}", np.array(evidence), np.array(errors_s), np.array(fold))


def fit(corpora: Sequence[Boundaries]) -> Constants:
    """The constants that make how far boundaries are off most probable: ordinal logistic regression.

    The log odds of being within each distance rise with it, and evidence shifts them all (McCullagh,
    "Regression models for ordinal data", 1980: proportional odds).
    """
    from scipy.optimize import minimize

    evidence = np.concatenate([own.evidence for own in corpora])
    mean, deviation = evidence.mean(0), evidence.std(0) + 1e-9
    standard = (evidence - mean) / deviation
    share = np.concatenate([np.full(len(own.errors_s), 1 / len(own.errors_s)) for own in corpora])
    share /= len(corpora)
    sign = np.where(np.concatenate([own.errors_s for own in corpora])[:, None] <= DISTANCES_S, 1.0, -1.0)
    n = len(DISTANCES_S)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        steps, weights = np.exp(values[1:n]), values[n:]
        log_odds = values[0] + np.concatenate([[0.0], np.cumsum(steps)])
        margin = sign * (log_odds - (standard @ weights)[:, None])
        slope = -sign * share[:, None] / (1 + np.exp(np.clip(margin, -500, 500)))
        by_distance = slope.sum(0)
        gradient = np.concatenate(
            [
                [by_distance.sum()],
                np.cumsum(by_distance[::-1])[::-1][1:] * steps,
                -standard.T @ slope.sum(1) + 2 * _PENALTY * weights,
            ]
        )
        value = (share[:, None] * np.logaddexp(0, -margin)).sum() + _PENALTY * np.square(weights).sum()
        return float(value), gradient

    start = np.concatenate([[-1.0], np.zeros(n - 1), np.zeros(evidence.shape[1])])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    weights = found[n:] / deviation
    return Constants(
        found[0] + np.concatenate([[0.0], np.cumsum(np.exp(found[1:n]))]) + weights @ mean, weights
    )


def report(name: str, probability: NDArray[np.float64], errors_s: NDArray[np.float64]) -> None:
    """The table of a corpus, and the largest difference in it."""
    hits = errors_s <= WITHIN_S
    parts = np.array_split(np.argsort(probability, kind="stable"), BINS)
    rows, differences = [], []
    for part in parts:
        said, found = float(probability[part].mean()), float(hits[part].mean())
        chance = float(np.sqrt(said * (1 - said) / len(part)))
        differences.append(abs(found - said))
        rows.append((f"{said:.3f}", f"{found:.3f}", f"{found - said:+.3f}", f"{chance:.3f}", str(len(part))))
    few = "" if len(parts[0]) >= ENOUGH else f", of fewer than {ENOUGH} boundaries a tenth"
    print_table(("said within 20 ms", "are", "difference", "chance", "n"), rows, title=name, figures=True)
    print(
        f"said {probability.mean():.3f}, are {hits.mean():.3f}; difference in a tenth at most "
        f"{max(differences):.3f}, root mean square {np.sqrt(np.mean(np.square(differences))):.3f}{few}"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AlignerError as error:
        sys.exit(f"boundary_spread: {error}")
