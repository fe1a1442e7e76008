"""Batches of recordings, and their alignment: one bad utterance does not stop the others."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

import torch

from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.corpus.kept import kept_in
from aligner.corpus.prepared import Utterance
from aligner.corpus.recording import Recording, load_recording
from aligner.errors import reason

BATCH_S = 200.0  # under 1 GB on a CPU
_CPU_WORKERS = 4  # batches at once

Key = TypeVar("Key")
Loaded = TypeVar("Loaded")
Result = TypeVar("Result")


def batches(lengths_s: Mapping[str, float], duration_s: float = BATCH_S) -> Iterator[list[str]]:
    """Batches of utterances of similar length, by their ids, the longest first.

    Args:
        lengths_s: Of each utterance by id, in any order, which does not change the batches.
        duration_s: Seconds of audio in a batch at most, padding counted. An utterance longer than that is a
            batch of its own.
    """
    batch: list[str] = []
    for id in sorted(lengths_s, key=lambda id: (-lengths_s[id], id)):
        if batch and lengths_s[batch[0]] * (len(batch) + 1) > duration_s:
            yield batch
            batch = []
        batch.append(id)
    if batch:
        yield batch


@dataclass(frozen=True)
class Unusable:
    """An utterance whose audio cannot be had, and why."""

    id: str
    reason: str


def load_usable(
    utterance: Utterance, sample_rate_hz: int, kept: Mapping[str, Alignment] = MappingProxyType({})
) -> Recording | Unusable:
    """The recording of an utterance, or why it cannot be had, whatever was raised.

    Args:
        utterance: As of `load_recording`.
        sample_rate_hz: As of `load_recording`.
        kept: What a person corrected, by utterance id.
    """
    try:
        recording = load_recording(utterance, sample_rate_hz)
        if utterance.id not in kept:
            return recording
        transcript, own = kept_in(utterance, kept[utterance.id])
        return replace(recording, transcript=transcript, kept=own)
    except Exception as error:
        return Unusable(utterance.id, reason(error).removeprefix(f"{utterance.id}: "))


def align_usable(
    aligner: Aligner, loaded: Sequence[Recording | Unusable]
) -> tuple[dict[str, Alignment], dict[str, str]]:
    """Alignments of those utterances that can be aligned, and why the others cannot, both by id.

    Here frontends and encoders of all kinds meet people's data: whatever they raise costs the utterance that
    they raise it for, and no other.

    Args:
        aligner: A trained one.
        loaded: By `load_usable`. Aligned as one batch, and one at a time if that fails.
    """
    failed = {own.id: own.reason for own in loaded if isinstance(own, Unusable)}
    usable = [own for own in loaded if isinstance(own, Recording)]
    try:
        return {alignment.id: alignment for alignment in aligner.align_batch(usable)}, failed
    except Exception as error:  # whatever it is, also memory that ran out
        if len(usable) == 1:
            id = usable[0].id
            return {}, failed | {id: reason(error).removeprefix(f"{id}: ")}
    alignments: dict[str, Alignment] = {}
    for recording in usable:
        own, why = align_usable(aligner, [recording])
        alignments |= own
        failed |= why
    return alignments, failed


def align_side_by_side(
    aligner: Aligner, batches: Iterable[tuple[Sequence[str], list[Recording | Unusable]]]
) -> Iterator[tuple[Sequence[str], tuple[dict[str, Alignment], dict[str, str]]]]:
    """Each batch with what `align_usable` makes of it, in order.

    Args:
        aligner: A trained one.
        batches: The ids of each, and what `load_usable` loaded.
    """
    return side_by_side(aligner, batches, lambda loaded: align_usable(aligner, loaded))


def side_by_side(
    aligner: Aligner, batches: Iterable[tuple[Key, list[Loaded]]], work: Callable[[list[Loaded]], Result]
) -> Iterator[tuple[Key, Result]]:
    """Each batch with what is made of it, in order.

    On a CPU several are worked on at once, each by a part of the processors: much of the work is too small to
    be shared out. An utterance that is longer than a batch has all of them, and the memory, for itself.

    Args:
        aligner: That the work is done by.
        batches: What to call each, and what it is made of.
        work: To be done with each.
    """
    processors = torch.get_num_threads()
    workers = min(_CPU_WORKERS, processors) if next(aligner.buffers()).device.type == "cpu" else 1
    waiting: deque[tuple[Key, Future[Result]]] = deque()
    if workers == 1:
        yield from ((key, work(loaded)) for key, loaded in batches)
        return
    torch.set_num_threads(processors // workers)  # of each thread that begins from now on
    pool = ThreadPoolExecutor(workers, thread_name_prefix="align")
    try:
        for key, loaded in batches:
            is_long = any(isinstance(own, Recording) and own.duration_s > BATCH_S for own in loaded)
            while waiting and (is_long or len(waiting) >= workers):
                done, future = waiting.popleft()
                yield done, future.result()
            if is_long:
                torch.set_num_threads(processors)
                yield key, work(loaded)
                torch.set_num_threads(processors // workers)
            else:
                waiting.append((key, pool.submit(work, loaded)))
        for done, future in waiting:
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(processors)
