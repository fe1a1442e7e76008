"""How well is a chapter aligned and cut? Short recordings joined to one, against their own alignments.

    python scripts/bench_chapter.py kathleen --minutes 10 --checkpoint en-us

Prints how far word boundaries of the chapter, aligned in one piece, are from those of the short recordings,
each aligned by itself; what `aligner segment` makes of it; seconds and peak memory of both.
"""

import argparse
import math
import resource
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aligner import Aligner
from aligner.align_batches import align_usable, batches
from aligner.corpus.audio import read_audio, resample
from aligner.corpus.readers import read_corpus
from aligner.corpus.recording import Recording
from aligner.segment import Limits, segment


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="as `aligner prepare` takes it")
    parser.add_argument("--checkpoint", default="en-us")
    parser.add_argument("--minutes", type=float, default=10.0)
    args = parser.parse_args()
    aligner = Aligner.load(args.checkpoint)
    rate_hz, phonemize = aligner.frontend.sample_rate_hz, aligner.phonemizer()
    short = short_recordings(aligner, args.corpus, 60 * args.minutes)
    ends_s = np.cumsum([own.duration_s for own in short.values()])
    starts_s = dict(zip(short, [0.0, *ends_s], strict=False))
    total_s = ends_s[-1]
    alone = {}
    for batch in batches({id: own.duration_s for id, own in short.items()}):
        alignments, failed = align_usable(aligner, [short[id] for id in batch])
        assert not failed, failed
        alone |= alignments
    expected_s = [
        (starts_s[id] + word.start_s, starts_s[id] + word.end_s) for id in short for word in alone[id].words
    ]

    text = "\n".join(own.text for own in short.values())
    audio = np.concatenate([own.audio.numpy() for own in short.values()])
    began_s = time.perf_counter()
    chapter = aligner.align(audio, phonemize(text), rate_hz)
    aligned_s = time.perf_counter() - began_s
    errors_ms = 1000 * np.abs(np.array([(w.start_s, w.end_s) for w in chapter.words]) - expected_s).ravel()
    print(f"{len(short)} recordings, {total_s / 60:.1f} min, {len(expected_s)} words")
    _print_errors(f"chapter in one piece, {aligned_s:.1f} s", errors_ms)
    began_s = time.perf_counter()
    parts = segment(aligner, "chapter", audio, rate_hz, text, Limits())
    used = [own for own in parts if not own.problem]
    lengths_s = [own.end_s - own.start_s for own in used]
    print(
        f"segment: {len(used)} utterances of {min(lengths_s):.1f} to {max(lengths_s):.1f} s (mean "
        f"{np.mean(lengths_s):.1f}), {sum(lengths_s) / 60:.1f} min; left out {len(parts) - len(used)}; "
        f"{time.perf_counter() - began_s:.1f} s"
    )
    recordings = {
        str(n): Recording(
            str(n),
            torch.from_numpy(audio[round(own.start_s * rate_hz) : round(own.end_s * rate_hz)]),
            phonemize(own.text),
            own.end_s - own.start_s,
        )
        for n, own in enumerate(used)
    }
    cut_errors_ms = []
    for batch in batches({n: own.duration_s for n, own in recordings.items()}):
        alignments, _ = align_usable(aligner, [recordings[n] for n in batch])
        for n, alignment in alignments.items():
            times_s = np.array([(w.start_s, w.end_s) for w in alignment.words]) + used[int(n)].start_s
            cut_errors_ms.append(1000 * np.abs(times_s - expected_s[used[int(n)].words]).ravel())
    _print_errors("utterances cut from it, each aligned by itself", np.concatenate(cut_errors_ms))
    for own in parts:
        if own.problem:
            print(f"  {own.start_s:.1f} to {own.end_s:.1f} s: {own.problem}: {own.text[:70]}")
    scores = np.quantile([own.score for own in used], [0, 0.05, 0.25, 0.5])
    print(
        f"scores: least {scores[0]:.3f}, 5 % {scores[1]:.3f}, quarter {scores[2]:.3f}, half {scores[3]:.3f}"
    )
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")


def short_recordings(aligner: Aligner, corpus: Path, least_s: float = math.inf) -> dict[str, Recording]:
    """The first recordings of a corpus by id, so many that they are long enough together; or all."""
    rate_hz, phonemize, total_s = aligner.frontend.sample_rate_hz, aligner.phonemizer(), 0.0
    short: dict[str, Recording] = {}
    for found in read_corpus(corpus).utterances:
        assert isinstance(found.audio, Path)
        samples, own_hz = read_audio(found.audio)
        audio = resample(samples, own_hz, rate_hz)
        own = Recording(found.id, audio, phonemize(found.text), len(audio) / rate_hz, text=found.text)
        short[found.id] = own
        total_s += own.duration_s
        if total_s >= least_s:
            break
    return short


def _print_errors(what: str, errors_ms: NDArray[np.float64]) -> None:
    print(
        f"word boundaries against the short recordings', {what}: mean {errors_ms.mean():.2f} ms, median "
        f"{np.median(errors_ms):.2f}, within 20 ms {100 * (errors_ms <= 20).mean():.2f} %, beyond 100 ms "
        f"{100 * (errors_ms > 100).mean():.2f} %, most {errors_ms.max():.0f} ms"
    )


if __name__ == "__main__":
    main()
