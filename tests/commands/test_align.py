"""`aligner align`: the same bytes whatever happens, bad utterances apart, what it writes."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_corpus import save_tiny_corpus, with_symbols

from aligner.alignment import Alignment, FrameGrid, Gap
from aligner.cli import main
from aligner.corpus.prepared import load_utterances
from aligner.errors import AlignerError
from aligner.evaluate import compare
from aligner.formats import MANIFEST, AlignmentWriter, check_outputs, read, read_alignments, write_alignments
from aligner.formats.writer import OutputFolder
from aligner.training.lightning_cli import LAST, find_config, train


@pytest.fixture(scope="module")
def checkpoint(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train([find_config("smoke")], ["--data.data_dir", str(tiny_corpus)], out)
    return out / LAST


@pytest.fixture(scope="module")
def aligned(tiny_corpus: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("aligned")
    assert align(checkpoint, tiny_corpus, out, "--format", "npy", "textgrid", "--preset", "vits") == 0
    return out


def align(checkpoint: Path, corpus: Path, out: Path, *more: object) -> int:
    arguments = ["--checkpoint", checkpoint, "--data", corpus, "--out", out, "--device", "cpu"]
    return main([str(word) for word in ["align", *arguments, "--batch-duration", 6, *more]])


def table(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_every_utterance_is_aligned_and_durations_fit_the_frames(tiny_corpus: Path, aligned: Path) -> None:
    utterances = {u.id: u for u in load_utterances(tiny_corpus)}
    alignments = {a.id: a for a in read_alignments(aligned / MANIFEST)}
    assert alignments.keys() == utterances.keys()
    tokens = dict(line.split("|") for line in (aligned / "npy" / "tokens.txt").read_text().splitlines())
    errors_ms = []
    for id, utterance in utterances.items():
        durations = np.load(aligned / "npy" / "durations" / f"{id}.npy")
        assert durations.sum() == FrameGrid(256, 22050, "same").frame_count(
            round(utterance.duration_s * 22050)
        )
        assert durations.min() >= 1
        assert tokens[id].split() == [t.symbol for t in utterance.reference.tokens]
        assert (alignments[id].text, alignments[id].audio) == (utterance.text, str(utterance.audio))
        errors_ms += compare(alignments[id], utterance.reference).phones_ms
    assert abs(np.mean(errors_ms)) < 2.5
    assert np.abs(errors_ms).max() < 30


def test_textgrids_say_what_the_manifest_says(aligned: Path) -> None:
    written = {a.id.split("-")[-1]: a for a in read(aligned / "textgrid")}
    for alignment in read_alignments(aligned / MANIFEST):
        starts_s = [t.start_s for t in written[alignment.id].tokens]
        assert starts_s == pytest.approx([t.start_s for t in alignment.tokens], abs=1e-6)


def test_an_interrupted_run_continues_to_the_same_bytes(
    tiny_corpus: Path,
    checkpoint: Path,
    aligned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = AlignmentWriter.write

    def interrupted(self: AlignmentWriter, alignment: Alignment, cut: Any = None) -> None:
        if len(self.done) == interrupted.after:
            raise KeyboardInterrupt
        write(self, alignment, cut)

    monkeypatch.setattr(AlignmentWriter, "write", interrupted)
    for interrupted.after in (1, 5, 8):  # in the middle of batches
        assert align(checkpoint, tiny_corpus, tmp_path) == 130
        assert not (tmp_path / MANIFEST).exists()
    monkeypatch.undo()
    assert align(checkpoint, tiny_corpus, tmp_path) == 0
    for name in (MANIFEST, "confidence.tsv", "failed.tsv"):
        assert (tmp_path / name).read_bytes() == (aligned / name).read_bytes()
    assert align(checkpoint, tiny_corpus, tmp_path) == 0  # and with nothing left to do
    assert (tmp_path / MANIFEST).read_bytes() == (aligned / MANIFEST).read_bytes()


@pytest.fixture
def faulty(tiny_corpus: Path, tmp_path: Path) -> Path:
    """The corpus and four utterances nobody can align."""
    utterances = load_utterances(tiny_corpus)
    lost = tmp_path / "lost.wav"
    shutil.copy(utterances[0].audio, lost)
    bad = [
        replace(utterances[0], id="lost", audio=lost, reference=None),
        with_symbols(utterances[1], "unknown", ("s", "e", "x")),
        with_symbols(utterances[2], "long", ("s", "e") * 400),
    ]
    save_tiny_corpus(tmp_path / "faulty", [*utterances, *bad])
    save_tiny_corpus(tmp_path / "hopeless", bad)
    lost.unlink()
    return tmp_path


def test_bad_utterances_stop_no_other(
    faulty: Path, aligned: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = faulty / "out"
    assert align(checkpoint, faulty / "faulty", out, "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["utterances"], summary["aligned"], summary["failed"]) == (23, 20, 3)
    failed = dict(table(out / "failed.tsv")[1:])
    assert failed.keys() == {"lost", "unknown", "long"}
    assert "lost.wav" in failed["lost"]
    assert "has not learnt x" in failed["unknown"]
    assert "800 tokens in" in failed["long"]
    expected = {a.id: a for a in read_alignments(aligned / MANIFEST)}
    for alignment in read_alignments(out / MANIFEST):
        starts_s = [t.start_s for t in expected[alignment.id].tokens]
        assert [t.start_s for t in alignment.tokens] == pytest.approx(starts_s, abs=1e-9)


def test_the_exit_status_tells_of_failures(
    faulty: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert align(checkpoint, faulty / "faulty", faulty / "strict", "--strict") == 1
    assert (faulty / "strict" / MANIFEST).exists()
    assert align(checkpoint, faulty / "hopeless", faulty / "none") == 1
    assert "3 of 3 utterances not aligned" in capsys.readouterr().err


def test_the_least_sure_come_first(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path
) -> None:
    utterances = load_utterances(tiny_corpus)
    swapped = [replace(u, reference=None) for u in utterances]
    swapped[4] = replace(swapped[4], transcript=utterances[7].transcript)
    assert utterances[4].text != utterances[7].text
    save_tiny_corpus(tmp_path / "swapped", swapped)
    assert align(checkpoint, tmp_path / "swapped", tmp_path / "out") == 0
    (first, score, words), second = table(tmp_path / "out" / "confidence.tsv")[1:3]
    assert first == utterances[4].id
    assert float(score) < 0.5 < float(second[1])
    assert {word.split(":")[0] for word in words.split()} <= set(utterances[7].text.split())


def test_a_folder_is_not_mixed_from_two_checkpoints(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.ckpt"
    other.write_bytes(checkpoint.read_bytes() + b" ")
    before = (aligned / MANIFEST).read_bytes()
    assert align(other, tiny_corpus, aligned) == 1
    error = capsys.readouterr().err
    assert "holds alignments by another checkpoint; choose another folder" in error
    assert align(checkpoint, tiny_corpus, aligned, "--batch-duration", "5") == 1
    assert "alignments with another batch duration (" in capsys.readouterr().err
    assert (aligned / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--format", "npy"], "say --hop"),
        (["--hop", "256"], "go together"),
        (["--batch-duration", "0"], "above 0"),
        (["--batch-duration", "nan"], "above 0"),
        (["--batch-duration", "inf"], "above 0"),
        (["--checkpoint", "."], "a folder; name the last.ckpt"),
        (["--device", "nowhere"], "--device nowhere"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    more: list[str],
    message: str,
    tiny_corpus: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert align(checkpoint, tiny_corpus, tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_format_that_can_hold_nothing_is_a_failure(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(aligned, tmp_path / "out")
    assert align(checkpoint, tiny_corpus, out, "--format", "fastspeech2", "json") == 1
    n_utterances = len(load_utterances(tiny_corpus))
    assert f"fastspeech2: {n_utterances} utterances could not be written" in capsys.readouterr().err
    assert len((out / "fastspeech2" / "refused.txt").read_text().splitlines()) == n_utterances
    assert len(list((out / "json").glob("*.json"))) == n_utterances


def test_files_of_a_format_that_somebody_changed_are_not_replaced(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(aligned, tmp_path / "out")
    (out / "json").mkdir()
    own = out / "json" / f"{load_utterances(tiny_corpus)[0].id}.json"
    own.write_text("mine")
    assert align(checkpoint, tiny_corpus, out, "--format", "json") == 1
    assert "1 files are there already that no export wrote" in capsys.readouterr().err
    assert own.read_text() == "mine"
    assert align(checkpoint, tiny_corpus, out, "--format", "json", "--overwrite") == 0
    assert own.read_text() != "mine"
    assert align(checkpoint, tiny_corpus, out, "--format", "json") == 0  # our own now


def test_names_that_clash_are_told_before_any_work(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = load_utterances(tiny_corpus)[:2]
    save_tiny_corpus(tmp_path / "data", [replace(one, id="a b"), replace(other, id="a_b")])
    assert align(checkpoint, tmp_path / "data", tmp_path / "out", "--format", "json") == 1
    assert "would both be written as 'a_b'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_of_names_that_clash_five_pairs_are_named(tmp_path: Path) -> None:
    ids = [f"{letter}{mark}b" for letter in "abcdefg" for mark in " _"]
    alone = [Alignment(id, 1.0, (), ()) for id in ids]
    with pytest.raises(AlignerError, match=r"'a b' and 'a_b' .*; .*'e b' and 'e_b' .* \(and 2 more\)"):
        check_outputs(alone, {"json": tmp_path})


def test_a_phone_that_lasts_seconds_is_told(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(aligned, tmp_path / "out")
    ours = list(read_alignments(out / MANIFEST))
    long = Alignment.from_boundaries(
        ours[1].id, ["sil", "f"], [-1, 0], ["f"], [0, 2, 4.4], 4.4, scores=[0.9, 0.9]
    )
    write_alignments(out / MANIFEST, [ours[0], long, *ours[2:]])
    assert align(checkpoint, tiny_corpus, out) == 0
    assert f"1 utterance has a phone of more than 1.5 s, such as {long.id} (phone 'f' 2.4 s)" in (
        capsys.readouterr().err
    )
    assert table(out / "suspects.tsv") == [["id", "what"], [long.id, "phone 'f' 2.4 s"]]


def test_gaps_are_told(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(aligned, tmp_path / "out")
    first, second, *others = read_alignments(out / MANIFEST)
    both = replace(second, gaps=(Gap(0.25, 0.25, ("to", "be")), Gap(0.5, 1.0)))
    write_alignments(out / MANIFEST, [first, both, *others])
    assert align(checkpoint, tiny_corpus, out, "--json") == 0
    captured = capsys.readouterr()
    what = "'to be' is not said at 0.25 s; 0.50 s of speech that the text lacks, at 0.50 s"
    assert f"In one utterance text and audio differ, such as {both.id}: {what}; see" in captured.err
    assert table(out / "gaps.tsv") == [["id", "what"], [both.id, what]]
    assert json.loads(captured.out.splitlines()[-1])["gaps"] == 1
    assert table(aligned / "gaps.tsv") == [["id", "what"]]


def test_texts_taken_as_said_are_not_mixed_with_others(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert align(checkpoint, tiny_corpus, out, "--text-as-said") == 0
    assert align(checkpoint, tiny_corpus, out) == 1
    said = "holds alignments with texts taken as said; choose another folder"
    assert f"{out} {said}" in capsys.readouterr().err
    assert align(checkpoint, tiny_corpus, out, "--text-as-said") == 0


def test_lists_are_the_same_whether_they_are_made_on_the_way_or_of_the_manifest(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path
) -> None:
    """`aligned` wrote formats, for which the manifest is read again; so does a run with nothing to do."""
    out = tmp_path / "aligned"
    for _ in range(2):
        assert align(checkpoint, tiny_corpus, out) == 0
        for name in ("confidence.tsv", "suspects.tsv", "gaps.tsv"):
            assert (out / name).read_bytes() == (aligned / name).read_bytes()


def test_a_prepared_corpus_is_no_place_for_alignments(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "linked").symlink_to(tiny_corpus)
    before = sorted(tiny_corpus.iterdir())
    for out in (tiny_corpus, tmp_path / "linked"):
        assert align(tmp_path / "no.ckpt", tiny_corpus, out) == 1
        assert f"--out {out} is a prepared corpus" in capsys.readouterr().err
    assert sorted(tiny_corpus.iterdir()) == before


def test_after_a_full_disk_in_an_export_the_same_command_goes_on(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def full(self: OutputFolder) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root))

    with monkeypatch.context() as patched:
        patched.setattr(OutputFolder, "record", full)  # the list of what was written, after the files
        assert align(checkpoint, tiny_corpus, out, "--format", "json") == 1
    assert list((out / "json").glob("*.json"))
    assert align(checkpoint, tiny_corpus, out, "--format", "json") == 0
