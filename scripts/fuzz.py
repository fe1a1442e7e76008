"""Read thousands of odd and damaged inputs; report what ends in anything but a result or an AlignerError.

    python scripts/fuzz.py                                # 10,000 cases over all readers
    python scripts/fuzz.py --reader texts --seed 7        # 10,000 of one reader
    python scripts/fuzz.py --reader list --case 4711      # one case once more, with its traceback

The cases are those of tests/fuzz_cases.py. They run in processes of their own, so that a crash or an endless
loop in a library is a finding like any other. The exit status is 1 if there is a finding.
"""

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import Progress

from aligner.errors import AlignerError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
CASES_A_PROCESS = 250
LONGEST_S = 60.0  # of one case; the slowest takes about a second


def run_case(reader: str, seed: int, case: int) -> str:
    """Run one case.

    Args:
        reader: One of `READERS`.
        seed: Of the whole run.
        case: Its number.

    Returns:
        The traceback of a fault; "" if there is none.
    """
    from fuzz_cases import READERS

    with tempfile.TemporaryDirectory() as folder:
        try:
            READERS[reader](Random(f"{seed} {reader} {case}"), Path(folder))
        except AlignerError as error:
            if not str(error).strip():
                return "an AlignerError that says nothing"
        except Exception:
            return traceback.format_exc()
    return ""


def _work(connection: Connection, cases: list[tuple[str, int]], seed: int) -> None:
    """Run cases and send each with its fault; what libraries print goes nowhere."""
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    for reader, case in cases:
        connection.send(("begin", reader, case, ""))
        connection.send(("end", reader, case, run_case(reader, seed, case)))
    connection.close()


def run_cases(cases: list[tuple[str, int]], seed: int) -> dict[tuple[str, int], str]:
    """The faults of cases, by reader and number."""
    faults: dict[tuple[str, int], str] = {}
    context = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "fork")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("fuzzing", total=len(cases))
        left = list(cases)
        while left:
            ours, theirs = context.Pipe(duplex=False)
            worker = context.Process(target=_work, args=(theirs, left[:CASES_A_PROCESS], seed))
            worker.start()
            theirs.close()
            running: tuple[str, int] | None = None
            with contextlib.suppress(EOFError):
                while ours.poll(LONGEST_S):
                    kind, reader, case, fault = ours.recv()
                    running = (reader, case) if kind == "begin" else None
                    if kind == "end":
                        left.remove((reader, case))
                        bar.advance(task)
                        if fault:
                            faults[reader, case] = fault
                            bar.console.print(f"{reader} {case}: {fault.splitlines()[-1]}", markup=False)
            worker.kill()
            worker.join()
            if running is not None:
                faults[running] = f"crashed or took longer than {LONGEST_S:.0f} s"
                left.remove(running)
                bar.advance(task)
                bar.console.print(f"{running}: {faults[running]}", markup=False)
    return faults


def main() -> int:
    from fuzz_cases import READERS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--reader", choices=list(READERS), help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this case of --reader")
    args = parser.parse_args()
    readers = [args.reader] if args.reader else list(READERS)
    if args.case is not None:
        print(run_case(readers[0], args.seed, args.case) or "no fault")
        return 0
    started_s = time.monotonic()
    cases = [(readers[number % len(readers)], number // len(readers)) for number in range(args.cases)]
    faults = run_cases(cases, args.seed)
    kinds: dict[tuple[str, str], list[int]] = {}
    for (reader, case), fault in faults.items():
        kinds.setdefault((reader, fault.strip().splitlines()[-1][:150]), []).append(case)
    for (reader, last_line), numbers in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(numbers):5d}  {reader}: {last_line}  (such as --case {numbers[0]})")
    seconds = time.monotonic() - started_s
    print(f"{len(cases)} cases, seed {args.seed}, {len(faults)} faults, {seconds:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
