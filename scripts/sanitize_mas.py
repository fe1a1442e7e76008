"""Runs the kernels of `mas` under compute-sanitizer's memcheck and racecheck, on small inputs. Needs a GPU.

    python scripts/sanitize_mas.py                                   # every case, memcheck and racecheck
    python scripts/sanitize_mas.py --only hopper --tool racecheck --seconds 480

A case is one process, as many at once as --jobs says; one that takes longer than --seconds is ended and said
to be. Prints errors, hazards (racecheck) and seconds of each, and what was reported first; --out keeps
everything. Exit status 1 if something was reported or a result is wrong.

The CUDA kernels let one lane arrive at a barrier for its warp, after a __syncwarp. racecheck takes that for
this lane's arrival alone, and so reports pairs of accesses that are in order. So under racecheck they are
compiled so that every lane arrives for itself, and nothing else differs; --as-shipped leaves them alone.

B items, T text tokens, S speech frames.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

import mas
from mas.search import Backend

SHAPES = [(3, 5, 9), (2, 33, 130), (2, 150, 221)]
CLUSTERS = [(1, 300, 421)]  # several thread blocks an item
STATES = 7


def searches(
    backend: Backend, skips: bool, layout: str, dtype: torch.dtype, shapes: list[tuple[int, ...]]
) -> None:
    """`mas.search` on every shape, against the CPU.

    Args:
        backend: On the GPU.
        skips: Whether some tokens may be skipped.
        layout: "BTS" or "BST".
        dtype: Of the scores.
        shapes: B, T, S of each search.
    """
    for B, T, S in shapes:
        scores = torch.randn(B, T, S).to(dtype)
        lengths = torch.full((B,), T), torch.full((B,), S)
        skippable = (torch.arange(T) % 3 == 1).expand(B, T) if skips else None
        expected = mas.search(scores, *lengths, skippable=skippable)
        own = on_the_gpu(scores if layout == "BTS" else scores.mT.contiguous())
        found = mas.search(
            own, *lengths, layout=layout, backend=backend, check=False,  # type: ignore[arg-type]
            skippable=None if skippable is None else skippable.cuda(),
        )  # fmt: skip
        assert torch.equal(found.cpu(), expected), (B, T, S)


def on_the_gpu(scores: torch.Tensor) -> torch.Tensor:
    """A copy, in memory of whole 16 bytes: Triton's kernels read so many at once (triton_row_scores.py)."""
    elements = 16 // scores.element_size()
    room = torch.empty(-(-scores.numel() // elements) * elements, dtype=scores.dtype, device="cuda")
    return room[: scores.numel()].view(scores.shape).copy_(scores)


def state_searches(backend: Backend) -> None:
    """`mas.search_states`, with and without skippable tokens, against the CPU."""
    for B, T, S in SHAPES:
        emissions, states = torch.randn(B, S, STATES), torch.randint(STATES, (B, T))
        lengths = torch.full((B,), T), torch.full((B,), S)
        for skippable in (None, (torch.arange(T) % 3 == 1).expand(B, T).contiguous()):
            expected = mas.search_states(emissions, states, *lengths, skippable=skippable)
            found = mas.search_states(
                emissions.cuda(), states.cuda(), *lengths, backend=backend, check=False,
                skippable=None if skippable is None else skippable.cuda(),
            )  # fmt: skip
            assert torch.equal(found.cpu(), expected), (B, T, S)


def forward_sums() -> None:
    """`mas.forward_sum` and its gradient, and `boundary_moments`, against the CPU."""
    for B, T, S in SHAPES:
        lengths = torch.full((B,), T), torch.full((B,), S)
        scores = torch.randn(B, T, S)
        results = []
        for device in ("cpu", "cuda"):
            own = scores.clone().to(device).requires_grad_()
            mas.forward_sum(own, *lengths, check=False).sum().backward()
            results.append(own.grad)
        assert torch.allclose(results[1].cpu(), results[0], atol=1e-4), (B, T, S)  # type: ignore[union-attr]
        emissions, states = torch.randn(B, S, STATES), torch.randint(STATES, (B, T))
        moments = [
            mas.boundary_moments(emissions.to(device), states.to(device), *lengths, check=False)
            for device in ("cpu", "cuda")
        ]
        assert torch.allclose(moments[1].mean.cpu(), moments[0].mean, atol=1e-3), (B, T, S)


def dense_paths() -> None:
    """`mas.dense_path` of either layout, against the CPU."""
    durations = torch.randint(0, 5, (3, 70))
    for layout in ("BTS", "BST"):
        found = mas.dense_path(durations.cuda(), 201, layout=layout)  # type: ignore[arg-type]
        assert torch.equal(found.cpu(), mas.dense_path(durations, 201, layout=layout))  # type: ignore[arg-type]


def gaussians(precision: str) -> None:
    """`mas.gaussian_search`, where speech is made by the Gaussians, so that paths are the same in float32."""
    for B, T, S in ((1, 40, 160), (1, 150, 401)):
        mean = 3 * torch.randn(B, T, 16)
        speech = mean[:, torch.arange(S) * T // S] + 0.1 * torch.randn(B, S, 16)
        lengths = torch.full((B,), T), torch.full((B,), S)
        expected = mas.gaussian_search(mean, None, speech, *lengths)
        found = mas.gaussian_search(
            mean.cuda(),
            None,
            speech.cuda(),
            *lengths,
            precision=precision,
            check=False,  # type: ignore[arg-type]
        )
        assert torch.equal(found.cpu(), expected), (B, T, S)


def cases() -> dict[str, Callable[[], None]]:
    """What is checked, by name."""
    float32, bfloat16 = torch.float32, torch.bfloat16
    return {
        "triton": lambda: searches("triton", False, "BTS", float32, SHAPES),
        "triton BST": lambda: searches("triton", False, "BST", bfloat16, SHAPES),
        "triton skips": lambda: searches("triton", True, "BTS", float32, SHAPES),
        "triton states": lambda: state_searches("triton"),
        "triton forward sum": forward_sums,
        "triton dense path": dense_paths,
        "triton tf32x3, hopper": lambda: gaussians("tf32x3"),
        "hopper": lambda: searches("hopper", False, "BTS", float32, SHAPES + CLUSTERS),
        "hopper BST": lambda: searches("hopper", False, "BST", float32, [(2, 64, 130), (1, 300, 421)]),
        "hopper bf16": lambda: searches("hopper", False, "BTS", bfloat16, [(2, 64, 132), (1, 300, 421)]),
        "hopper skips": lambda: searches("hopper", True, "BTS", float32, SHAPES + CLUSTERS),
        "hopper states": lambda: state_searches("hopper"),
        "hopper bf16x3": lambda: gaussians("bf16x3"),
    }


def run_case(name: str, every_lane: bool) -> None:
    """One case in this process, which compute-sanitizer watches."""
    if every_lane:
        from mas.backends.hopper import cuda_driver

        cuda_driver.EXTRA_DEFINES["EVERY_LANE"] = 1
    torch.manual_seed(0)
    cases()[name]()
    torch.cuda.synchronize()


def watched(name: str, tool: str, args: argparse.Namespace) -> bool:
    """Runs a case under a tool and says what it found; whether that is nothing."""
    command = ["compute-sanitizer", "--tool", tool]
    command += ["--racecheck-report", "all"] if tool == "racecheck" else []
    command += [sys.executable, __file__, "--case", name]
    command += ["--as-shipped"] if args.as_shipped or tool != "racecheck" else []
    environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"} if tool == "memcheck" else None
    begin = time.monotonic()
    process = subprocess.Popen(
        command, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    _running.add(process.pid)
    ended = ""
    try:
        said, _ = process.communicate(timeout=args.seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        ended = f", ended after {args.seconds} s"
    _running.discard(process.pid)
    found = [line for line in said.splitlines() if re.search(r"=+ (Error|Warning|Invalid|Program hit)", line)]
    good = process.returncode == 0 and not found
    summary = [line.lstrip("= ") for line in said.splitlines() if "SUMMARY" in line]
    print(
        f"{tool:10} {name:22} {'nothing' if good else f'{len(found)} reports'}{ended}, status "
        f"{process.returncode}, {time.monotonic() - begin:.0f} s; {'; '.join(summary)}", flush=True,
    )  # fmt: skip
    for line in [] if good else (found or said.splitlines()[-3:])[:3]:
        print(f"    {line[:300]}", flush=True)
    if args.out is not None:
        (args.out / f"{tool}_{re.sub(r'[ ,]+', '_', name)}.log").write_text(said)
    return good


_running: set[int] = set()  # sessions of the cases at work


def _end_all(*_signal: object) -> None:
    """Ends the cases, too, if this process is asked to end."""
    for session in list(_running):
        os.killpg(session, signal.SIGKILL)
    os._exit(1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--tool", choices=("memcheck", "racecheck"), help="by default both")
    parser.add_argument("--seconds", type=int, default=480, help="the most that a case may take")
    parser.add_argument("--jobs", type=int, default=1, help="cases at once")
    parser.add_argument("--as-shipped", action="store_true", help="one lane arrives for its warp (above)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where all that was said goes")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        run_case(args.case, every_lane=not args.as_shipped)
        return 0
    if shutil.which("compute-sanitizer") is None:
        parser.error("compute-sanitizer, which comes with the CUDA toolkit, is not on the PATH")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    names = [name for name in cases() if re.search(args.only, name)]
    tools = [args.tool] if args.tool else ["memcheck", "racecheck"]
    signal.signal(signal.SIGTERM, _end_all)
    with ThreadPoolExecutor(args.jobs) as pool:
        good = list(pool.map(lambda job: watched(*job, args), [(n, tool) for tool in tools for n in names]))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
