"""Try what would be released: build it, check it, install the wheel where nothing is, align with it.

    python scripts/try_wheel.py recordings                       # in this Python
    python scripts/try_wheel.py recordings --python python3.12 python3.13 --tested-set

For each Python an environment of its own gets the wheel and what it asks for (5 GB). The commands are
`aligner doctor` and `aligner align RECORDINGS --checkpoint en-us`. With --tested-set versions are those of
constraints.txt, else the newest that pyproject.toml allows. Ends with 1 if anything failed.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a build reads. A copy of it is built: setuptools would leave build/ in the checkout.
SOURCES = ("mas", "aligner", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def run(command: list[str | Path], folder: Path) -> str:
    """Run a command; its last line of output.

    Raises:
        RuntimeError: It failed; with what it said.
    """
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n" + "\n".join(lines[-20:])
        )
    return lines[-1]


def build(folder: Path) -> Path:
    """A wheel and an sdist in `folder/dist`, built from a copy and checked by twine; the wheel."""
    tools, copy = folder / "tools", folder / "copy"
    venv.create(tools, with_pip=True)
    run([tools / "bin/pip", "install", "-q", "build", "twine"], folder)
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, copy / name)
    run(
        [tools / "bin/python", "-m", "build", "--outdir", folder / "dist", copy], folder
    )  # the wheel from the sdist
    files = sorted((folder / "dist").iterdir())
    print(run([tools / "bin/twine", "check", "--strict", *files], folder))
    for file in files:
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def try_on(python: str, wheel: Path, recordings: Path, tested_set: bool, folder: Path) -> str:
    """Install the wheel for one Python and run the commands; what `align` said last.

    Raises:
        RuntimeError: A step failed.
    """
    folder.mkdir()
    run([python, "-m", "venv", "environment"], folder)
    programs = folder / "environment/bin"
    constraints: list[str | Path] = ["-c", ROOT / "constraints.txt"] if tested_set else []
    run([programs / "pip", "install", "-q", *constraints, wheel], folder)
    run([programs / "aligner", "doctor", "--seconds", "1"], folder)
    return run([programs / "aligner", "align", recordings, "--checkpoint", "en-us", "--out", "times"], folder)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="as for `aligner align`: a.wav with a.txt beside it")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="the interpreters to try")
    parser.add_argument("--tested-set", action="store_true", help="install the versions of constraints.txt")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep wheel and sdist in this folder")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        wheel = build(Path(name))
        if args.keep:
            shutil.copytree(wheel.parent, args.keep, dirs_exist_ok=True)
        for number, python in enumerate(args.python):
            try:
                print(run([python, "--version"], Path(name)), flush=True)
                said = try_on(
                    python, wheel, args.recordings.resolve(), args.tested_set, Path(name) / str(number)
                )
            except (RuntimeError, OSError) as error:
                said, failed = f"failed: {error}", 1
            shutil.rmtree(Path(name) / str(number), ignore_errors=True)  # 5 GB
            print(f"{python}: {said}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
