"""Where do people put boundaries? Fit the weights of `aligner/boundaries/placement.py`, and measure them.

    python scripts/boundary_placement.py a.ckpt=timit:0.45 b.ckpt=czech:0.15 c.ckpt=demo:0.45:0.25 --out FILE

Each argument is a checkpoint and a prepared corpus with known times, then the `decay_fraction` that says by
which convention (0.45) and how much its boundaries count (1). Corpora are weighted alike but for that. An
eighth of the speakers after the other (of one speaker: of the utterances) is placed by weights fitted without
it, in all corpora: that is printed, beside what the weights of the package give, for each kind of boundary,
and in the end for words and phones as `aligner evaluate` has them. --out writes weights fitted to all.
--without leaves corpora whose name has that in it out while fitting, and measures these alone.

n boundaries, K times near each, Q features, C manners.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_silence import known_utterances
from numpy.typing import NDArray
from torch import Tensor

from aligner import Aligner
from aligner.align_batches import batches
from aligner.boundaries.correction import convention
from aligner.boundaries.placement import Candidates, Placement, Places
from aligner.commands.output import progress
from aligner.corpus.prepared import Utterance
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.evaluate import Comparison, boundary_figures, compare, compared_times_s, summarise
from aligner.ragged import starts_of
from aligner.text.manners import MANNERS

KINDS = "between phones", "after a pause", "before a pause"
FOLDS = 8
_CLOSE_S = 0.008  # a time so far from the known one counts 1/e of what it would count there
_UNKNOWN = 0.1  # of a boundary's weight, as if its phones were not known
_PENALTY, _PAIR_PENALTY, _BASE_PENALTY = 2e-4, 4e-4, 1e-5
_PAUSE_PENALTY = 5  # times as much, since there are so many fewer
_SAME_S = 1e-6


@dataclass(frozen=True)
class Known:
    """Boundaries of a kind with known times.

    Args:
        features: `[n, K, Q]`.
        times_s: `[n, K]`, from where each boundary was.
        allowed: `[n, K]`.
        before: `[n]`, an index in MANNERS.
        after: `[n]`.
        truth_s: `[n]`, like `times_s`.
        now_s: `[n]`, where the package's weights put it.
        convention: `[n]`.
        count: `[n]`, how much it counts.
        fold: `[n]`, which are left out together.
    """

    features: Tensor
    times_s: Tensor
    allowed: Tensor
    before: Tensor
    after: Tensor
    truth_s: Tensor
    now_s: Tensor
    convention: Tensor
    count: Tensor
    fold: Tensor

    def where(self, wanted: Tensor) -> "Known":
        """Some of them."""
        return Known(**{name: own[wanted] for name, own in vars(self).items()})

    @classmethod
    def all_of(cls, every: Sequence["Known"]) -> "Known":
        """Several together."""
        return cls(**{name: torch.cat([getattr(own, name) for own in every]) for name in vars(every[0])})


class Recorder:
    """Stands where a placement stands, and keeps what it is asked."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self.candidates: Candidates | None = None
        self.now_s: NDArray[np.float64] = np.empty(0)

    def places(self, candidates: Candidates, convention: float = 0.0) -> Places:
        """As of `Placement`."""
        found = self._placement.places(candidates, convention)
        self.candidates, self.now_s = candidates, found.times_s
        return found


class Logit(torch.nn.Module):
    """The weights while they are fitted."""

    def __init__(self, n_features: int, by_convention: bool) -> None:
        super().__init__()
        n = len(MANNERS)
        self.base = torch.nn.Parameter(torch.zeros(n_features))
        self.before, self.after = (torch.nn.Parameter(torch.zeros(n, n_features)) for _ in range(2))
        self.pairs = torch.nn.Parameter(torch.zeros(n, n, n_features))
        self.convention = torch.nn.Parameter(torch.zeros(n_features), requires_grad=by_convention)

    def weights(self) -> Tensor:
        """`[C, C, Q]`."""
        return self.base + self.before[:, None] + self.after + self.pairs

    def log_probability(self, known: Known) -> Tensor:
        """`[n, K]`."""
        weights = self.weights()[known.before, known.after] + known.convention[:, None] * self.convention
        merit = (known.features * weights[:, None]).sum(2)
        return torch.log_softmax(merit.masked_fill(~known.allowed, -1e9), 1)

    def penalty(self) -> Tensor:
        """What the weights cost."""
        single = self.before.square().sum() + self.after.square().sum() + self.convention.square().sum()
        return (
            _PENALTY * single
            + _PAIR_PENALTY * self.pairs.square().sum()
            + _BASE_PENALTY * self.base.square().sum()
        )

    def placement(self) -> Placement:
        """What was fitted."""
        convention = self.convention.detach().numpy() if self.convention.requires_grad else None
        return Placement(self.weights().detach().numpy(), convention)


@dataclass(frozen=True)
class Corpus:
    """Utterances with known times, and their boundaries as a checkpoint finds them.

    Args:
        name: As given.
        aligner: With the convention of the corpus.
        utterances: With known times, by id.
        fold: Of each of these, which are left out together.
        known: The boundaries of each kind.
    """

    name: str
    aligner: Aligner
    utterances: dict[str, Utterance]
    fold: dict[str, int]
    known: dict[str, Known]

    def aligned(self, placements: dict[str, Placement], fold: int | None) -> list[Comparison]:
        """The errors of the utterances of a fold, or of all, by some weights."""
        set_placements(self.aligner, placements)
        ids = {id: u.duration_s for id, u in self.utterances.items() if fold in (None, self.fold[id])}
        rate_hz, found = self.aligner.frontend.sample_rate_hz, []
        for batch in batches(ids):
            for alignment in self.aligner.align_batch(
                [load_recording(self.utterances[id], rate_hz) for id in batch]
            ):
                reference = self.utterances[alignment.id].reference
                assert reference is not None
                found.append(compare(alignment, reference))
        return found


def main() -> int:
    """Fit and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="+", metavar="CHECKPOINT=DATA[:DECAY_FRACTION[:COUNT]]")
    parser.add_argument("--without", metavar="PART_OF_NAME")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    corpora = [collected(argument) for argument in args.corpora]
    measured = [own for own in corpora if args.without is None or args.without in own.name]
    for own in measured:
        report(own, "package", {kind: k.now_s for kind, k in own.known.items()})
    found = {own.name: {kind: torch.zeros_like(k.now_s) for kind, k in own.known.items()} for own in measured}
    errors: dict[str, list[Comparison]] = {own.name: [] for own in measured}
    for fold in range(FOLDS) if args.without is None else [None]:
        fitted_to = [own for own in corpora if fold is not None or own not in measured]
        fitted = {
            kind: fit(
                Known.all_of(
                    [
                        own.known[kind].where(own.known[kind].fold != (-1 if fold is None else fold))
                        for own in fitted_to
                    ]
                ),
                kind,
            )
            for kind in KINDS
        }
        placements = {kind: logit.placement() for kind, logit in fitted.items()}
        for own in measured:
            errors[own.name] += own.aligned(placements, fold)
            for kind, logit in fitted.items():
                left_out = own.known[kind].fold >= 0 if fold is None else own.known[kind].fold == fold
                found[own.name][kind][left_out] = placed(logit, own.known[kind].where(left_out))
    for own in measured:
        report(own, "fitted without it", found[own.name], errors[own.name])
    if args.out:
        write(
            args.out, {kind: fit(Known.all_of([own.known[kind] for own in corpora]), kind) for kind in KINDS}
        )
    return 0


def write(path: Path, fitted: dict[str, "Logit"]) -> None:
    """Write weights as the package has them."""
    content: dict[str, NDArray[np.float32]] = {}
    for kind, logit in fitted.items():
        placement = logit.placement()
        content[f"{kind}: weights"] = placement.weights
        if placement.convention is not None:
            content[f"{kind}: convention"] = placement.convention
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **content)


def collected(argument: str) -> Corpus:
    """The boundaries of a corpus by kind, as a checkpoint finds them."""
    checkpoint, found, rest = argument.partition("=")
    if not found:
        raise AlignerError(f"{argument!r}: give CHECKPOINT=DATA")
    data, *numbers = rest.split(":")
    decay_fraction, count = (
        float(given) if given else usual
        for given, usual in zip([*numbers, "", ""][:2], (0.45, 1.0), strict=True)
    )
    aligner = with_decay(Aligner.load(checkpoint), decay_fraction)
    utterances = {u.id: u for u in known_utterances(Path(data))}
    speakers = sorted({u.speaker for u in utterances.values()})
    fold = {
        id: (speakers.index(u.speaker) if len(speakers) > 1 else number) % FOLDS
        for number, (id, u) in enumerate(sorted(utterances.items()))
    }
    recorders = {kind: Recorder(own) for kind, own in placements_of(aligner).items()}
    set_placements(aligner, recorders)
    rows: dict[str, list[Known]] = {kind: [] for kind in KINDS}
    for batch in progress(list(batches({u.id: u.duration_s for u in utterances.values()})), data):
        recordings = [load_recording(utterances[id], aligner.frontend.sample_rate_hz) for id in batch]
        decoded, boundaries = aligner.boundaries(recordings)
        boundaries_s = boundaries.times_s
        seen = {kind: (own.candidates, own.now_s) for kind, own in recorders.items()}
        start = starts_of(decoded.tokens.lengths + 1)
        truth_s = np.full(len(boundaries_s), np.nan)
        for b, alignment in enumerate(aligner.align_batch(recordings)):
            own_s = boundaries_s[start[b] : start[b] + decoded.tokens.lengths[b] + 1]
            own_truth_s = truth_s[start[b] : start[b] + decoded.tokens.lengths[b] + 1]
            reference = utterances[alignment.id].reference
            assert reference is not None
            for ours_s, theirs_s in compared_times_s(alignment, reference):
                own_truth_s[abs(own_s - ours_s) < _SAME_S] = theirs_s
        folds = np.repeat([fold[id] for id in batch], decoded.tokens.lengths + 1)
        for kind, (candidates, now_s) in seen.items():
            assert candidates is not None
            rows[kind].append(known_of(candidates, now_s, truth_s, folds, convention(decay_fraction)))
    joined = {kind: Known.all_of(own) for kind, own in rows.items()}
    for own in joined.values():
        own.count[:] = count / max(len(own.count), 1)
    return Corpus(argument, aligner, utterances, fold, joined)


def with_decay(aligner: Aligner, decay_fraction: float) -> Aligner:
    """The aligner with another setting."""
    settings = aligner.settings() | {
        "decay_fraction": decay_fraction,
        "frontend": aligner.frontend,
        "encoder": aligner.encoder,
    }
    other = Aligner(**settings)
    other.calibration, other.text_as_said = aligner.calibration, True
    return other.eval()


def placements_of(aligner: Aligner) -> dict[str, Placement]:
    """The weights of an aligner."""
    correction = aligner._boundaries
    assert correction._refiner is not None
    return dict(zip(KINDS, (correction._refiner.placement, *correction._pause_edges.placements), strict=True))


def set_placements(aligner: Aligner, placements: Mapping[str, "Placement | Recorder"]) -> None:
    """Let an aligner put boundaries by these."""
    correction: Any = aligner._boundaries
    correction._refiner.placement = placements[KINDS[0]]
    correction._pause_edges.placements = tuple(placements[kind] for kind in KINDS[1:])


def known_of(
    candidates: Candidates,
    now_s: NDArray[np.float64],
    truth_s: NDArray[np.float64],
    fold: NDArray[np.int64],
    convention: float,
) -> Known:
    """Those whose time is known."""
    place = candidates.meetings.first
    is_known = ~np.isnan(truth_s[place])
    edge_s = candidates.meetings.edge_s

    def own(values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values[is_known])

    n = np.ones(len(place), np.float32)
    return Known(
        candidates.features.cpu()[torch.from_numpy(is_known)],
        own((candidates.times_s - edge_s[:, None]).astype(np.float32)),
        own(candidates.allowed),
        own(candidates.before),
        own(candidates.after),
        own((truth_s[place] - edge_s).astype(np.float32)),
        own((now_s - edge_s).astype(np.float32)),
        own(n * np.float32(convention)),
        own(n.copy()),
        own(fold[place]),
    )


def fit(known: Known, kind: str) -> Logit:
    """The weights under which times near the known ones are most probable."""
    at_pause = kind != KINDS[0]
    error_s = (known.times_s - known.truth_s[:, None]).abs()
    known = known.where(known.allowed.any(1) & (error_s.min(1).values < 2 * _CLOSE_S))
    unknown = torch.zeros_like(known.before)
    parts = [(known, 1 - _UNKNOWN), (Known(**{**vars(known), "before": unknown, "after": unknown}), _UNKNOWN)]
    logit = Logit(known.features.shape[2], at_pause)
    optimizer = torch.optim.LBFGS(
        logit.parameters(), max_iter=60, line_search_fn="strong_wolfe", history_size=20
    )
    nearness = -(known.times_s - known.truth_s[:, None]).abs() / _CLOSE_S
    share = known.count / known.count.sum()

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (_PAUSE_PENALTY if at_pause else 1) * logit.penalty()
        for part, weight in parts:
            value = (
                value - weight * (share * torch.logsumexp(logit.log_probability(part) + nearness, 1)).sum()
            )
        value.backward()
        return value

    optimizer.step(loss)
    return logit


def placed(logit: Logit, known: Known) -> Tensor:
    """Where the weights put the boundaries, from where each was."""
    with torch.no_grad():
        found = (logit.log_probability(known).exp() * known.times_s).sum(1)
    return torch.where(known.allowed.any(1), found, 0.0)


def report(
    corpus: Corpus, weights: str, found_s: dict[str, Tensor], errors: Sequence[Comparison] = ()
) -> None:
    """Print the errors by some weights."""
    rows = {
        kind: boundary_figures((1000 * (found_s[kind] - known.truth_s)).tolist())
        for kind, known in corpus.known.items()
    }
    if errors:
        summary = summarise(errors)
        rows |= {level: summary[level] for level in ("words", "phones")}
    print(f"{corpus.name}, {weights}:")
    for name, figures in rows.items():
        if figures["n"]:
            row = "{n:6} {mean_ms:5.1f} {median_ms:5.1f} {within_20ms:5.1f} % {beyond_100ms:5.1f} %"
            print(f"    {name:16}{row.format(**figures)}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AlignerError as error:
        sys.exit(f"error: {error}")
