"""K7: the machine. No home, no such device, no room, a file in the way, a setting that is none: one line."""

import os
import re
from pathlib import Path

import pytest

from aligner.caches import find_place
from aligner.cli import main
from aligner.devices import devices

VARIABLES = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")


def one_line(status: int, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command says when it fails."""
    try:
        ended = main([str(word) for word in words])
    except SystemExit as exit:
        ended = exit.code  # type: ignore[assignment]
    assert ended == status
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def fit(tiny_corpus: Path, tmp_path: Path) -> list[object]:
    return ["fit", "--config", "smoke", "--data", tiny_corpus, "--out", tmp_path / "out"]


@pytest.fixture
def align(tiny_corpus: Path, checkpoint: Path, tmp_path: Path) -> list[object]:
    return ["align", "--checkpoint", checkpoint, "--data", tiny_corpus, "--out", tmp_path / "out"]


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null"])
def test_libraries_cache_elsewhere_where_there_is_no_home(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # to be put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setenv("MPLCONFIGDIR", "/of/the/user")
    monkeypatch.setattr("os.makedirs", lambda *args, **kwargs: None)
    monkeypatch.setenv("HOME", home)
    find_place()
    assert os.environ["MPLCONFIGDIR"] == "/of/the/user"
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent.is_dir()


def test_a_home_that_can_be_written_stays_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    find_place()
    assert not any(name in os.environ for name in VARIABLES)


@pytest.mark.parametrize("device", ["mps", "gpu", "meta", "cuda:99", "cpu:7", "0"])
def test_a_device_that_is_not_there_is_one_line_with_those_there_are(
    device: str, align: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    if device in devices():
        pytest.skip(f"this machine has {device}")
    assert ", ".join(devices()) in one_line(1, capsys, *align, "--device", device)


@pytest.mark.parametrize("accelerator", ["tpu", "abacus"])
def test_so_it_is_in_training(
    accelerator: str, fit: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cpu" in one_line(2, capsys, *fit, "--trainer.accelerator", accelerator)


@pytest.mark.parametrize("place", ["file", "file/below", "nowhere"])
def test_an_output_that_cannot_be_written_is_one_line(
    place: str,
    fit: list[object],
    align: list[object],
    tiny_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    out = "/proc/nowhere" if place == "nowhere" else tmp_path / place
    commands = {
        "fit": fit[:-1],
        "align": align[:-1],
        "prepare": ["prepare", tiny_corpus / "cuts.jsonl.gz", "--phonemizer", "characters", "--out"],
        "export": ["export", tiny_corpus, "--format", "textgrid", "--out"],
        "demo": ["demo", "--out"],
    }
    for name, words in commands.items():
        assert one_line(1, capsys, *words, out).startswith(f"aligner {name}: ")
    audio = next(tiny_corpus.rglob("*.wav"))
    picture = Path(out) / "a.png"
    assert str(out) in one_line(1, capsys, "features", audio, "--out", picture)
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["align", "--oout", "x"], "--out"),
        (["align", "--formats", "npy"], "--format"),
        (["prepare", "x", "--out", "y", "--langauge", "de"], "--language"),
        (["export", "x", "--out", "y", "--format", "json", "--wav", "z"], "--wavs"),
    ],
)
def test_unknown_options_are_one_line_with_the_near_ones(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    complete = ["--checkpoint", "c", "--data", "d", "--out", "o"] if words[0] == "align" else []
    line = one_line(2, capsys, *words, *complete)
    assert "unrecognized arguments" in line
    assert f"did you mean {meant}" in line


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("--trainer.acelerator=cpu", "trainer.accelerator"),
        ("--data.batch_duration=3", "data.batch_duration_s"),
        ("--ouut=3", "out"),
        ("--resum", "resume"),
        ("--model.training.init_args.epoch=3", "epochs"),
        ("--model.encoder.init_args.state=3", "states"),
        ("--model.frontend.init_args.hop=3", "hop_samples"),
        ("--model.sed=3", "model.seed"),
    ],
)
def test_unknown_settings_are_one_line_with_the_near_ones(
    setting: str, meant: str, fit: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert meant in one_line(2, capsys, *fit, setting).partition("did you mean")[2]


@pytest.mark.parametrize(
    "setting",
    [
        *("max_epochs=3", "min_epochs=3", "max_steps=3", "max_time=00:00:01:00", "fast_dev_run=true"),
        *("gradient_clip_val=1", "accumulate_grad_batches=2", "enable_checkpointing=false"),
        *("barebones=true", "default_root_dir=/x", "reload_dataloaders_every_n_epochs=2"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(
    setting: str, fit: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    name = setting.partition("=")[0]
    assert f"trainer.{name}: " in one_line(2, capsys, *fit, f"--trainer.{setting}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no settings"),
        (b"- a\n", "holds no settings"),
        (b"3", "holds no settings"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"model:\n\tx: 1\n", "not YAML: .* in line 2"),
        (b"model: [", "not YAML"),
        (b"model: !!python/object:os.system {}\n", "not YAML"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(
    content: bytes, why: str, fit: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    line = one_line(2, capsys, *fit, "--config", path)
    assert line.startswith(f"aligner fit: {path}: ")
    assert re.search(why, line)


@pytest.mark.parametrize(
    "setting",
    [
        *("mels=x", "mels=[", "mels=[1,2]", "mels={a: 1}", "mels=-3", "melz=3", "preset=nope"),
        *("mels=!!python/object:os.system x", "fmax_hz=99999", "deltas"),
    ],
)
def test_wrong_settings_of_features_are_one_line(
    setting: str, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = next(tiny_corpus.rglob("*.wav"))
    line = one_line(1, capsys, "features", audio, "--out", tmp_path / "f.png", "--set", setting)
    assert setting.partition("=")[0] in line


def test_a_folder_that_is_no_corpus_is_called_the_same_everywhere(
    fit: list[object], align: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {
        one_line(1, capsys, *words[:-4], "--data", tmp_path, *words[-2:]).partition(": ")[2]
        for words in (fit, align)
    }
    assert said == {f"{tmp_path}: not a prepared corpus (no corpus.json); run `aligner prepare` first"}


def test_there_is_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("aligner ")
