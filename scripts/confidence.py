"""Does the confidence mean something? Scores against reference times, and of texts that do not fit.

    python scripts/confidence.py runs/ljspeech/checkpoints/last.ckpt --data prepared --out confidence
    python scripts/confidence.py en-us --data prepared --out confidence --calibrated

1. Utterances: each with its own text, with another's, with one word in ten left out. The area under the ROC
   curve, of all utterances as they are against all altered, and of one corpus with a tenth of its texts
   swapped; of equally many right and altered ones, how many with such a score are right.
2. Words and phones of utterances with reference times: how many with such a score lie, start and end, within
   50 ms of them. Phones count where an utterance has as many as its reference.

Prints tables; writes confidence.json and confidence.png into --out.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from aligner import Aligner
from aligner.alignment import Alignment, Interval, is_pause
from aligner.calibrate import calibrate
from aligner.corpus.prepared import Utterance, load_utterances
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.formats.timit import merge_phones
from aligner.text.transcript import Transcript

WITHIN_S = 0.050
BINS = 10
BATCH = 25


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="what `aligner prepare` wrote")
    parser.add_argument("--out", type=Path, default=Path("confidence"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="as `aligner align` does with recordings that the checkpoint has not learnt from: every second "
        "utterance says what scores mean, and the others are measured",
    )
    args = parser.parse_args()
    aligner = Aligner.load(args.checkpoint, args.device)
    utterances = load_utterances(args.data)
    if args.calibrated:
        calibrate(aligner, utterances[::2], args.seed)
        utterances = utterances[1::2]
    generator = np.random.default_rng(args.seed)
    own = [(a.score, a) for a in _aligned(aligner, utterances)]
    right = np.array([score for score, _ in own])
    shuffled = generator.permutation(len(utterances))
    others = np.empty_like(shuffled)
    others[shuffled] = np.roll(shuffled, 1)
    altered = {
        "another's text": [utterances[i].transcript for i in others],
        "one word in ten left out": [_thinned(u.transcript, generator) for u in utterances],
    }
    tables: dict[str, list[dict[str, float]]] = {}
    areas: dict[str, float] = {}
    for name, texts in altered.items():
        wrong = np.array([_score(aligner, u, t) for u, t in zip(utterances, texts, strict=True)])
        areas[name] = _area(right, wrong)
        tables[f"utterances, {name}"] = _bins(
            np.concatenate([right, wrong]), np.arange(2 * len(right)) < len(right)
        )
        if name == "another's text":
            tenth = shuffled[: max(1, len(shuffled) // 10)]
            areas["a tenth of the texts swapped"] = _area(np.delete(right, tenth), wrong[tenth])
    pairs = [(a, u.reference) for (_, a), u in zip(own, utterances, strict=True) if u.reference is not None]
    for name, rows in (("words", _words(pairs)), ("phones", _phones(pairs))):
        if rows:
            scores, near = (np.array(column) for column in zip(*rows, strict=True))
            tables[f"{name} within {1000 * WITHIN_S:.0f} ms"] = _bins(scores, near)
            if near.any() and not near.all():
                areas[f"{name} within {1000 * WITHIN_S:.0f} ms"] = _area(scores[near], scores[~near])
    _print(areas, tables)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "confidence.json").write_text(json.dumps({"area": areas, "tables": tables}, indent=1))
    _draw(tables, args.out / "confidence.png")


def _aligned(aligner: Aligner, utterances: Sequence[Utterance]) -> list[Alignment]:
    rate_hz = aligner.frontend.sample_rate_hz
    return [
        alignment
        for start in range(0, len(utterances), BATCH)
        for alignment in aligner.align_batch(
            [load_recording(utterance, rate_hz) for utterance in utterances[start : start + BATCH]]
        )
    ]


def _score(aligner: Aligner, utterance: Utterance, text: Transcript) -> float:
    """0 for a text too long for the audio."""
    try:
        (alignment,) = aligner.align_batch([load_recording(utterance, aligner.frontend.sample_rate_hz, text)])
    except AlignerError:
        return 0.0
    return alignment.score or 0.0


def _thinned(text: Transcript, generator: np.random.Generator) -> Transcript:
    """One word in ten left out, at least one of all and not all."""
    kept = generator.random(len(text.words)) >= 0.1
    if kept.all():
        kept[generator.integers(len(kept))] = False
    if not kept.any():
        kept[0] = True
    return Transcript(tuple(word for word, keep in zip(text.words, kept, strict=True) if keep))


def _words(pairs: Sequence[tuple[Alignment, Alignment]]) -> list[tuple[float, bool]]:
    return [
        row
        for ours, theirs in pairs
        if len(ours.words) == len(theirs.words)
        for row in _near(ours.words, theirs.words)
    ]


def _phones(pairs: Sequence[tuple[Alignment, Alignment]]) -> list[tuple[float, bool]]:
    rows = []
    for alignment, reference in pairs:
        ours = [phone for phone in alignment.tokens if not is_pause(phone.symbol)]
        theirs = [phone for phone in merge_phones(reference.tokens) if not is_pause(phone.symbol)]
        if len(ours) == len(theirs):
            rows += _near(ours, theirs)
    return rows


def _near(ours: Sequence[Interval], theirs: Sequence[Interval]) -> list[tuple[float, bool]]:
    return [
        (
            a.score or 0.0,
            abs(a.start_s - b.start_s) <= WITHIN_S and abs(a.end_s - b.end_s) <= WITHIN_S,
        )
        for a, b in zip(ours, theirs, strict=True)
    ]


def _area(higher: np.ndarray, lower: np.ndarray) -> float:
    """Of a random pair, how often the first has the higher score; ties count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([higher, lower]))[: len(higher)]
    return float((ranks.sum() - len(higher) * (len(higher) + 1) / 2) / (len(higher) * len(lower)))


def _bins(scores: np.ndarray, hits: np.ndarray) -> list[dict[str, float]]:
    """Tenths of the items by score: from, to and mean score, how many, the part that is right."""
    parts = np.array_split(np.argsort(scores, kind="stable"), BINS)
    return [
        {
            "from": float(scores[part].min()),
            "to": float(scores[part].max()),
            "score": float(scores[part].mean()),
            "n": len(part),
            "right": float(hits[part].mean()),
        }
        for part in parts
        if len(part)
    ]


def _print(areas: dict[str, float], tables: dict[str, list[dict[str, float]]]) -> None:
    for name, area in areas.items():
        print(f"ROC-AUC {name}: {area:.4f}")
    for name, rows in tables.items():
        print(f"\n{name}\n   score from    to   mean      n   right")
        for row in rows:
            print("   {from:10.3f} {to:5.3f}  {score:5.3f} {n:6d}  {right:6.3f}".format(**row))


def _draw(tables: dict[str, list[dict[str, float]]], path: Path) -> None:
    figure = Figure(figsize=(4 * len(tables), 3.6), layout="constrained")
    for axes, (name, rows) in zip(
        np.atleast_1d(figure.subplots(1, len(tables))), tables.items(), strict=True
    ):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
        axes.plot([row["score"] for row in rows], [row["right"] for row in rows], marker="o")
        axes.set(title=name, xlabel="mean score of a tenth", ylabel="part that is right")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
