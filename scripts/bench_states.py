"""Times `mas.search_states` beside gathering its scores and `mas.search`, and a chapter in one piece.

    python scripts/bench_states.py --out bench                         # the GPU if there is one, else the CPU
    python scripts/bench_states.py --device cpu --threads 2 --out bench
    python scripts/bench_states.py --only chapter --exact              # boundaries against float64, too

Every result is compared first: with that of the CPU backend of `mas.search` over gathered scores or, of the
chapter, whose scores would take 40 GB, with that of a plain search in this file. One that differs is reported
and not timed, and makes the exit status 1. "CPU ms" is the least that all threads together took, which other
work on the machine hardly changes. Memory is what a call takes beside its input: on a CPU the growth
of the resident set, on a GPU what the allocator hands out. Writes states.csv into --out.

--exact computes the chapter's path in float64, too, and counts the boundaries that differ, with the emissions
as they are and with the largest one of each frame taken off.

B items, T text tokens, S speech frames, M states.
"""

import argparse
import csv
import ctypes
import functools
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import torch
from bench_mas import print_machine, time_it
from numpy.typing import NDArray
from torch import Tensor

import mas
from mas.backends import cpu

# Utterances of 8 s, one recording of 2 minutes, and a chapter of 30 minutes, 100 frames a second.
SHAPES = [(32, 300, 800, 123), (1, 4_000, 12_400, 123)]
CHAPTER = (1, 58_000, 180_000, 123)
SKIPPABLE_EVERY = 9  # tokens: a pause that may be left out after each word


class Case(NamedTuple):
    """One input."""

    name: str
    emissions: Tensor  # [B, S, M]
    states: Tensor  # [B, T]
    text_lengths: Tensor  # [B]
    speech_lengths: Tensor  # [B]
    skippable: Tensor | None  # [B, T]


class Row(NamedTuple):
    case: str
    contender: str
    median_ms: float
    p20_ms: float
    p80_ms: float
    cpu_ms: float
    memory_mib: float


def spoken_case(shape: tuple[int, int, int, int], skips: bool, device: str) -> Case:
    """Log-likelihoods of speech that was made by the states of the text, in dimensions of unit variance.

    Frames score -55 on average, as those of mel and pitch features do: a chapter adds up to -1e7.
    """
    B, T, S, M = shape
    generator = torch.Generator().manual_seed(0)
    states = torch.randint(0, M, (B, T), generator=generator)
    means = 0.7 * torch.randn(M, 16, generator=generator)
    inner = torch.rand(B, S - 1, generator=generator).argsort(1)[:, : T - 1].sort(1).values + 1
    token = torch.zeros(B, S, dtype=torch.int64).scatter_(1, inner, 1).cumsum(1)
    emissions = torch.empty(B, S, M)
    for b in range(B):
        speech = means[states[b, token[b]]] + torch.randn(S, 16, generator=generator)
        emissions[b] = -0.5 * torch.cdist(speech, means).square() - 47
    skippable = None
    if skips:
        skippable = torch.zeros(B, T, dtype=torch.bool)
        skippable[:, SKIPPABLE_EVERY // 2 :: SKIPPABLE_EVERY] = True
    tensors = (emissions, states, torch.full((B,), T), torch.full((B,), S))
    name = f"{B},{T},{S},{M}" + (" skippable" if skips else "")
    moved = (t.to(device) for t in tensors)
    return Case(name, *moved, None if skippable is None else skippable.to(device))


def gather_and_search(case: Case, backend: str) -> Tensor:
    B, T = case.states.shape
    index = case.states[:, None].expand(B, case.emissions.shape[1], T)
    scores = case.emissions.gather(2, index)
    return mas.search(
        scores,
        case.text_lengths,
        case.speech_lengths,
        layout="BST",
        skippable=case.skippable,
        backend=backend,  # type: ignore[arg-type]
        check=False,
    )


def search_states(case: Case, backend: str) -> Tensor:
    return mas.search_states(*case[1:5], skippable=case.skippable, backend=backend, check=False)  # type: ignore[arg-type]


@numba.njit(error_model="numpy", nogil=True)
def plain_path(emissions, states, skippable):
    """Durations by the recurrence of mas/backends/reference.py, in the type of the emissions.

    Two bits a cell are kept, all of them: 2.6 GB of address space for a chapter.
    """
    frames, tokens = len(emissions), len(states)
    infinity = emissions.dtype.type(np.inf)
    Q = np.full((2, tokens + 2), -infinity, emissions.dtype)  # of token i at i + 2
    Q[0, 1] = 0.0
    steps = np.empty(((frames + 3) // 4, tokens), np.uint8)
    needed = (~skippable).astype(np.int64)
    before = np.cumsum(needed) - needed
    after = needed.sum() - needed - before
    skips = np.zeros(tokens, np.bool_)  # over the token before
    skips[1:] = skippable[:-1]
    scores = np.empty(tokens, emissions.dtype)
    low, high = 0, 0
    for j in range(frames):
        while after[low] > frames - 1 - j:
            low += 1
        while high < tokens and before[high] <= j:
            steps[j // 4, high] = 0
            high += 1
        if j % 4 == 0:
            steps[j // 4, low:high] = 0
        for i in range(low, high):
            scores[i] = emissions[j, states[i]]
        plain_column(Q[j & 1], Q[1 - (j & 1)], scores, skips, steps[j // 4], np.uint8(2 * (j % 4)), low, high)
        Q[j & 1, 1] = -infinity
    last = Q[frames & 1]
    i = tokens - 1
    if tokens > 1 and skippable[i] and last[i + 2] < last[i + 1]:
        i -= 1
    durations = np.zeros(tokens, np.int64)
    for j in range(frames - 1, -1, -1):
        durations[i] += 1
        i -= (steps[j // 4, i] >> np.uint8(2 * (j % 4))) & 3 if j > 0 else 0
    return durations


@numba.njit(error_model="numpy", nogil=True)
def plain_column(old, new, scores, skips, steps, shift, low, high):
    for i in range(np.uint64(low), np.uint64(high)):
        stay, move = old[i + np.uint64(2)], old[i + np.uint64(1)]
        skip = old[i] if skips[i] else old.dtype.type(-np.inf)
        moves = stay < move
        best = move if moves else stay
        jumps = best < skip
        new[i + np.uint64(2)] = (skip if jumps else best) + scores[i]
        steps[i] |= (np.uint8(2) if jumps else np.uint8(moves)) << shift


def plain_durations(emissions: NDArray, case: Case) -> Tensor:
    """`plain_path` of the only item of a case, `[1, T]`, in the type of these emissions `[S, M]`."""
    skippable = np.zeros(case.states.shape[1], np.bool_)
    if case.skippable is not None:
        skippable = case.skippable[0].cpu().numpy()
    return torch.from_numpy(plain_path(emissions, case.states[0].cpu().numpy(), skippable))[None]


def expected_durations(case: Case) -> Tensor:
    if len(case.states) == 1:
        return plain_durations(case.emissions[0].cpu().numpy(), case)
    scores = case.emissions.gather(2, case.states[:, None].expand(-1, case.emissions.shape[1], -1)).mT
    rest = (case.text_lengths, case.speech_lengths, case.skippable)
    return cpu.durations(scores.cpu(), *(None if t is None else t.cpu() for t in rest))  # type: ignore[arg-type]


def report_exactness(case: Case) -> None:
    """How many boundaries between tokens differ from those of a search in float64."""
    emissions = case.emissions[0].cpu()
    exact = plain_durations(emissions.double().numpy(), case).cumsum(1)
    off = emissions - emissions.max(1, keepdim=True).values
    for name, own in (("as they are", emissions), ("largest of each frame taken off", off)):
        found = mas.search_states(own[None], *(t.cpu() for t in case[2:5]), skippable=_cpu(case.skippable))
        edges = found.cumsum(1)
        differ = (edges != exact)[:, :-1].double().mean().item()
        moved = (edges - exact).abs().max().item()
        total = own.gather(1, _states_of_frames(case, found)[:, None]).double().sum().item()
        print(
            f"{case.name}, emissions {name}: path {total:.4g}, {100 * differ:.3f} % of boundaries differ "
            f"from float64's, by at most {moved} frames",
            flush=True,
        )


def _cpu(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.cpu()


def _states_of_frames(case: Case, durations: Tensor) -> Tensor:
    return torch.repeat_interleave(case.states[0].cpu(), durations[0])


def memory_mib(call: Callable[[], object], device: str) -> float:
    """What a call takes at most, beside what was there before; nan where this cannot be told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        ctypes.CDLL(None).malloc_trim(0)  # gives back what is free, which a call would take without growth
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except (AttributeError, OSError):
        return float("nan")
    before = _resident("VmRSS")
    call()
    return (_resident("VmHWM") - before) / 2**10


def _resident(which: str) -> int:
    found = re.search(rf"{which}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) if found else 0


def measured(case: Case, device: str, exact: bool) -> tuple[list[Row], int]:
    """Rows, and how many results were wrong."""
    backends = [name for name in mas.available_backends(device) if name != "reference"]
    expected = expected_durations(case)
    calls: dict[str, Callable[[], Tensor]] = {}
    for backend in backends:
        calls[f"search_states {backend}"] = functools.partial(search_states, case, backend)
    if case.emissions.shape[1] != CHAPTER[2]:
        for backend in backends:
            calls[f"gather, search {backend}"] = functools.partial(gather_and_search, case, backend)
    rows, mismatches = [], 0
    for name, call in calls.items():
        if not torch.equal(call().cpu(), expected):
            print(f"MISMATCH {case.name} {name}: not timed")
            mismatches += 1
            continue
        memory = memory_mib(call, device)
        timing = time_it(call, device)
        rows.append(Row(case.name, name, *timing, min(cpu_ms(call) for _ in range(5)), memory))
        print(f"{case.name:34} {name:24} " + "  ".join(f"{x:10.3f}" for x in rows[-1][2:]), flush=True)
    if exact and len(case.states) == 1:
        report_exactness(case)
    return rows, mismatches


def cpu_ms(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch takes)")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--exact", action="store_true", help="boundaries of long items against float64")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where states.csv goes")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    print_machine(args.device)
    columns = "".join(f"{name:>12}" for name in ("median ms", "20 %", "80 %", "CPU ms", "MiB beside"))
    print(f"\n{'case (B,T,S,M)':34} {'':22}{columns}")
    rows: list[Row] = []
    mismatches = 0
    for shape in (*SHAPES, CHAPTER):
        for skips in (False, True):
            name = ("chapter " if shape == CHAPTER else "") + ",".join(map(str, shape)) + " skippable" * skips
            if re.search(args.only, name):
                case = spoken_case(shape, skips, args.device)._replace(name=name)
                own, wrong = measured(case, args.device, args.exact)
                rows += own
                mismatches += wrong
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with open(args.out / "states.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Row._fields)
            writer.writerows(rows)
        print(f"\nwrote {args.out / 'states.csv'}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
