"""Batches aligned by several processes at once: Python in one of them is far slower than a GPU.

Which utterances share a batch is the same whatever the number of processes, and so are the alignments.
"""

import functools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from aligner.align_batches import align_usable, load_usable
from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.confidence import Calibration
from aligner.corpus.prepared import Utterance
from aligner.corpus.read_ahead import available_processors, read_ahead
from aligner.devices import free_memory_bytes
from aligner.errors import AlignerError

_MOST = 6  # from here on the process that writes is what the others wait for
_PROCESSORS = 2  # of the machine, for each process, which reads a batch's recordings by threads
_GPU_BYTES = 6 << 30  # of the GPU's memory, for each
_BYTES = 3 << 30  # of the machine's
_BATCHES = 4  # at least, for each: less work takes less time than to start a process

Aligned = tuple[dict[str, Alignment], dict[str, str]]  # as of `align_usable`


def processes_for(device: str, n_batches: int, owners: int = 1) -> int:
    """How many processes are worth starting: 1 where there is no GPU, or little work.

    Args:
        device: That they share.
        n_batches: To be aligned, of the usual length.
        owners: How many programs on this machine start as many, one for each GPU or more.
    """
    by_work = min(_MOST, available_processors() // owners // _PROCESSORS, n_batches // _BATCHES)
    if by_work < 2 or not device.startswith("cuda"):
        return 1
    gpu_bytes, _ = torch.cuda.mem_get_info(device)
    on_gpu = -(-owners // torch.cuda.device_count())
    by_memory = int(free_memory_bytes()) // owners // _BYTES
    return max(1, min(by_work, gpu_bytes // on_gpu // _GPU_BYTES, by_memory))


@dataclass(frozen=True)
class AlignerSource:
    """Where each process gets its aligner from: the arguments of `Aligner.load`, and `text_as_said`."""

    checkpoint: str | Path
    device: str
    trust: bool
    text_as_said: bool

    def load(self) -> Aligner:
        """The aligner."""
        aligner = Aligner.load(self.checkpoint, self.device, trust=self.trust)
        aligner.text_as_said = self.text_as_said
        return aligner


class AligningProcesses:
    """Processes that align batches, each with an aligner of its own. A context manager, which ends them.

    They start at once, while their owner reads the corpus.

    Args:
        source: Of the aligners.
        number: Of processes.
        owners: As of `processes_for`.
    """

    def __init__(self, source: AlignerSource, number: int, owners: int = 1) -> None:
        threads = max(1, available_processors() // (number * owners))
        context = multiprocessing.get_context("spawn")  # a GPU in use cannot be shared with a fork
        self._number = number
        self._pool = ProcessPoolExecutor(number, context, _begin, (source, threads))
        self._ready = [self._pool.submit(_load) for _ in range(number)]

    def __enter__(self) -> "AligningProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def align(
        self,
        batches: Iterable[Sequence[Utterance]],
        kept: Mapping[str, Alignment],
        calibration: Calibration | None = None,
    ) -> Iterator[tuple[Sequence[str], Aligned]]:
        """The ids of each batch, with what `align_usable` makes of it, in order.

        Args:
            batches: Drawn from as needed, a few ahead.
            kept: What a person corrected, by utterance id.
            calibration: Instead of the aligner's own; on the CPU. May be ready only when the processes are.

        Raises:
            AlignerError: The aligner cannot be loaded, or a process was killed.
        """
        waiting: deque[tuple[Sequence[str], Future[Aligned]]] = deque()
        try:
            for ready in self._ready:
                ready.result()
            for batch in batches:
                ids = [utterance.id for utterance in batch]
                own = {id: kept[id] for id in ids if id in kept}
                waiting.append((ids, self._pool.submit(_align, list(batch), own, calibration)))
                if len(waiting) > 2 * self._number:  # one in work and one to go on with, for each
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        except BrokenProcessPool as error:
            raise AlignerError(
                f"one of {self._number} processes that align was killed, perhaps since memory ran out; run "
                "this again, which goes on from here, with fewer --processes"
            ) from error


# What follows runs in the processes.

_threads = 1
_source: AlignerSource | None = None


def _begin(source: AlignerSource, threads: int) -> None:
    global _source, _threads
    _source, _threads = source, threads
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is their owner's, who ends them
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_owner, daemon=True).start()


def _end_with_owner() -> None:
    """A process whose owner was killed would wait for work for ever."""
    owner = multiprocessing.parent_process()
    assert owner is not None
    owner.join()
    os._exit(1)


@functools.cache
def _aligner() -> Aligner:
    assert _source is not None
    return _source.load()


def _load() -> None:
    _aligner()


def _align(
    batch: Sequence[Utterance], kept: Mapping[str, Alignment], calibration: Calibration | None
) -> Aligned:
    aligner = _aligner()
    if calibration is not None:
        aligner.calibration.load_state_dict(calibration.state_dict())
    rate_hz = aligner.frontend.sample_rate_hz
    ((_, loaded),) = read_ahead([batch], lambda own: load_usable(own, rate_hz, kept), _threads)
    return align_usable(aligner, loaded)
