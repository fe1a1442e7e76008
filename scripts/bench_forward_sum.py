"""Times the alignment loss of RAD-TTS, NeMo and FastPitch by `mas` and by torch's CTC, forward and backward.

    python scripts/bench_forward_sum.py --out bench                 # the GPU if there is one, else the CPU
    python scripts/bench_forward_sum.py --device cpu --threads 2 --out bench
    python scripts/bench_forward_sum.py --only moments              # boundaries of alignment, a chapter too

"ctc by item" is how NeMo and RAD-TTS call CTC: one item after the other, cut to its lengths; "ctc batched" is
how FastPitch's batched variant does. Every gradient is compared first with that of CTC in float64 on the CPU;
the error is the largest difference over the largest gradient. One of `mas` that is above 1e-4 is reported and
not timed, and makes the exit status 1; CTC's own are reported. "CPU ms" is the least that all threads
together took, which other work on the machine hardly changes. Memory is the most that a step takes beside the
scores: on a CPU the growth of the resident set, on a GPU what the allocator hands out. Writes
forward_sum.csv into --out.

The rows "moments" are `mas.boundary_moments` beside `mas.search_states` on the same input (scale 0.1); their
error is in frames. That of the chapter takes half a minute on a CPU.

B items, T text tokens, S speech frames, M states.
"""

import argparse
import csv
import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from bench_mas import print_machine, time_it
from bench_states import CHAPTER, SHAPES, Case, cpu_ms, memory_mib, search_states, spoken_case
from torch import Tensor
from torch.nn.functional import ctc_loss, pad

import mas
from mas.forward_sum_loss import ForwardSumLoss

LOSS_SHAPES = [(32, 160, 800), (16, 512, 2048)]
LARGEST_ERROR = 1e-4
BLANK = -1.0


class Step(NamedTuple):
    """The input of one loss."""

    scores: Tensor  # [B, 1, S, T], a leaf that requires a gradient
    text_lengths: Tensor  # [B]
    speech_lengths: Tensor  # [B]

    def run(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """The loss and its gradient."""
        value = loss(*self)
        (gradient,) = torch.autograd.grad(value, self.scores)
        return value.detach(), gradient

    def forward(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        return loss(*self)


class Row(NamedTuple):
    case: str
    contender: str
    median_ms: float
    p20_ms: float
    p80_ms: float
    forward_ms: float
    cpu_ms: float
    memory_mib: float
    error: float


def ctc_by_item(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor) -> Tensor:
    total = scores.new_zeros(())
    padded = pad(scores, (1, 0), value=BLANK)
    for b in range(len(scores)):
        tokens, frames = text_lengths[b : b + 1], speech_lengths[b : b + 1]
        log_probs = padded[b, 0, : frames.item(), : tokens.item() + 1].log_softmax(1)
        target = torch.arange(1, int(tokens) + 1)[None]
        total = total + ctc_loss(log_probs[:, None], target, frames, tokens, zero_infinity=True)
    return total / len(scores)


def ctc_batched(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor) -> Tensor:
    B, _, _, T = scores.shape
    number = torch.arange(T + 1, device=scores.device)
    padded = pad(scores[:, 0].transpose(0, 1), (1, 0), value=BLANK)
    padded = padded.masked_fill(number > text_lengths[:, None], float("-inf"))
    targets = number[1:].expand(B, -1)
    return ctc_loss(padded.log_softmax(2), targets, speech_lengths, text_lengths, zero_infinity=True)


def random_step(shape: tuple[int, int, int], device: str) -> Step:
    B, T, S = shape
    scores = torch.randn(B, 1, S, T, generator=torch.Generator().manual_seed(0)).to(device)
    lengths = torch.full((B,), T, device=device), torch.full((B,), S, device=device)
    return Step(scores.requires_grad_(), *lengths)


def loss_rows(shape: tuple[int, int, int], device: str) -> tuple[list[Row], int]:
    """Rows, and how many results of `mas` were wrong."""
    step = random_step(shape, device)
    on_cpu = [t.detach().cpu() for t in step]
    exact = Step(on_cpu[0].double().requires_grad_(), *on_cpu[1:])
    _, expected = exact.run(ctc_batched)
    contenders: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
        "ctc by item": ctc_by_item,
        "ctc batched": ctc_batched,
        "mas": ForwardSumLoss(BLANK),
    }
    name = "loss " + ",".join(map(str, shape))
    rows, wrong = [], 0
    for contender, loss in contenders.items():
        call = functools.partial(step.run, loss)
        _, gradient = call()
        error = float((gradient.cpu() - expected).abs().max() / expected.abs().max())
        del gradient
        if contender == "mas" and not error <= LARGEST_ERROR:
            print(f"WRONG {name} {contender}: error {error:.1e}, not timed")
            wrong += 1
            continue
        memory = memory_mib(call, device)
        forward = time_it(functools.partial(step.forward, loss), device).median_ms
        timing = time_it(call, device)
        cpu = min(cpu_ms(call) for _ in range(3))
        rows.append(Row(name, contender, *timing, forward, cpu, memory, error))
        show(rows[-1])
    return rows, wrong


def moments(case: Case, backend: str | None = None) -> mas.BoundaryMoments:
    return mas.boundary_moments(
        *case[1:5],
        skippable=case.skippable,
        scale=0.1,
        backend=backend,
        check=False,  # type: ignore[arg-type]
    )


def moments_rows(case: Case, device: str) -> tuple[list[Row], int]:
    """Rows, and how many results were wrong."""
    emissions = case.emissions - case.emissions.amax(2, keepdim=True)
    case = case._replace(name="moments " + case.name, emissions=emissions)
    served = mas.available_backends(device)[0]
    found = moments(case)
    if case.emissions.shape[1] == CHAPTER[2]:
        # float64 would take minutes: here the mean must end where the item does, and boundaries be in order.
        error = float((found.mean[:, -1] - case.speech_lengths).abs().max()) - float(found.mean.diff().min())
        error = max(0.0, error)
    else:
        exact = moments(case._replace(emissions=emissions.double()))
        error = float((found.mean - exact.mean).abs().max())  # frames
    if not error <= 1e-2:
        print(f"WRONG {case.name}: boundaries off by {error:.1e} frames, not timed")
        return [], 1
    rows = []
    for contender, call in (
        ("mas", functools.partial(moments, case)),
        ("search_states", functools.partial(search_states, case, served)),
    ):
        memory, timing = memory_mib(call, device), time_it(call, device)
        rows.append(Row(case.name, contender, *timing, timing[0], cpu_ms(call), memory, error))
        show(rows[-1])
    return rows, 0


def show(row: Row) -> None:
    values = "  ".join(f"{x:10.3f}" for x in row[2:-1])
    print(f"{row.case:40} {row.contender:14} {values}  {row.error:10.1e}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch takes)")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where forward_sum.csv goes")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    print_machine(args.device)
    names = ("median ms", "20 %", "80 %", "forward ms", "CPU ms", "MiB beside", "error")
    print(f"\n{'case':40} {'':14}" + "".join(f"{name:>12}" for name in names))
    rows: list[Row] = []
    mismatches = 0
    for shape in LOSS_SHAPES:
        if re.search(args.only, "loss " + ",".join(map(str, shape))):
            own, wrong = loss_rows(shape, args.device)
            rows += own
            mismatches += wrong
    for shape in (*SHAPES, CHAPTER):
        for skips in (False, True):
            name = "chapter " * (shape == CHAPTER) + ",".join(map(str, shape)) + " skippable" * skips
            if re.search(args.only, "moments " + name):
                own, wrong = moments_rows(
                    spoken_case(shape, skips, args.device)._replace(name=name), args.device
                )
                rows += own
                mismatches += wrong
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with open(args.out / "forward_sum.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Row._fields)
            writer.writerows(rows)
        print(f"\nwrote {args.out / 'forward_sum.csv'}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
