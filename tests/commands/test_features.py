"""`aligner features`."""

import json

import numpy as np
import pytest
import soundfile

from aligner.cli import main


@pytest.fixture
def recording(tmp_path):
    time_s = np.arange(8000) / 16000
    path = tmp_path / "tone.flac"
    soundfile.write(path, 0.3 * np.stack([np.sin(2 * np.pi * 500 * time_s)] * 2, 1), 16000)
    return str(path)


def run(capsys, *arguments):
    status = main(["features", *arguments, "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out.splitlines()[-1]) if status == 0 else captured.err


def test_a_picture_with_a_panel_for_each_frontend(capsys, recording, tmp_path):
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


def _size(path):
    import matplotlib.image

    return matplotlib.image.imread(path).shape[:2]


def test_axes_show_seconds_and_channel_names():
    import torch

    from aligner.commands.features import _draw
    from aligner.frontends import Mel

    mel = Mel("tacotron2")
    features = mel(torch.randn(1, 22050), torch.tensor([22050]))[0][0]
    axes = _draw({"mel": mel}, {"mel": features}, "x.wav").axes[0]
    assert axes.get_xlabel() == "seconds"
    assert axes.images[0].get_extent()[:2] == pytest.approx([-128 / 22050, (86 + 0.5) * 256 / 22050])
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == mel.channel_names[0]
    assert labels[-1] == mel.channel_names[-1]
    np.testing.assert_array_equal(axes.images[0].get_array(), features.T)


def test_the_picture_is_named_after_the_recording(capsys, recording, tmp_path, monkeypatch):
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
        (["--set", "delta=1"], "unexpected keyword argument 'delta'"),
        (["--frontend", "ssl", "--set", "checkpoint=none.pth"], "download the weights"),
        (["--hop", "20000", "--set", "n_fft=40000"], "shorter than one frame"),
        (["--out", "/proc/nowhere/x.png"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(capsys, recording, tmp_path, arguments, reason):
    if "--out" not in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "x.png")]
    status, error = run(capsys, recording, *arguments)
    assert status == 1
    assert reason in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"no sound"])
def test_what_is_no_recording_is_refused(capsys, tmp_path, content):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    status, error = run(capsys, str(path))
    assert status == 1
    assert "bad.wav" in error
