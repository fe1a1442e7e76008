"""K4: state that goes wrong. Files are whole or not there, damaged ones are named, runs do not mix."""

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_corpus import save_tiny_corpus

from aligner.aligner import Aligner
from aligner.checkpoint import read_checkpoint
from aligner.cli import main
from aligner.corpus.prepared import CorpusInfo, load_info, load_utterances, save_corpus
from aligner.errors import AlignerError
from aligner.formats import MANIFEST
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import make_folder, output_folder
from aligner.formats.source import SOURCE
from aligner.text.reading import TextReading
from aligner.training.checkpoints import AtomicCheckpoints
from aligner.training.lightning_cli import LAST

Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "something else": lambda content: b"PK\x03\x04 not what it seems",
    "without its start": lambda content: content[len(content) // 3 :],
    "a few bytes changed": lambda content: content[:300] + bytes(8) + content[308:],
}


def run(*words: object) -> int:
    return main([str(word) for word in words])


def align(checkpoint: Path, corpus: Path, out: Path) -> int:
    settings = ["--device", "cpu", "--batch-duration", 6]
    return run("align", "--checkpoint", checkpoint, "--data", corpus, "--out", out, *settings)


def fit(corpus: Path, out: Path, *more: object) -> int:
    settings = ["--data.batch_duration_s", 6, "--trainer.accelerator", "cpu"]
    return run("fit", "--config", "smoke", "--data", corpus, "--out", out, *settings, *more)


@pytest.fixture(scope="module")
def aligned(checkpoint: Path, tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("aligned") / "out"
    assert align(checkpoint, tiny_corpus, out) == 0
    return out


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


# Files


def test_a_file_that_cannot_be_written_stays_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(path) as file:
        file.write(b"new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_devices_are_written_and_not_replaced() -> None:
    before = os.stat("/dev/full")
    with pytest.raises(OSError, match="No space left.*/dev/full"), atomic_write("/dev/full") as file:
        file.write(b"x")
    assert os.path.samestat(before, os.stat("/dev/full"))


def test_what_a_killed_process_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    leftover, own = tmp_path / ".a.json.123.456.tmp", tmp_path / ".hidden.tmp"
    leftover.write_text("half")
    own.write_text("somebody's")
    with atomic_write(tmp_path / "b") as file:
        make_folder(tmp_path)
        assert Path(file.name).exists()
    assert sorted(os.listdir(tmp_path)) == [".hidden.tmp", "b"]


def test_checkpoints_are_written_beside_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the folder for temporary files, from where they would be copied over the old one."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    AtomicCheckpoints().save_checkpoint({"a": torch.ones(3)}, tmp_path / "run" / "last.ckpt")
    assert torch.equal(torch.load(tmp_path / "run" / "last.ckpt")["a"], torch.ones(3))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_with_what_to_do(damage: str, checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(DAMAGES[damage](checkpoint.read_bytes()))
    with pytest.raises(AlignerError, match=f"^{path}: .*damaged; if it was one, delete it and train again$"):
        read_checkpoint(path)


def test_changed_weights_are_noticed(checkpoint: Path, tmp_path: Path) -> None:
    """torch itself does not look at check sums."""
    content = bytearray(checkpoint.read_bytes())
    weights = read_checkpoint(checkpoint)["state_dict"]["aligner.frontend.channel_mean"]
    content[content.index(weights.numpy().tobytes())] ^= 255
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(AlignerError, match="damaged"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_advice_about_a_damaged_checkpoint_is_not_to_resume(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LAST).parent.mkdir()
    (tmp_path / LAST).write_bytes(b"")
    for more in ([], ["--resume"]):
        assert fit(tiny_corpus, tmp_path, *more) == 1
        assert "delete it" in one_line(capsys)


@pytest.mark.parametrize("damage", [*DAMAGES, "null", "a number"])
@pytest.mark.parametrize("name", ["corpus.json", "cuts.jsonl.gz"])
def test_a_damaged_corpus_is_named_with_what_to_do(
    name: str, damage: str, tiny_corpus: Path, tmp_path: Path
) -> None:
    for file in ("corpus.json", "cuts.jsonl.gz"):
        shutil.copy(tiny_corpus / file, tmp_path)
    other = {"null": b"null", "a number": b"3"}
    content = (tiny_corpus / name).read_bytes()
    (tmp_path / name).write_bytes(other[damage] if damage in other else DAMAGES[damage](content))
    load = load_info if name == "corpus.json" else load_utterances
    advice = "delete it and run `aligner prepare` again"
    with pytest.raises(AlignerError, match=f"^{tmp_path / name}: damaged .*; {advice}"):
        load(tmp_path)


def partial(lines: list[bytes]) -> dict[str, bytes]:
    whole = b"".join
    return {
        "broken in the middle": whole([*lines[:3], lines[3][:50] + b"\n", *lines[4:6]]),
        "two in one": whole([*lines[:3], lines[3][:50], *lines[4:6]]),
        "zeros at the end": whole(lines[:3]) + bytes(500),
        "no text": whole(lines[:3]) + b"\xff\xfe\n" + lines[5],
        "empty lines": b"\n\n" + lines[0],
        "other json": b"[1, 2]\n3\nnull\n{}\n" + lines[0],
        "the last cut off": lines[0] + lines[1][:100],
        "empty": b"",
    }


@pytest.mark.parametrize("damage", partial([b""] * 6))
def test_an_interrupted_run_with_damaged_lines_ends_with_the_same_bytes(
    damage: str,
    aligned: Path,
    checkpoint: Path,
    tiny_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = gzip.decompress((aligned / MANIFEST).read_bytes()).splitlines(keepends=True)
    shutil.copy(aligned / SOURCE, tmp_path)
    (tmp_path / "alignments.partial.jsonl").write_bytes(partial(lines)[damage])
    assert run("export", tmp_path, "--format", "json", "--out", tmp_path / "json") == 1
    assert "interrupted" in one_line(capsys)
    assert align(checkpoint, tiny_corpus, tmp_path) == 0
    for name in (MANIFEST, "confidence.tsv", "failed.tsv", SOURCE):
        assert (tmp_path / name).read_bytes() == (aligned / name).read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(aligned))


@pytest.mark.parametrize("damage", ["empty", "cut off", "something else", "a few bytes changed"])
def test_a_damaged_manifest_is_named_with_what_to_do(
    damage: str,
    aligned: Path,
    checkpoint: Path,
    tiny_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(aligned, tmp_path / "out")
    path = tmp_path / "out" / MANIFEST
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert align(checkpoint, tiny_corpus, tmp_path / "out") == 1
    assert f"{path}: damaged" in (line := one_line(capsys))
    assert "delete it" in line


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_folder_that_does_not_say_what_it_holds_is_not_added_to(
    content: bytes,
    aligned: Path,
    checkpoint: Path,
    tiny_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(aligned, tmp_path / "out")
    (tmp_path / "out" / SOURCE).write_bytes(content)
    assert align(checkpoint, tiny_corpus, tmp_path / "out") == 1
    assert "delete" in one_line(capsys)
    assert run("evaluate", tmp_path / "out", "--reference", tiny_corpus) == 0  # the rest can be used


# Two runs


HOLD = """
import sys, time
from aligner.formats.folder import output_folder
with output_folder(*sys.argv[1:]):
    print(1, flush=True)
    time.sleep(60)
"""


def hold(folder: Path, shard: str = "") -> "subprocess.Popen[str]":
    """A process that holds a folder."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), shard],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "1\n"
    return holder


def end(*holders: "subprocess.Popen[str]") -> None:
    for holder in holders:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()


def test_the_second_run_into_a_folder_is_refused_and_a_killed_one_holds_nothing(
    checkpoint: Path, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = hold(tmp_path)
    for command in (lambda: align(checkpoint, tiny_corpus, tmp_path), lambda: fit(tiny_corpus, tmp_path)):
        assert command() == 1
        assert f"process {holder.pid} on {os.uname().nodename}" in one_line(capsys)
    end(holder)
    assert (tmp_path / ".aligner.lock").exists()
    assert align(checkpoint, tiny_corpus, tmp_path) == 0
    assert not any(name.startswith(".") for name in os.listdir(tmp_path))


def test_parts_of_a_run_do_not_exclude_one_another(tmp_path: Path) -> None:
    one, two = hold(tmp_path, "1"), hold(tmp_path, "2")
    try:
        for shard in ("", "1"):
            with (
                pytest.raises(AlignerError, match="being written by"),
                output_folder(tmp_path, shard),
            ):
                pass
        with output_folder(tmp_path, "3"):
            pass
    finally:
        end(one, two)
    with output_folder(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_who_holds_a_folder_may_call_what_locks_it_but_no_other_thread(tmp_path: Path) -> None:
    refused: list[AlignerError] = []

    def other() -> None:
        try:
            with output_folder(tmp_path):
                pass
        except AlignerError as error:
            refused.append(error)

    with output_folder(tmp_path / "." / "new"), output_folder(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()  # nothing was written
    with output_folder(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1


# What belongs together


def corpus(folder: Path, like: Path, **info: object) -> Path:
    """The same utterances in another corpus."""
    save_corpus(folder, load_utterances(like), replace(load_info(like), **info))  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize(
    ("reading", "shown"),
    [
        ({"phonemizer": "gruut"}, "--phonemizer gruut --language en-us"),
        ({"phonemizer": "espeak", "language": "de"}, "--phonemizer espeak --language de"),
        ({"options": {"keep_stress": True}}, "--phonemizer characters --keep-stress"),
        ({"phonemizer": "reference"}, "--phones-from-reference"),
        (
            {"phonemizer": "tokens", "options": {"pause_symbols": ["sp", "sil"]}},
            "--phonemizer tokens --pause-symbols sp sil",
        ),
    ],
)
def test_a_corpus_read_otherwise_is_refused_wherever_it_meets_the_checkpoint(
    reading: dict[str, object],
    shown: str,
    tiny_corpus: Path,
    trained_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other, checkpoint = corpus(tmp_path / "other", tiny_corpus, **reading), trained_run / LAST
    for command in (
        lambda: align(checkpoint, other, tmp_path / "out"),
        lambda: run("evaluate", "--checkpoint", checkpoint, "--data", other, "--device", "cpu"),
        lambda: fit(other, tmp_path / "out", "--resume", checkpoint),
    ):
        assert command() == 1
        line = one_line(capsys)
        assert shown in line
        assert "--phonemizer characters" in line
    assert not (tmp_path / "out").exists()


def test_readings_agree_whatever_changes_nothing() -> None:
    def reading(phonemizer: str, language: str = "en-us", **options: object) -> TextReading:
        return TextReading(phonemizer, language, options)

    assert reading("characters", "de").agrees(reading("characters", "fr"))
    assert reading("tokens", pause_symbols=["a", "b"]).agrees(reading("tokens", pause_symbols=("b", "a")))
    assert reading("gruut", keep_stress=False).agrees(reading("gruut"))
    assert not reading("gruut", "de").agrees(reading("gruut"))
    assert not reading("gruut", keep_stress=True).agrees(reading("gruut"))
    assert TextReading.stated(None) is None


def test_old_checkpoints_and_folders_that_do_not_say_it_still_work(
    checkpoint: Path, aligned: Path, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["aligner"]["text"] = None
    torch.save(content, tmp_path / "old.ckpt")
    assert align(tmp_path / "old.ckpt", tiny_corpus, tmp_path / "out") == 0
    assert "does not say how its texts were read" in capsys.readouterr().err
    shutil.copytree(aligned, tmp_path / "older")
    source = json.loads((aligned / SOURCE).read_text())
    old = ("checkpoint_sha256", "cuts_sha256", "batch_duration_s")
    (tmp_path / "older" / SOURCE).write_text(json.dumps({name: source[name] for name in old}))
    assert align(checkpoint, tiny_corpus, tmp_path / "older") == 0


def test_alignments_say_how_texts_were_read(aligned: Path) -> None:
    source = json.loads((aligned / SOURCE).read_text())
    assert source["text"] == {"phonemizer": "characters", "language": "en-us", "options": {}}
    assert source["symbols"] == ["sil", "a", "e", "m", "s", "t"]


def test_an_aligner_for_other_symbols_says_so_once(
    checkpoint: Path, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = corpus(tmp_path / "more", tiny_corpus, symbols=("sil", "a", "e", "m", "s", "t", "x"))
    assert align(checkpoint, more, tmp_path / "out") == 0
    assert "has not learnt x of" in one_line(capsys)
    other = corpus(tmp_path / "none", tiny_corpus, symbols=("sil", "q"))
    assert align(checkpoint, other, tmp_path / "out2") == 1
    assert "has learnt no symbol of" in one_line(capsys)


def test_a_run_goes_on_only_with_its_own_corpus(
    tiny_corpus: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    utterances = load_utterances(tiny_corpus)
    for name, changed in {
        "fewer": utterances[:-1],
        "renamed": [replace(utterances[0], id="other"), *utterances[1:]],
        "other text": [replace(utterances[0], text="other"), *utterances[1:]],
    }.items():
        save_tiny_corpus(tmp_path / name, changed)
        assert fit(tmp_path / name, tmp_path / "out", "--resume", trained_run / LAST) == 1
        assert "began with another corpus" in one_line(capsys)
    save_tiny_corpus(tmp_path / "same", utterances[::-1])
    assert fit(tmp_path / "same", tmp_path / "out", "--resume", trained_run / LAST) == 0


def test_a_finished_run_says_so_and_trains_nothing(
    tiny_corpus: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained_run, tmp_path / "run")
    before = (tmp_path / "run" / LAST).read_bytes()
    assert fit(tiny_corpus, tmp_path / "run", "--resume", "--json") == 0
    shown = capsys.readouterr()
    assert "finished run: its 6 epochs are done" in shown.err
    assert json.loads(shown.out.splitlines()[-1])["finished"] is True
    assert (tmp_path / "run" / LAST).read_bytes() == before


def test_an_aligner_without_training_state_is_not_continued(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Aligner.load(checkpoint).save(tmp_path / "saved.ckpt")
    assert fit(tiny_corpus, tmp_path / "out", "--resume", tmp_path / "saved.ckpt") == 1
    assert "no training to continue" in one_line(capsys)


def test_prepare_reads_as_the_vocabulary_was_read(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("a.wav|tea\n")
    words = ["prepare", tmp_path / "list.txt", "--phonemizer", "gruut", "--vocabulary", tiny_corpus]
    assert run(*words, "--out", tmp_path / "out") == 1
    assert "--phonemizer characters" in one_line(capsys)
    assert CorpusInfo(("sil",), "characters", "de", {}).reading.agrees(load_info(tiny_corpus).reading)
