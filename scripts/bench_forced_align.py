"""Times `mas.compat.forced_align` and torchaudio's on the same log-probabilities in one run.

    python scripts/bench_forced_align.py --threads 2               # the GPU if there is one, else the CPU
    python scripts/bench_forced_align.py --device cpu --threads 2

torchaudio aligns one item a call, on the CPU with one thread; its GPU kernel, where it has one, is timed
too. Every path and score is compared with torchaudio's CPU kernel's first; a result that differs is
reported, not timed, and makes the exit status 1. Times are medians of wall time in ms, for the whole batch,
checks included. "search" is the search alone: durations of CTC's states, without paths and scores.

B batch, S frames, L labels of the longest item, V labels with the blank.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torchaudio
from torch import Tensor

import mas
from mas.compat import forced_align
from mas.compat.ctc import topology

# WhisperX: 30 s in frames of 20 ms, wav2vec2's 29 letters. Then batches, a subword alphabet, five minutes.
SHAPES = [
    (1, 500, 80, 29),
    (1, 1500, 400, 29),
    (32, 500, 80, 29),
    (16, 1500, 400, 29),
    (16, 1500, 300, 1024),
    (1, 15000, 4000, 29),
]

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # log_probs, targets, input and target lengths


def batch_of(B: int, S: int, L: int, V: int, device: str) -> Batch:
    """Speech-like: a label's log-probability is high where a random monotonic path has it, blanks between."""
    frames = torch.linspace(S, 0.6 * S, B).long()
    labels = torch.linspace(L, 0.6 * L, B).long()
    targets = torch.randint(1, V, (B, L))
    logits = torch.randn(B, S, V)
    for b in range(B):
        places = torch.randperm(int(frames[b]))[: labels[b]].sort()[0]
        logits[b, :, 0] += 4
        logits[b, places, targets[b, : labels[b]]] += 6
    tensors = logits.log_softmax(2), targets, frames, labels
    return tuple(t.to(device) for t in tensors)  # type: ignore[return-value]


def torchaudios(batch: Batch) -> list[tuple[Tensor, Tensor]]:
    log_probs, targets, frames, labels = batch
    return [
        torchaudio.functional.forced_align(
            log_probs[b : b + 1, : frames[b]].contiguous(), targets[b : b + 1, : labels[b]].contiguous()
        )
        for b in range(len(targets))
    ]


def search_only(batch: Batch) -> Tensor:
    log_probs, targets, frames, labels = batch
    states, n_states, skippable = topology(targets, labels, 0)
    return mas.search_states(log_probs, states, n_states, frames, skippable=skippable)


def is_right(found: list[tuple[Tensor, Tensor]], expected: list[tuple[Tensor, Tensor]]) -> bool:
    return all(
        torch.equal(path.cpu()[:, : right.shape[1]], right)
        and torch.equal(score.cpu()[:, : right.shape[1]], right_score)
        for (path, score), (right, right_score) in zip(found, expected, strict=True)
    )


def median_ms(call: Callable[[], object], device: str) -> float:
    times: list[float] = []
    while len(times) < 5 or (sum(times) < 2000 and len(times) < 50):
        start = time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def contenders(batch: Batch, on_cpu: Batch) -> dict[str, Callable[[], list[tuple[Tensor, Tensor]]]]:
    def ours() -> list[tuple[Tensor, Tensor]]:
        paths, scores = forced_align(*batch)
        return list(zip(paths.split(1), scores.split(1), strict=True))

    calls = {"torchaudio cpu": lambda: torchaudios(on_cpu), "mas": ours}
    if batch[0].is_cuda:
        calls["torchaudio cuda"] = lambda: torchaudios(batch)
    return calls


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch takes)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(f"{args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
          f"torchaudio {torchaudio.__version__}")  # fmt: skip
    wrong = 0
    for B, S, L, V in SHAPES:
        on_cpu = batch_of(B, S, L, V, "cpu")
        batch: Batch = tuple(t.to(args.device) for t in on_cpu)  # type: ignore[assignment]
        expected = torchaudios(on_cpu)
        times: dict[str, float] = {}
        for name, call in contenders(batch, on_cpu).items():
            try:
                right = is_right(call(), expected)
            except RuntimeError as error:
                print(f"{name} does not run: {error}")
                continue
            if not right:
                print(f"MISMATCH B {B}, S {S}, L {L}, V {V}: {name}; not timed")
                wrong += name == "mas"
                continue
            times[name] = median_ms(call, args.device)
        if "mas" in times:
            times["search"] = median_ms(lambda batch=batch: search_only(batch), args.device)
            times["torchaudio cpu / mas"] = times["torchaudio cpu"] / times["mas"]
        print(f"B {B:3}, S {S:6}, L {L:5}, V {V:5}: " + ", ".join(f"{k} {v:.2f}" for k, v in times.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
