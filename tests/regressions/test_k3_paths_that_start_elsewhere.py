"""K3: paths that start elsewhere than the list: found and said, or refused with what to do."""

from pathlib import Path

import pytest
from regressions.prepared_corpora import TEXTS, noise, prepare, write_list


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://example.org/a.wav", "is a URL: download"),
        ("s3://bucket/a.wav", "is a URL: download"),
        ("C:\\data\\wavs\\a.wav", "is a path of Windows"),
        ("D:/data/a.wav", "is a path of Windows"),
        ("\\\\server\\share\\a.wav", "is a path of Windows"),
        ("DUMMY1/a.wav", "DUMMY1 stands for your folder of audio: give it as --audio-root"),
        ("LJSpeech-1.1/wavs/a.wav", "--audio-root says where else"),
        ("a", "--audio-root says where else"),
        ("/home/somebody/a.wav", "its path is absolute"),
        ("wavs/there.wav", "it is there from {clone}: give --audio-root {clone}"),
    ],
)
def test_what_is_not_there_says_what_to_do(tmp_path: Path, name: str, said: str) -> None:
    noise(tmp_path / "clone/wavs/there.wav")
    lines = [f"{name}|{TEXTS[0]}", f"good.wav|{TEXTS[1]}"]
    found = prepare(write_list(tmp_path / "clone/filelists/train.txt", lines, ["good.wav"]))
    assert set(found.utterances) == {"good"}
    ((_, reason),) = found.refused.items()
    assert said.format(clone=(tmp_path / "clone").resolve()) in reason


def test_vits_links_are_the_folder_of_audio(tmp_path: Path) -> None:
    for n in range(3):
        noise(tmp_path / f"wavs/{n}.wav")
    lines = [f"DUMMY1/{n}.wav|{TEXTS[n]}" for n in range(3)]
    found = prepare(write_list(tmp_path / "lists/train.txt", lines), "--audio-root", tmp_path / "wavs")
    assert len(found.utterances) == 3
    assert "audio paths used without their DUMMY folder: 3 (DUMMY1/0.wav)" in found.said


def test_paths_from_the_current_folder_are_used_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        noise(tmp_path / f"clone/wavs/{n}.wav")
    monkeypatch.chdir(tmp_path / "clone")
    lines = [f"wavs/{n}.wav|{TEXTS[n]}" for n in range(3)]
    found = prepare(write_list(tmp_path / "elsewhere/train.txt", lines))
    assert {u.audio for u in found.utterances.values()} == {
        tmp_path / f"clone/wavs/{n}.wav" for n in range(3)
    }
    assert "audio paths used from the current folder: 3 (wavs/0.wav)" in found.said
