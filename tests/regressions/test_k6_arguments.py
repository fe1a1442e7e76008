"""K6, arguments from Python and files of references: whatever is given, an error says what is needed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_alignments import example, write

import mas
from aligner import cli
from aligner.aligner import Aligner
from aligner.alignment import FrameGrid
from aligner.errors import AlignerError
from aligner.formats import AlignmentLookup, read
from aligner.formats.textgrid import covering_tier, textgrid_text
from aligner.text.transcript import Transcript


@pytest.mark.parametrize("wrong", [np.ones((1, 2, 3), np.float32), [[[1.0]]], 3, None])
def test_mas_says_which_argument_is_no_tensor(wrong: Any) -> None:
    scores, states, lengths = torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.long), torch.tensor([1])
    for name, call in {
        "text_lengths": lambda: mas.search(scores, wrong, lengths),
        "speech_lengths": lambda: mas.search(scores, lengths, wrong),
    }.items():  # lists and arrays of integers are lengths, too; these are of the wrong shape
        with pytest.raises((TypeError, ValueError), match=f"^{name}(: a torch.Tensor, a list or| has shape)"):
            call()
    calls: dict[str, Any] = {
        "scores": lambda: mas.search(wrong, lengths, lengths),
        "emissions": lambda: mas.search_states(wrong, states, lengths, lengths),
        "states": lambda: mas.search_states(scores, wrong, lengths, lengths),
    }
    if wrong is not None:
        calls["skippable"] = lambda: mas.search(scores, lengths, lengths, skippable=wrong)
        calls["starts"] = lambda: mas.search_states(scores[0], states, lengths, lengths, starts=wrong)
    for name, call in calls.items():
        with pytest.raises(TypeError, match=f"^{name}: a torch.Tensor is needed, not {type(wrong).__name__}"):
            call()


@pytest.mark.parametrize("text", [None, ["a", "b"], b"text", 3])
def test_what_is_no_text_is_refused(text: Any, checkpoint: Path) -> None:
    with pytest.raises(AlignerError, match=f"text is {type(text).__name__}; a text"):
        Aligner.load(checkpoint).align(np.zeros(16000, np.float32), text, 16000)


@pytest.mark.parametrize("audio", [(np.zeros(16000), 16000), [0.0] * 99, b"RIFF", None, 3])
def test_what_is_no_audio_is_refused(audio: Any, checkpoint: Path) -> None:
    transcript = Transcript(())
    with pytest.raises(AlignerError, match=f"audio is {type(audio).__name__}; the path of a sound file"):
        Aligner.load(checkpoint).align(audio, transcript, 16000)


@pytest.mark.parametrize("loudest", [4.5, 32767.0, -32768.0, 1e9])
def test_integers_that_became_floats_are_refused(loudest: float, checkpoint: Path) -> None:
    audio = np.zeros(16000, np.float32)
    audio[99] = loudest
    with pytest.raises(AlignerError, match=r"must be finite numbers in -1\.\.1 \(a peak up to 4 is taken\)"):
        Aligner.load(checkpoint).align(audio, Transcript(()), 16000)


@pytest.mark.parametrize(
    "audio", [torch.zeros(16000, requires_grad=True), torch.zeros(16000, dtype=torch.bfloat16)]
)
def test_tensors_that_numpy_cannot_see_are_refused(audio: torch.Tensor, checkpoint: Path) -> None:
    with pytest.raises(AlignerError, match=r"pass audio\.detach\(\)"):
        Aligner.load(checkpoint).align(audio, Transcript(()), 16000)  # type: ignore[arg-type]


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="a folder; name the last.ckpt"):
        Aligner.load(tmp_path)


@pytest.mark.parametrize("frames", ["x", 8.0, True, np.float64(8)])
def test_a_count_of_frames_is_a_whole_number(frames: Any) -> None:
    with pytest.raises(AlignerError, match="frames .* must be a whole number"):
        example(0).durations(100, 1000, frames=frames)


def test_frames_of_another_recording_are_refused() -> None:
    one = example(0)
    usual = int(one.durations(10, 1000).sum())
    for frames in (usual, usual + 8, np.int64(usual - 3)):
        assert one.durations(10, 1000, frames=frames).sum() == frames
    for frames in (100000, 2 * usual, usual // 2):
        with pytest.raises(AlignerError, match=f"{frames} frames for .* make {usual}"):
            one.durations(10, 1000, frames=frames)


def test_what_is_no_path_or_whole_number_is_refused() -> None:
    with pytest.raises(AlignerError, match="path of a checkpoint is needed, not NoneType"):
        Aligner.load(None)  # type: ignore[arg-type]
    for hop in (256.5, 256.0, "256", None, True):
        with pytest.raises(AlignerError, match="must be a whole number"):
            FrameGrid(hop, 22050)  # type: ignore[arg-type]
    assert FrameGrid(np.int64(256), 22050).frame_count(512) == 3  # type: ignore[arg-type]


def test_tiers_are_found_whatever_their_case(tmp_path: Path) -> None:
    whole = [(0.0, 0.5, "a")]
    (tmp_path / "u.TextGrid").write_text(textgrid_text(0.5, {"Word": whole, "Phoneme": whole}))
    (one,) = read(tmp_path)
    assert one.words
    assert one.tokens
    (tmp_path / "u.TextGrid").write_text(textgrid_text(0.5, {"ORT": whole, "Mau": whole}))
    (one,) = read(tmp_path, "ort", "mau")
    assert one.words
    assert one.tokens


def test_a_reason_that_many_references_share_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(4):
        write(example(id=f"u{n}"), "textgrid", tmp_path)
    words = ("evaluate", str(tmp_path), "--reference", str(tmp_path), "--tier", "words=foo")
    assert cli.main([*words]) == 1
    error = capsys.readouterr().err
    assert error.count("no tier 'foo'") == 1
    assert ": 4 (such as 'u0')" in error


def test_a_broken_line_of_timit_is_named(tmp_path: Path) -> None:
    (tmp_path / "u.wrd").write_text("0 100 she\n100 200\n")
    with pytest.raises(AlignerError, match=r"u\.wrd:2: not `start end label`"):
        list(read(tmp_path))
    (tmp_path / "u.wrd").write_text("")
    with pytest.raises(AlignerError, match=r"u\.wrd: is empty"):
        list(read(tmp_path))


def test_a_folder_of_unfinished_shards_says_so(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "1-of-2.jsonl.gz").write_bytes(b"")
    with pytest.raises(AlignerError, match="not all shards of `aligner align --shard` are there yet"):
        read(tmp_path)
    with pytest.raises(AlignerError, match="not all shards"):
        AlignmentLookup(tmp_path)


def test_tiers_that_were_passed_over_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = example(id="u")
    write(one, "json", tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    tiers = {
        "words": covering_tier(one.words, one.duration_s, ""),
        "MAU": covering_tier(one.tokens, one.duration_s),
    }
    (tmp_path / "theirs" / "u.TextGrid").write_text(textgrid_text(one.duration_s, tiers))
    words = ["evaluate", str(tmp_path / "ours"), "--reference", str(tmp_path / "theirs")]
    assert cli.main(words) == 0
    assert (
        "no phones compared; the reference TextGrids have the tiers 'words', 'MAU'" in capsys.readouterr().err
    )
    assert cli.main([*words, "--tier", "phones=mau"]) == 0
    assert "note" not in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(3):
        write(example(id=f"u{n}"), "json", tmp_path / "ours")
    (tmp_path / "file").write_text("mine")
    for out in ("file", "file/below"):
        assert (
            cli.main(["export", str(tmp_path / "ours"), "--format", "json", "--out", str(tmp_path / out)])
            == 1
        )
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "file is a file, and a folder is to be written there" in error
