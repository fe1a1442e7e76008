"""K3: audio that is not the one meant: what a list calls it must be one file."""

from pathlib import Path

import pytest
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
