"""Killed runs end with the bytes of undisturbed ones: a small version of scripts/kill_test.py."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "kill_test.py"


def test_killed_runs_and_a_full_disk_leave_nothing_torn(tmp_path: Path) -> None:
    other = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    small = ["--fit-kills", "2", "--align-kills", "3", "--disks", "1"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *small, "--folders", tmp_path, other], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == []
    for command in ("fit", "align"):
        (happened,) = report["disks"][command].values()
        assert "No space left on device" in happened or "skipped" in report["disks"][command]
