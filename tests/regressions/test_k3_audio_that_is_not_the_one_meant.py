"""K3: audio that is not the one meant: what a list calls it must be one file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from regressions.prepared_corpora import noise, prepare, write_list


@pytest.mark.parametrize("name", ["metadata.csv", "list.txt"])
@pytest.mark.parametrize("called", ["001", "001.wav"])
@pytest.mark.parametrize(
    "sounds",
    [
        ("wavs/x/001.wav", "wavs/y/001.wav", "wavs/other.wav"),
        ("x/001.wav", "y/z/001.wav", "other.wav"),
        ("audio/001.wav", "wavs/001.wav", "wavs/x/001.wav", "other.wav"),
    ],
)
def test_a_name_of_two_files_is_refused(
    tmp_path: Path, name: str, called: str, sounds: tuple[str, ...]
) -> None:
    found = prepare(write_list(tmp_path / "c" / name, [f"{called}|two", "other|fine"], sounds))
    assert list(found.utterances) == ["other"]
    assert "may be" in found.refused["001"]


@pytest.mark.parametrize("called", ["wavs/x/001.wav", "x/001.wav", "x/001", "wavs\\x\\001.wav"])
def test_a_path_that_tells_them_apart_is_enough(tmp_path: Path, called: str) -> None:
    path = write_list(tmp_path / "c" / "list.txt", [f"{called}|two"], ["wavs/x/001.wav", "wavs/y/001.wav"])
    (only,) = prepare(path).utterances.values()
    assert only.audio == tmp_path / "c" / "wavs" / "x" / "001.wav"


def test_ljspeech_has_its_files_just_below_wavs(tmp_path: Path) -> None:
    path = write_list(tmp_path / "c" / "metadata.csv", ["001|two"], ["wavs/001.wav", "wavs/old/001.wav"])
    (only,) = prepare(path.parent).utterances.values()
    assert only.audio == tmp_path / "c" / "wavs" / "001.wav"


def test_two_formats_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    sounds = [f"wavs/{name}" for name in ("a.wav", "a.flac", "b.flac", "b.wav")]
    path = write_list(tmp_path / "c" / "metadata.csv", ["a|two", "b.flac|three"], sounds)
    found = prepare(path.parent)
    assert "may be" in found.refused["a"]
    assert found.utterances["b"].audio.name == "b.flac"


def test_ids_never_become_paths(tmp_path: Path) -> None:
    noise(tmp_path / "secret.wav")
    lines = ["../secret|one", "../../etc/passwd|root", "/etc/passwd|root", "a|fine"]
    found = prepare(write_list(tmp_path / "c" / "metadata.csv", lines, ["wavs/a.wav"]).parent)
    assert list(found.utterances) == ["a"]
    assert all("unsafe id" in reason for reason in found.refused.values())


def test_accents_are_found_in_either_spelling(tmp_path: Path) -> None:
    path = write_list(tmp_path / "c" / "metadata.csv", ["größe|two"], ["wavs/gro\u0308ße.wav"])
    assert len(prepare(path.parent).utterances) == 1


def test_of_two_formats_in_a_folder_the_lossless_one_is_taken_and_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for suffix in (".flac", ".ogg", ".wav"):
            noise(tmp_path / "c" / f"{name}{suffix}")
        (tmp_path / "c" / f"{name}.txt").write_text("two three")
    noise(tmp_path / "c" / "only.ogg")
    (tmp_path / "c" / "only.txt").write_text("two three")
    found = prepare(tmp_path / "c")
    assert not found.refused
    assert {u.audio.name for u in found.utterances.values()} == {"a.wav", "b.wav", "only.ogg"}
    assert "a.wav is taken, not a.flac" in found.said


def test_channels_that_cancel_each_other_are_named(tmp_path: Path) -> None:
    one = np.random.default_rng(0).uniform(-0.3, 0.3, 8000)
    path = write_list(tmp_path / "list.txt", ["a.wav|one two", "b.wav|one two", "c.wav|one two"])
    soundfile.write(tmp_path / "a.wav", np.stack([one, -one], 1), 8000)
    soundfile.write(tmp_path / "b.wav", np.stack([one, one], 1), 8000)
    soundfile.write(tmp_path / "c.wav", np.zeros((8000, 2)), 8000)
    found = prepare(path)
    assert list(found.utterances) == ["b"]
    assert "channels cancel each other" in found.refused["a"]
    assert "remix 1" in found.refused["a"]
    assert "audio silent" in found.refused["c"]


def test_files_that_go_on_after_the_end_that_they_name_are_said(tmp_path: Path) -> None:
    """libsndfile reads what the header says, so half of the speech was aligned with the whole text."""
    folder = tmp_path / "c"
    names = ("half", "cat", "tagged", "padded", "whole", "nothing")
    for name in names:
        noise(folder / f"{name}.wav", 2.0).with_suffix(".txt").write_text("hello there")
    whole = (folder / "whole.wav").read_bytes()
    start = whole.index(b"data") + 4
    for name, size in (("half", 16000), ("nothing", 0)):
        (folder / f"{name}.wav").write_bytes(whole[:start] + size.to_bytes(4, "little") + whole[start + 4 :])
    (folder / "cat.wav").write_bytes(whole + whole)
    (folder / "tagged.wav").write_bytes(whole + b"ID3\x03" + bytes(range(256)) * 9)
    (folder / "padded.wav").write_bytes(whole + b"LIST\4\0\0\0INFO" + bytes(5000))
    for name in ("ogg", "chained"):
        noise(folder / f"{name}.ogg", 2.0).with_suffix(".txt").write_text("hello there")
    (folder / "chained.ogg").write_bytes(
        (folder / "ogg.ogg").read_bytes() + (folder / "chained.ogg").read_bytes()
    )
    found = prepare(folder)
    assert set(found.refused) == {"nothing", "cat"}
    assert "nothing is in it by its header" in found.refused["nothing"]
    assert "2 files go on after the end that their header names (chained, half)" in found.said
