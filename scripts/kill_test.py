"""Kill `aligner fit` and `aligner align` again and again, fill their disk, and compare what they end with.

Each run is killed (SIGKILL), continued, killed again, and so on; in the end its files must be the bytes of a
run that nobody disturbed, with nothing left over. A third of the kills comes at a random time, a third right
before a file is brought to the disk or takes its name, a third right after. Runs are written to each of
--folders while temporary files of the system go to the next one, so that the two should lie on different file
systems.

    python scripts/kill_test.py
    python scripts/kill_test.py --data prepared --config ljspeech --align-kills 10 --fit-kills 4

With the defaults, on tones of a few seconds, it takes a few minutes. The last line is JSON; the exit status
is 1 if any file differs. The part with the full disk mounts a tmpfs, which only root can; otherwise it is
skipped, saying so. Children are forked, so that what is killed is the work and not the imports before it.
"""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

# What is compared. config.yaml and TensorBoard's files name the folder and the time.
RESULTS = {"fit": ["checkpoints"], "align": ["."]}
LONGEST_S = 600.0
IMPORTED = (  # before children are forked, for speed
    *("aligner.align_corpus", "aligner.training.lightning_cli", "aligner.training.progress"),
    *("aligner.commands.align", "aligner.commands.fit", "aligner.plot"),
    *("librosa.feature", "librosa.filters", "lhotse", "matplotlib.figure", "torch.utils.tensorboard"),
)
DISK_SIZES_KB = (16, 28, 40, 64, 400)  # nothing fits; a part; a checkpoint, but not two; nearly everything
MOMENTS = ("at any time", "before writing", "after writing")


@dataclass
class Command:
    """A command whose runs are killed.

    Args:
        name: Of the command.
        arguments: But for the folder to write.
        first: Given where a run starts.
        again: Given where it continues.
    """

    name: str
    arguments: list[str]
    first: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    def words(self, out: Path) -> list[str]:
        """The command line that starts a run in `out`, or continues the one that is there."""
        begun = (out / "checkpoints" / "last.ckpt").exists()
        return [self.name, *self.arguments, "--out", str(out), *(self.again if begun else self.first)]


def main() -> int:
    """Run all parts; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a prepared corpus (default: made-up tones)")
    parser.add_argument("--config", default="smoke", help="of `fit` (default: smoke)")
    parser.add_argument("--align-kills", type=int, default=50, metavar="N")
    parser.add_argument("--fit-kills", type=int, default=20, metavar="N")
    parser.add_argument(
        "--folders",
        nargs="+",
        type=Path,
        default=[Path("/tmp"), Path("/dev/shm")],
        help="on different file systems (default: /tmp /dev/shm)",
    )
    parser.add_argument(
        "--disks", type=int, default=len(DISK_SIZES_KB), metavar="N", help="sizes of full disks"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    random.seed(args.seed)
    places = [Path(tempfile.mkdtemp(prefix="kill-test-", dir=folder)) for folder in args.folders]
    try:
        report = test_all(args, places)
    finally:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
    print(json.dumps(report))
    return 1 if report["wrong"] else 0


def test_all(args: argparse.Namespace, places: list[Path]) -> dict[str, object]:
    """Undisturbed runs, killed ones, ones on a full disk; returns what happened."""
    for module in IMPORTED:
        importlib.import_module(module)
    data = args.data or made_up_corpus(places[0] / "tones")
    common = ["--data", str(data)]
    checkpoint = places[0] / "whole-fit" / "checkpoints" / "last.ckpt"
    small = ["--data.batch_duration_s", "6", "--trainer.accelerator", "cpu"]
    small += ["--trainer.limit_val_batches", "0"]
    fitting = Command("fit", ["--config", args.config, *common, *small], [], ["--resume"])
    aligning = Command(
        "align",
        ["--checkpoint", str(checkpoint), *common, "--device", "cpu", "--batch-duration", "6"]
        + ["--format", "textgrid", "json"],
    )
    report: dict[str, object] = {"kills": {}, "disks": {}}
    wrong: list[str] = []
    for command, kills in ((fitting, args.fit_kills), (aligning, args.align_kills)):
        whole = places[0] / f"whole-{command.name}"
        started_s = time.perf_counter()
        status, _ = run(command.words(whole), places[0] / "log")
        if status != 0:
            raise SystemExit((places[0] / "log").read_text())
        whole_s = time.perf_counter() - started_s
        done, bad = kill_again_and_again(command, kills, places, contents(command, whole), whole_s)
        report["kills"][command.name] = done  # type: ignore[index]
        full, bad_full = fill_disks(command, places, contents(command, whole), DISK_SIZES_KB[: args.disks])
        report["disks"][command.name] = full  # type: ignore[index]
        wrong += [*bad, *bad_full]
        print(f"{command.name}: killed {done}, disks {full}", file=sys.stderr)
    return {**report, "wrong": wrong}


def kill_again_and_again(
    command: Command, kills: int, places: list[Path], expected: dict[str, bytes], whole_s: float
) -> tuple[dict[str, int], list[str]]:
    """Kill runs so many times; returns how often at which moment, how many runs, and what was wrong."""
    done: Counter[str] = Counter()
    wrong: list[str] = []
    while sum(done[moment] for moment in MOMENTS) < kills:
        number = done["runs"]
        place, temporary = (places[(number + shift) % len(places)] for shift in (0, 1))
        out = place / f"killed-{command.name}-{number}"
        os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
        for _ in range(random.randint(1, 5)):
            moment = MOMENTS[sum(done[name] for name in MOMENTS) % len(MOMENTS)]
            status, log = run(command.words(out), place / "log", moment, random.uniform(0, whole_s))
            if status == 0:
                break  # it was done before the moment came
            if status != -signal.SIGKILL:
                wrong.append(f"{out.name}: exit status {status}: {log}")
            done[moment] += 1
        status, log = run(command.words(out), place / "log")
        wrong += [f"{out.name}: exit status {status} in the end: {log}"] if status else []
        wrong += differences(out.name, contents(command, out), expected)
        done["runs"] += 1
        shutil.rmtree(out)
    return dict(done), wrong


def fill_disks(
    command: Command, places: list[Path], expected: dict[str, bytes], sizes_kb: tuple[int, ...]
) -> tuple[dict[str, str], list[str]]:
    """Run on disks that are too small, enlarge them and continue; returns what happened by size, and what was
    wrong."""
    happened: dict[str, str] = {}
    wrong: list[str] = []
    disk = places[0] / "disk"
    disk.mkdir(exist_ok=True)
    for size_kb in sizes_kb:
        options = f"size={size_kb}k"
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], capture_output=True
        ).returncode:
            return {"skipped": "no tmpfs can be mounted here (only root can)"}, wrong
        try:
            out, name = disk / "out", f"{command.name} on {size_kb} kB"
            status, log = run(command.words(out), places[0] / "log")
            happened[f"{size_kb} kB"] = log or "fits"
            if status and (status != 1 or "No space left" not in log or "\n" in log):
                wrong.append(f"{name}: exit status {status}: {log}")
            subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
            status, log = run(command.words(out), places[0] / "log")
            wrong += [f"{name}, enlarged: exit status {status}: {log}"] if status else []
            wrong += differences(name, contents(command, out), expected)
        finally:
            subprocess.run(["umount", disk], check=True)
    return happened, wrong


def run(words: list[str], log: Path, moment: str = "", after_s: float = 0.0) -> tuple[int, str]:
    """Run a command in a child, and kill it at a moment; returns its exit status and what it said on stderr.

    Args:
        words: The command line.
        log: A file for what it prints.
        moment: One of MOMENTS; "": it is not killed.
        after_s: When to kill it.
    """
    child = os.fork()
    if not child:
        _run_in_child(words, log, moment)
    started_s = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        passed_s = time.monotonic() - started_s
        if passed_s > LONGEST_S or (moment == MOMENTS[0] and passed_s > after_s):
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)
    shown = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in shown if line.startswith(("aligner ", "Traceback"))]
    return os.waitstatus_to_exitcode(status), "\n".join(errors or shown[-1:] if status else errors)


def _run_in_child(words: list[str], log: Path, moment: str) -> None:
    from aligner.cli import main as aligner

    status = 70
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if moment in MOMENTS[1:]:
            left = random.randint(1, 12)  # of these calls; the next file after so many is not finished
            _kill_self(moment == MOMENTS[1], left)
        status = aligner(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _kill_self(before: bool, left: int) -> None:
    """Let this process kill itself right before or after one of its calls that finish a file."""
    remaining = [left]

    def killing(call: Callable[..., object]) -> Callable[..., object]:
        def called(*args: object, **kwargs: object) -> object:
            remaining[0] -= 1
            if before and not remaining[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **kwargs)
            if not remaining[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return called

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, killing(getattr(os, name)))


def contents(command: Command, out: Path) -> dict[str, bytes]:
    """The files of a finished run by their names, hidden ones too."""
    files = {path for part in RESULTS[command.name] for path in (out / part).rglob("*") if path.is_file()}
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def differences(run: str, found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """What is missing, left over or different."""
    names = sorted(found.keys() | expected.keys())
    return [f"{run}: {name} differs" for name in names if found.get(name) != expected.get(name)]


def made_up_corpus(folder: Path) -> Path:
    """The corpus of the tests, in which each symbol is a chord."""
    from tiny_corpus import write_tiny_corpus

    write_tiny_corpus(folder)
    return folder


if __name__ == "__main__":
    sys.exit(main())
