"""Figures of a training epoch beside the loss: how long each phone is, and where the time goes.

They are counted on the device, and nothing waits for it before the epoch ends.

N tokens, V symbols, M states.
"""

import contextlib
import time
from collections.abc import Iterator

import torch
from torch import Tensor

LONGEST_FRAMES = 127  # durations are counted up to here; what is longer is counted as that


class Stopwatch:
    """Adds up the time that a device spends inside `with` blocks.

    Args:
        device: A GPU works behind the program, so that its time is taken by events in its own queue.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time the block."""
        if self._on_gpu:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()  # type: ignore[no-untyped-call]
            yield
            end.record()  # type: ignore[no-untyped-call]
            self._events.append((start, end))
        else:
            started_s = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - started_s

    def seconds(self) -> float:
        """The time so far; waits for the device."""
        for start, end in self._events:
            end.synchronize()  # type: ignore[no-untyped-call]
            self._seconds += start.elapsed_time(end) / 1000  # type: ignore[no-untyped-call]
        self._events.clear()
        return self._seconds


class EpochFigures:
    """What one process counts in an epoch. A training method fills in what it can.

    Args:
        n_symbols: V.
        device: Where training is.

    Attributes:
        durations: `[V, LONGEST_FRAMES + 1]`, how many tokens of each symbol have so many frames.
        occupancy: `[M]`, the frames that each state learnt from, of all processes; None: not counted.
        frames: Of the recordings that were trained on.
        step: The time of all steps.
        search: How much of it the search took.
    """

    def __init__(self, n_symbols: int, device: torch.device) -> None:
        self.durations = torch.zeros(n_symbols, LONGEST_FRAMES + 1, dtype=torch.int64, device=device)
        self.occupancy: Tensor | None = None
        self.frames = 0
        self.step, self.search = Stopwatch(device), Stopwatch(device)
        self._started_s = self._ended_s = time.perf_counter()

    def count(self, symbols: Tensor, durations: Tensor) -> None:
        """Count the durations of tokens.

        Args:
            symbols: `[N]`, int64, on the device.
            durations: `[N]`, in frames, on the device.
        """
        place = symbols * (LONGEST_FRAMES + 1) + durations.clamp(max=LONGEST_FRAMES)
        self.durations.view(-1).scatter_add_(0, place, torch.ones_like(place))

    def step_done(self, frames: int) -> None:
        """Count the frames of a step that is done."""
        self.frames += frames
        self._ended_s = time.perf_counter()

    def frames_a_second(self) -> float:
        """From the beginning of the epoch to the end of its last step, loading included."""
        return self.frames / max(self._ended_s - self._started_s, 1e-9)

    def search_share(self) -> float | None:
        """The part of the steps' time that the search took; None where there were none, or no search."""
        step_s, search_s = self.step.seconds(), self.search.seconds()
        return search_s / step_s if step_s and search_s else None
