"""Are words and sentences found that are not said, or that the text lacks? Changed at known places.

    python scripts/bench_gaps.py kathleen --checkpoint en-us
    python scripts/bench_gaps.py kathleen --checkpoint last.ckpt --every 3

Every recording of a corpus is aligned with its own text: `clean` are those without a gap. Every n-th is then
aligned with a word missing from its text, with a word of another's text put in, and with a word cut out of
the audio; and, with its neighbours joined to one recording of three sentences, with the same done to the
second.

What is known to be read otherwise (`read_otherwise.tsv`: PocketSphinx and the phones heard agree that other
words are said) is said apart, and is not changed.

A gap is right if it has more than half of what was changed. `beside` is how far boundaries of the words on
either side of it are from where they are with the text as said; `lost` is how many of these are not there.
Where there are hand-made times beside the recordings, `error` is how far these boundaries are from those,
with the text as said and then with the change.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import torch
from bench_chapter import short_recordings

from aligner import Aligner, Alignment
from aligner.align_batches import align_usable, batches
from aligner.alignment import Gap, Interval
from aligner.commands.output import print_table
from aligner.corpus.recording import Recording
from aligner.corpus.reference import reference_beside
from aligner.text.transcript import Transcript

KINDS = ("missing from the text", "put into the text", "cut out of the audio")
_READ_OTHERWISE = Path(__file__).with_name("read_otherwise.tsv")
_LEAST_WORDS = 4  # of an utterance that a word is changed in


@dataclass(frozen=True)
class Changed:
    """A recording whose text or audio was changed.

    Args:
        recording: With the change.
        extra_s: Start and end of what the text lacks; None: words are not said.
        unsaid: These words.
        said: The words that are said and in the text, with their times before the change.
        beside: Which of these are on either side of it.
        by_hand: The same words with their hand-made times; of none, if there are no such times.
    """

    recording: Recording
    extra_s: tuple[float, float] | None
    unsaid: tuple[str, ...]
    said: tuple[Interval, ...]
    beside: tuple[int, ...]
    by_hand: tuple[Interval, ...]

    def is_right(self, gap: Gap) -> bool:
        """Whether a gap has more than half of what was changed."""
        if self.extra_s is not None:
            start_s, end_s = self.extra_s
            return 2 * (min(end_s, gap.end_s) - max(start_s, gap.start_s)) > end_s - start_s
        found = sum(min(gap.unsaid.count(word), self.unsaid.count(word)) for word in set(self.unsaid))
        return 2 * found > len(self.unsaid)

    def errors_ms(self, own: Alignment) -> Iterator[tuple[float, float, float]]:
        """Of the boundaries of the words on either side: how far they are from where they are with the text
        as said, how far that was from the hand-made ones, and how far they are from these, nan without; -1
        for all of a word that is not there."""
        matcher = SequenceMatcher(
            None, [w.symbol for w in self.said], [w.symbol for w in own.words], autojunk=False
        )
        pairs = {m.a + n: m.b + n for m in matcher.get_matching_blocks() for n in range(m.size)}
        for place in self.beside:
            word, found = self.said[place], own.words[pairs[place]] if place in pairs else None
            true = self.by_hand[place] if self.by_hand else None
            for end in ("start_s", "end_s"):
                if found is None:
                    yield -1.0, -1.0, -1.0
                    continue
                was_s, is_s = getattr(word, end), getattr(found, end)
                true_s = math.nan if true is None else getattr(true, end)
                yield 1000 * abs(is_s - was_s), 1000 * abs(was_s - true_s), 1000 * abs(is_s - true_s)


def change(
    kind: str,
    recording: Recording,
    said: Alignment,
    first: int,
    last: int,
    other: Transcript,
    rate_hz: int,
    by_hand: tuple[Interval, ...] = (),
) -> Changed:
    """A recording with its words `first` to `last` - 1 changed.

    Args:
        kind: One of `KINDS`.
        recording: As it is.
        said: Its alignment.
        first: Of its words.
        last: Of its words.
        other: Words to put in, before the first.
        rate_hz: Of its audio.
        by_hand: Its words with their hand-made times, if there are any.
    """
    words, spans = recording.transcript.words, said.words
    names = tuple(word.text for word in words[first:last])
    if kind == "missing from the text":
        text = _spliced(recording.transcript, first, last, Transcript(()))
        extra_s = (spans[first].start_s, spans[last - 1].end_s)
        rest, true = ((*own[:first], *own[last:]) for own in (spans, by_hand))
        return Changed(replace(recording, transcript=text), extra_s, (), rest, (first - 1, first), true)
    if kind == "put into the text":
        text = _spliced(recording.transcript, first, first, other)
        unsaid = tuple(word.text for word in other.words)
        return Changed(replace(recording, transcript=text), None, unsaid, spans, (first - 1, first), by_hand)
    start_s, end_s = spans[first].start_s, spans[last].start_s
    cut = slice(round(start_s * rate_hz), round(end_s * rate_hz))
    audio = torch.cat([recording.audio[: cut.start], recording.audio[cut.stop :]])
    gone_s = (cut.stop - cut.start) / rate_hz
    shorter = replace(recording, audio=audio, duration_s=recording.duration_s - gone_s)
    moved, true = ((*own[:first], *_later(own[last:], -gone_s)) for own in (spans, by_hand))
    return Changed(shorter, None, names, moved, (first - 1, first), true)


def _later(words: Sequence[Interval], by_s: float) -> tuple[Interval, ...]:
    return tuple(replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s) for word in words)


def hand_made(recordings: Sequence[Recording]) -> tuple[Interval, ...]:
    """The words of recordings, one after the other, with the times beside these; none, if one has none."""
    found: list[Interval] = []
    start_s = 0.0
    for own in recordings:
        times = reference_beside(Path(own.path), own.id, own.duration_s)
        if times is None or len(times.words) != len(own.transcript.words):
            return ()
        found += _later(times.words, start_s)
        start_s += own.duration_s
    return tuple(found)


def _spliced(text: Transcript, first: int, last: int, other: Transcript) -> Transcript:
    """A text with another one instead of its words `first` to `last` - 1, each with its punctuation."""
    breaks = text.breaks
    own = other.breaks or ("",) * (len(other.words) + 1)
    middle = (breaks[first] + own[0], *own[1:-1], own[-1] + breaks[last])
    if not other.words:
        middle = (breaks[first] + breaks[last] * (first < last),)
    return Transcript(
        (*text.words[:first], *other.words, *text.words[last:]),
        (*breaks[:first], *middle, *breaks[last + 1 :]),
    )


def aligned(aligner: Aligner, recordings: Sequence[Recording]) -> dict[str, Alignment]:
    """The alignments of recordings by id."""
    by_id, found = {own.id: own for own in recordings}, {}
    for batch in batches({id: own.duration_s for id, own in by_id.items()}):
        alignments, failed = align_usable(aligner, [by_id[id] for id in batch])
        for id, why in failed.items():
            print(f"{id}: {why}")
        found |= alignments
    return found


def joined(three: Sequence[Recording]) -> Recording:
    """Three recordings as one."""
    text = Transcript((), ("",))
    for own in three:
        text = _spliced(text, len(text.words), len(text.words), own.transcript)
    return Recording(
        f"{three[1].id}-joined",
        torch.cat([own.audio for own in three]),
        text,
        sum(own.duration_s for own in three),
    )


def row(aligner: Aligner, what: str, kind: str, changed: Sequence[Changed]) -> list[str]:
    """Measure one kind of change."""
    found = aligned(aligner, [own.recording for own in changed])
    right = gaps = hits = 0
    errors_ms: list[tuple[float, float, float]] = []
    for own in changed:
        alignment = found.get(own.recording.id)
        if alignment is None:
            continue
        is_right = [own.is_right(gap) for gap in alignment.gaps]
        gaps += len(is_right)
        right += sum(is_right)
        hits += any(is_right)
        if any(is_right):
            errors_ms += own.errors_ms(alignment)
    errors, was, by_hand = np.array(errors_ms).T
    there = errors[errors >= 0]
    known = was >= 0  # not of words that are not there, or have no hand-made times
    error = f"{was[known].mean():.1f}, {by_hand[known].mean():.1f}" if known.any() else "-"
    return [
        f"{what} {kind}",
        f"{len(changed)}",
        f"{hits / len(changed):.3f}",
        f"{right / max(1, gaps):.3f}",
        f"{there.mean():.1f}",
        f"{np.median(there):.1f}",
        f"{100 * (errors < 0).mean():.1f} %",
        error,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="as `aligner prepare` takes it")
    parser.add_argument("--checkpoint", default="en-us")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="change every n-th recording")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    aligner, draw = Aligner.load(args.checkpoint), np.random.default_rng(args.seed)
    rate_hz = aligner.frontend.sample_rate_hz
    every = list(short_recordings(aligner, args.corpus).values())
    started_s = time.perf_counter()
    said = aligned(aligner, every)
    seconds = time.perf_counter() - started_s
    lines = _READ_OTHERWISE.read_text(encoding="utf-8").splitlines()[1:]
    otherwise = said.keys() & {line.partition("\t")[0] for line in lines}
    gaps = {id for id, own in said.items() if own.gaps}
    false, clean = gaps - otherwise, len(said) - len(otherwise)
    print(
        f"clean: gaps in {len(gaps)} of {len(said)} utterances; in {len(false)} of {clean} "
        f"({100 * len(false) / clean:.2f} %) but for those read otherwise; "
        f"{sum(own.duration_s for own in every) / 60:.1f} min aligned in {seconds:.1f} s"
    )
    print("false:", *sorted(false))
    # Drawn for all, so that what is changed does not depend on which are usable, and that on the aligner.
    drawn = dict(zip((own.id for own in every), draw.random((len(every), 3)), strict=True))
    others = {id: every[int(at * len(every))].transcript for id, (_, at, _) in drawn.items()}
    usable = {own.id for own in every if own.id in said and own.id not in gaps | otherwise}
    chosen = [
        own for own in every[:: args.every] if own.id in usable and len(own.transcript.words) >= _LEAST_WORDS
    ]
    # Both ends keep a word: what is cut off there is found by other means than what is between two.
    places = [1 + int(drawn[own.id][0] * (len(own.transcript.words) - 2)) for own in chosen]
    put_in = [
        Transcript((others[own.id].words[int(drawn[own.id][2] * len(others[own.id].words))],))
        for own in chosen
    ]
    neighbours = (every[n - 1 : n + 2] for n in range(1, len(every) - 1, args.every))
    three = [own for own in neighbours if usable.issuperset(one.id for one in own)]
    chapters = [joined(own) for own in three]
    chapters_said = aligned(aligner, chapters)
    rows = []
    for kind in KINDS:
        words = [
            change(kind, own, said[own.id], n, n + 1, word, rate_hz, hand_made([own]))
            for own, n, word in zip(chosen, places, put_in, strict=True)
        ]
        rows.append(row(aligner, "word", kind, words))
    for kind in KINDS:
        sentences = []
        for own, parts in zip(chapters, three, strict=True):
            other = others[parts[1].id]
            first = len(parts[0].transcript.words)
            last = first + len(parts[1].transcript.words)
            if kind == "put into the text":
                first = last
            if not chapters_said[own.id].gaps:
                as_said, true = chapters_said[own.id], hand_made(parts)
                sentences.append(change(kind, own, as_said, first, last, other, rate_hz, true))
        rows.append(row(aligner, "sentence", kind, sentences))
    print_table(
        ("what", "how many", "recall", "precision", "beside, mean ms", "median", "lost", "error, ms"), rows
    )


if __name__ == "__main__":
    main()
