"""`aligner features`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from aligner.cli import main


@pytest.fixture
def recording(tmp_path: Path) -> str:
    time_s = np.arange(8000) / 16000
    path = tmp_path / "tone.flac"
    soundfile.write(path, 0.3 * np.stack([np.sin(2 * np.pi * 500 * time_s)] * 2, 1), 16000)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main(["features", *arguments, "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out.splitlines()[-1]) if status == 0 else captured.err


def test_a_picture_with_a_panel_for_each_frontend(
    capsys: pytest.CaptureFixture[str], recording: str, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "seen.png"
    settings = ["--set", "mel.mels=40", "yingram.preset=nansy-midi", "--hop", "220"]
    status, summary = run(capsys, recording, "--frontend", "mel+yingram+energy", *settings, "--out", str(out))
    assert status == 0
    assert summary["channels"] == {"mel": 40, "yingram": 80, "energy": 1}
    assert summary["frames"] == 11025 // 220
    assert summary["seconds"] == pytest.approx(0.5)
    assert out.read_bytes()[:4] == b"\x89PNG"
    height, width = _size(out)
    assert height > 700
    _, summary = run(capsys, recording, "--out", str(out))
    assert _size(out)[0] < height / 2


def _size(path: Path) -> tuple[int, int]:
    import matplotlib.image

    return matplotlib.image.imread(path).shape[:2]


def test_the_picture_is_named_after_the_recording(
    capsys: pytest.CaptureFixture[str], recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, summary = run(capsys, recording, "--sample-rate", "8000", "--hop", "80", "--frontend", "nansy")
    assert status == 0
    assert summary["out"] == "tone-features.png"
    assert (tmp_path / "tone-features.png").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--frontend", "mels"], "of mel, yingram"),
        (["--frontend", "mel+mel"], "at most once"),
        (["--frontend", "mel+yingram", "--set", "bins=3"], "FRONTEND.NAME=VALUE"),
        (["--set", "deltas"], "NAME=VALUE"),
        (["--set", "deltas=3"], "must be 0, 1 or 2"),
        (["--set", "delta=1"], "--frontend mel has no setting 'delta'; did you mean deltas"),
        (["--set", "nothing=1"], "no setting 'nothing'; it has preset, "),
        (["--set", "mels=abc"], "--set mels: 'abc' is not a whole number or null"),
        (["--frontend", "mel+ssl", "--set", "mel.mels=abc"], "--frontend mel: --set mels"),
        (["--frontend", "ssl"], "--frontend ssl needs --set checkpoint=VALUE"),
        (["--frontend", "ssl", "--set", "checkpoint=none.pth"], "download the weights"),
        (["--hop", "20000", "--set", "n_fft=40000"], "shorter than one frame"),
        (["--out", "/proc/nowhere/x.png"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    capsys: pytest.CaptureFixture[str], recording: str, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    if "--out" not in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "x.png")]
    status, error = run(capsys, recording, *arguments)
    assert status == 1
    assert reason in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"no sound"])
def test_what_is_no_recording_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    status, error = run(capsys, str(path))
    assert status == 1
    assert "bad.wav" in error
