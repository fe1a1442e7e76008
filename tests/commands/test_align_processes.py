"""`aligner align --processes`: the same bytes, and what becomes of processes that are killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_corpus import save_tiny_corpus, with_symbols

from aligner import align_processes
from aligner.align_processes import processes_for
from aligner.cli import main
from aligner.corpus.prepared import load_utterances
from aligner.formats import MANIFEST, AlignmentWriter
from aligner.training.lightning_cli import LAST, find_config, train

WRITTEN = (MANIFEST, "confidence.tsv", "failed.tsv", "gaps.tsv", "suspects.tsv", "source.json")


@pytest.fixture(scope="module")
def arguments(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """To align a corpus, of which two utterances cannot be aligned, in a dozen batches."""
    folder = tmp_path_factory.mktemp("processes")
    train([find_config("smoke")], ["--data.data_dir", str(tiny_corpus)], folder / "run")
    utterances = load_utterances(tiny_corpus)
    lost = replace(utterances[0], id="lost", audio=folder / "lost.wav", reference=None)
    lost.audio.write_bytes(Path(utterances[0].audio).read_bytes())
    unknown = with_symbols(utterances[1], "unknown", ("s", "e", "x"))
    save_tiny_corpus(folder / "corpus", [*utterances, lost, unknown])
    lost.audio.unlink()
    checkpoint = folder / "run" / LAST
    own = ["--checkpoint", checkpoint, "--data", folder / "corpus", "--device", "cpu", "--batch-duration", 3]
    return ["align", *map(str, own)]


@pytest.fixture(scope="module")
def alone(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    assert main([*arguments, "--out", str(out)]) == 0
    return out


def test_any_number_of_processes_writes_the_same_bytes(
    arguments: list[str], alone: Path, tmp_path: Path
) -> None:
    assert main([*arguments, "--out", str(tmp_path), "--processes", "2"]) == 0
    for name in WRITTEN:
        assert (tmp_path / name).read_bytes() == (alone / name).read_bytes(), name
    assert "lost.wav" in (tmp_path / "failed.tsv").read_text()


def test_a_killed_process_is_told_and_the_rest_can_be_done(
    arguments: list[str],
    alone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = AlignmentWriter.write

    def killing(self: AlignmentWriter, *args: Any) -> None:
        write(self, *args)
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(AlignmentWriter, "write", killing)
    assert main([*arguments, "--out", str(tmp_path), "--processes", "2"]) == 1
    assert "fewer --processes" in capsys.readouterr().err
    monkeypatch.undo()
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert (tmp_path / MANIFEST).read_bytes() == (alone / MANIFEST).read_bytes()


def test_processes_end_with_their_owner(arguments: list[str], tmp_path: Path) -> None:
    program = "import sys; from aligner.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *arguments, "--out", str(tmp_path), "--processes", "2"]
    owner = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children")
    if not children.exists():
        owner.kill()
        pytest.skip("this system does not list the children of a process")
    started_s = time.monotonic()
    while len(children.read_text().split()) < 2:
        assert owner.poll() is None
        assert time.monotonic() - started_s < 120
        time.sleep(0.05)
    owner.kill()
    owner.wait()
    while True:
        try:
            os.killpg(owner.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() - started_s < 180
        time.sleep(0.1)


def test_too_few_processes_are_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path), "--processes", "0"]) == 1
    assert "--processes 0" in capsys.readouterr().err


def test_a_gpu_is_shared_by_as_many_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align_processes, "available_processors", lambda: 16)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20 << 30, 24 << 30))
    monkeypatch.setattr(align_processes, "free_memory_bytes", lambda: 64e9)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert processes_for("cuda", 1000) == 3
    assert processes_for("cuda", 9) == 2
    assert processes_for("cuda:1", 2) == 1
    assert processes_for("cpu", 1000) == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert processes_for("cuda:1", 1000, owners=2) == 3  # a GPU each
    assert processes_for("cuda:1", 1000, owners=4) == 1
    monkeypatch.setattr(align_processes, "free_memory_bytes", lambda: 7e9)
    assert processes_for("cuda", 1000) == 2
    monkeypatch.setattr(align_processes, "available_processors", lambda: 2)
    assert processes_for("cuda", 1000) == 1
