"""How well is a chapter aligned and cut? Short recordings joined to one, against their own alignments.

    python scripts/bench_chapter.py kathleen --minutes 10 --checkpoint en-us
    python scripts/bench_chapter.py kathleen ljspeech-sample --minutes 60 --change 10

Prints how far word boundaries of the chapter, aligned in one piece, are from those of the short recordings,
each aligned by itself; what `aligner segment` makes of it; seconds and peak memory of both. With --change N,
of every N recordings one is missing from the audio and another from the text, and it prints which are found.
"""

import argparse
import math
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aligner import Aligner, Alignment
from aligner.align_batches import align_usable, batches
from aligner.alignment import Gap, Interval
from aligner.corpus.audio import read_audio, resample
from aligner.corpus.readers import read_corpus
from aligner.corpus.recording import Recording
from aligner.segment import Limits, Segment, segment, with_unsaid


@dataclass(frozen=True)
class Sentence:
    """A short recording in a chapter.

    Args:
        recording: Alone.
        words: Of its own alignment.
        start_s: Where it begins in the chapter.
        said: Whether it is in the chapter's audio.
        written: Whether it is in the chapter's text.
    """

    recording: Recording
    words: tuple[Interval, ...]
    start_s: float
    said: bool
    written: bool

    @property
    def end_s(self) -> float:
        return self.start_s + (self.recording.duration_s if self.said else 0.0)

    def is_found(self, gap: Gap) -> bool:
        """Whether a gap has more than half of it, if it is missing from audio or text."""
        if not self.written:
            speech_s = self.words[-1].end_s - self.words[0].start_s
            return 2 * (min(self.end_s, gap.end_s) - max(self.start_s, gap.start_s)) > speech_s
        own = [word.symbol for word in self.words]
        common = sum(min(gap.unsaid.count(word), own.count(word)) for word in set(own))
        near = self.start_s - 5 <= gap.start_s <= self.start_s + 5
        return not self.said and near and 2 * common > len(own)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", type=Path, nargs="+", help="as `aligner prepare` takes them")
    parser.add_argument("--checkpoint", default="en-us")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--change", type=int, default=0, metavar="N")
    args = parser.parse_args()
    aligner = Aligner.load(args.checkpoint)
    rate_hz, phonemize = aligner.frontend.sample_rate_hz, aligner.phonemizer()
    short: dict[str, Recording] = {}
    for corpus in args.corpora:
        left_s = 60 * args.minutes - sum(own.duration_s for own in short.values())
        short |= short_recordings(aligner, corpus, left_s) if left_s > 0 else {}
    sentences = _sentences(aligner, short, args.change)
    text = "\n".join(own.recording.text for own in sentences if own.written)
    audio = np.concatenate([own.recording.audio.numpy() for own in sentences if own.said])
    began_s = time.perf_counter()
    chapter = aligner.align(audio, phonemize(text), rate_hz)
    aligned_s = time.perf_counter() - began_s
    print(f"{len(sentences)} recordings, {len(audio) / rate_hz / 60:.1f} min, {len(chapter.words)} words")
    whole = with_unsaid(chapter)
    expected_s = _expected_s(sentences)
    times_s = np.array([(word.start_s, word.end_s) for word in whole.words])
    _print_errors(f"chapter in one piece, {aligned_s:.1f} s", times_s, expected_s)
    _print_gaps(chapter, sentences)
    began_s = time.perf_counter()
    parts = segment(aligner, "chapter", audio, rate_hz, text, Limits())
    used = [own for own in parts if not own.problem]
    lengths_s = [own.end_s - own.start_s for own in used]
    print(
        f"segment: {len(used)} utterances of {min(lengths_s):.1f} to {max(lengths_s):.1f} s (mean "
        f"{np.mean(lengths_s):.1f}), {sum(lengths_s) / 60:.1f} min; left out {len(parts) - len(used)}; "
        f"{time.perf_counter() - began_s:.1f} s"
    )
    _print_segments(parts, sentences)
    _print_cut_errors(aligner, used, audio, expected_s)
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")


def short_recordings(aligner: Aligner, corpus: Path, least_s: float = math.inf) -> dict[str, Recording]:
    """The first recordings of a corpus by id, so many that they are long enough together; or all."""
    rate_hz, phonemize, total_s = aligner.frontend.sample_rate_hz, aligner.phonemizer(), 0.0
    short: dict[str, Recording] = {}
    for found in read_corpus(corpus).utterances:
        assert isinstance(found.audio, Path)
        samples, own_hz = read_audio(found.audio)
        audio = resample(samples, own_hz, rate_hz)
        own = Recording(
            found.id,
            audio,
            phonemize(found.text),
            len(audio) / rate_hz,
            text=found.text,
            path=str(found.audio),
        )
        short[found.id] = own
        total_s += own.duration_s
        if total_s >= least_s:
            break
    return short


def _sentences(aligner: Aligner, short: Mapping[str, Recording], change: int) -> list[Sentence]:
    alone: dict[str, Alignment] = {}
    for batch in batches({id: own.duration_s for id, own in short.items()}):
        alignments, failed = align_usable(aligner, [short[id] for id in batch])
        assert not failed, failed
        alone |= alignments
    sentences, start_s = [], 0.0
    for n, (id, recording) in enumerate(short.items()):
        said = not change or n % change != change // 2
        written = not change or n % change != change - 1
        sentences.append(Sentence(recording, with_unsaid(alone[id]).words, start_s, said, written))
        start_s = sentences[-1].end_s
    return sentences


def _expected_s(sentences: Sequence[Sentence]) -> NDArray[np.float64]:
    """Start and end of every written word, `[words, 2]`; no number for those that are not said."""
    times = [
        (own.start_s + word.start_s, own.start_s + word.end_s)
        if own.said and word.end_s > word.start_s
        else (math.nan, math.nan)
        for own in sentences
        if own.written
        for word in own.words
    ]
    return np.array(times)


def _print_gaps(chapter: Alignment, sentences: Sequence[Sentence]) -> None:
    """Which of the sentences that are missing from audio or text are gaps."""
    changed = [own for own in sentences if not own.said or not own.written]
    found = [any(own.is_found(gap) for gap in chapter.gaps) for own in changed]
    right = [any(own.is_found(gap) for own in changed) for gap in chapter.gaps]
    for what, own_kind in (("audio", "said"), ("text", "written")):
        own = [hit for hit, one in zip(found, changed, strict=True) if not getattr(one, own_kind)]
        print(f"sentences missing from the {what}: {len(own)}, found {sum(own)}")
    print(f"gaps: {len(right)}, {sum(right)} of them these sentences")
    for gap, is_right in zip(chapter.gaps, right, strict=True):
        if not is_right:
            print(f"  {gap}")


def _print_segments(parts: Sequence[Segment], sentences: Sequence[Sentence]) -> None:
    """What of the changed sentences is in utterances that are used, and why others are left out."""
    of_word = [own for own in sentences if own.written for _ in own.words]
    used = [own for own in parts if not own.problem]
    with_unsaid_words = [own for own in used if not all(one.said for one in of_word[own.words])]
    lacking = [own for own in sentences if not own.written]
    spans_s = [(own.start_s + own.words[0].start_s, own.start_s + own.words[-1].end_s) for own in lacking]
    with_extra = [
        own for own in used if any(min(own.end_s, b) - max(own.start_s, a) > 0.3 for a, b in spans_s)
    ]
    print(
        f"used with words that are not said: {len(with_unsaid_words)}, with other speech: {len(with_extra)}"
    )
    clean = [own for own in parts if own.problem and own.text and all(one.said for one in of_word[own.words])]
    print(f"left out though said as written: {len(clean)}")
    for own in clean:
        print(f"  {own.start_s:.1f} to {own.end_s:.1f} s: {own.problem}: {own.text[:70]}")


def _print_cut_errors(
    aligner: Aligner, used: Sequence[Segment], audio: NDArray[np.float32], expected_s: NDArray[np.float64]
) -> None:
    rate_hz, phonemize = aligner.frontend.sample_rate_hz, aligner.phonemizer()
    recordings = {
        str(n): Recording(
            str(n),
            torch.from_numpy(audio[round(own.start_s * rate_hz) : round(own.end_s * rate_hz)]),
            phonemize(own.text),
            own.end_s - own.start_s,
        )
        for n, own in enumerate(used)
    }
    times_s, known_s = [], []
    for batch in batches({n: own.duration_s for n, own in recordings.items()}):
        alignments, _ = align_usable(aligner, [recordings[n] for n in batch])
        for n, alignment in alignments.items():
            own = [(word.start_s, word.end_s) for word in with_unsaid(alignment).words]
            times_s.append(np.array(own) + used[int(n)].start_s)
            known_s.append(expected_s[used[int(n)].words])
    _print_errors(
        "utterances cut from it, each aligned by itself", np.concatenate(times_s), np.concatenate(known_s)
    )


def _print_errors(what: str, times_s: NDArray[np.float64], expected_s: NDArray[np.float64]) -> None:
    """Of the words that are said and were found."""
    there = (times_s[:, 1] > times_s[:, 0]) & ~np.isnan(expected_s[:, 0])
    errors_ms = 1000 * np.abs(times_s - expected_s)[there].ravel()
    print(
        f"word boundaries against the short recordings', {what}: mean {errors_ms.mean():.2f} ms, median "
        f"{np.median(errors_ms):.2f}, within 20 ms {100 * (errors_ms <= 20).mean():.2f} %, beyond 100 ms "
        f"{100 * (errors_ms > 100).mean():.2f} %, most {errors_ms.max():.0f} ms; "
        f"{(~there & ~np.isnan(expected_s[:, 0])).sum()} words not found"
    )


if __name__ == "__main__":
    main()
