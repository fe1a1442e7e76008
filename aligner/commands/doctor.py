"""`aligner doctor`: what machine this is, what will be used, and whether the search is right on it."""

import argparse
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError, reason

if TYPE_CHECKING:
    from mas.search import Backend

DESCRIPTION = """\
Say what machine this is and what of it will be used (GPU, Triton, NVRTC, numba, eSpeak), and search random
batches for ten seconds with every backend that runs here, against the reference, bit for bit. All of it is to
be pasted into a bug report. The exit status is 1 if a backend differs from the reference or cannot run."""

EPILOG = """\
examples:
  aligner doctor
  aligner doctor --seconds 60
  aligner doctor > report.txt"""

_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long to try."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=_SECONDS,
        metavar="S",
        help="how long to try the search, all backends together (default: %(default)g), after some batches "
        "of each for which its kernels may have to be compiled",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print what there is and how the search did; returns the same.

    Raises:
        AlignerError: A backend differs from the reference, or cannot run.
    """
    from aligner.machine import machine_rows, used_rows

    machine, used = machine_rows(), used_rows()
    _print("machine", machine)
    _print("used", used)
    tried = list(_backends())
    results = [_tried(device, backend, args.seconds / len(tried)) for device, backend in tried]
    rows = [(f"{result['backend']} on {result['device']}", _told(result)) for result in results]
    _print(f"search against the reference, seconds {args.seconds:g}", rows)
    bad = [result for result in results if result["wrong"]]
    if bad:
        raise AlignerError(
            f"{len(bad)} of {len(results)} backends are wrong here: report all of the above; until then name "
            "another one (backend= of mas.search), or another device (--device cpu)"
        )
    return {"machine": dict(machine), "used": dict(used), "search": results}


def in_a_line(summary: dict[str, Any]) -> str:
    """What came of it, in the end."""
    return "The search is right here. If something else is wrong, paste all of this into the report of it."


def _positive(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"{given!r} must be a number above 0, and below a day")
    return seconds


def _backends() -> Iterator[tuple[str, "Backend"]]:
    """Every backend that a device of this machine is served by, but for the reference.

    Nor Triton's interpreter, which serves the CPU only where it was asked for, in tests.
    """
    import mas
    from aligner.devices import devices

    for device in devices():
        left_out = ("reference",) if device.startswith("cuda") else ("reference", "triton")
        if device.startswith(("cpu", "cuda")):
            yield from ((device, name) for name in mas.available_backends(device) if name not in left_out)


def _tried(device: str, backend: "Backend", seconds: float) -> dict[str, Any]:
    from mas.self_test import SelfTest, self_test

    started_s = time.perf_counter()
    try:
        result = self_test(device, backend, seconds)
    except Exception as error:  # a driver, a compiler: whatever it is, it is the answer
        took_s = time.perf_counter() - started_s
        result = SelfTest(0, took_s, took_s, f"cannot run: {reason(error)}")
    return {"device": device, "backend": backend, **result._asdict()}


def _told(result: dict[str, Any]) -> str:
    if result["wrong"]:
        return f"WRONG: {result['wrong']}"
    first = f"{result['first_seconds']:.1f} s for the first of each kind, compiling them"
    return f"{result['batches']} batches equal, bit for bit, in {result['seconds']:.1f} s ({first})"


def _print(title: str, rows: list[tuple[str, str]]) -> None:
    """Plain lines, which a bug report shows as they are."""
    print(f"{title}:")
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:{width}}  {value}")
