"""`aligner fit`: settings, resuming, interrupting, what is printed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aligner.cli import main
from aligner.errors import AlignerError
from aligner.frontends import Yingram
from aligner.instantiate import in_full
from aligner.training.lightning_cli import LAST, find_config
from aligner.training.module import Aligner


@pytest.fixture(scope="module")
def trained(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    assert fit(tiny_corpus, out) == 0
    return out


def fit(corpus: Path, out: Path, *more: object, config: object = "smoke") -> int:
    return main([str(w) for w in ["fit", "--config", config, "--data", corpus, "--out", out, *more]])


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_run_leaves_a_checkpoint_its_settings_and_what_tensorboard_shows(
    trained: Path, tiny_corpus: Path
) -> None:
    aligner = Aligner.load(trained / LAST)
    assert aligner.symbols == ("sil", "a", "e", "m", "s", "t")
    assert aligner.hparams["text"] == {"phonemizer": "characters", "language": "en-us", "options": {}}
    settings = yaml.safe_load((trained / "config.yaml").read_text())
    assert settings["data"]["data_dir"] == str(tiny_corpus)
    assert settings["model"]["encoder"]["init_args"]["components"] == [1, 1, 1, 1, 2, 2]
    assert [path.name for path in (trained / "checkpoints").iterdir()] == ["last.ckpt"]
    events = b"".join(path.read_bytes() for path in trained.glob("events.out.tfevents.*"))
    assert all(name in events for name in (b"loss", b"phones_error_ms", b"words_error_ms", b"alignment"))


def test_the_last_line_is_json(tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tiny_corpus, tmp_path, "--json") == 0
    summary = last_line(capsys)
    assert (summary["checkpoint"], summary["epochs"]) == (str(tmp_path / LAST), 6)
    assert 0 < summary["phones_error_ms"] < 10
    assert 0 < summary["words_error_ms"] < 10
    assert summary["seconds"] > 0


def test_nothing_need_be_measured(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tiny_corpus, tmp_path, "--trainer.limit_val_batches", "0", "--json") == 0
    assert "phones_error_ms" not in last_line(capsys)


def test_ctrl_c_leaves_what_can_be_used_and_gone_on_from(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end = Aligner.on_validation_epoch_end

    def interrupted(self):
        end(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Aligner, "on_validation_epoch_end", interrupted)
    assert fit(tiny_corpus, tmp_path) == 130
    monkeypatch.undo()
    assert len(Aligner.load(tmp_path / LAST).symbols) == 6
    assert fit(tiny_corpus, tmp_path, "--resume", "--json") == 0
    assert last_line(capsys)["epochs"] == 6


def test_a_finished_run_is_not_overwritten(
    tiny_corpus: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / LAST).read_bytes()
    assert fit(tiny_corpus, trained) == 1
    assert "--resume" in capsys.readouterr().err
    assert (trained / LAST).read_bytes() == before


def test_there_must_be_a_checkpoint_to_go_on_from(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tiny_corpus, tmp_path, "--resume") == 1
    assert "no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--trainer.max_epoch", "3"], "max_epoch"),
        (["--model.sed", "1"], "model.sed"),
        (["--model.seed", "one"], "model.seed"),
        (["--data.batch_duration", "3"], "batch_duration"),
        (["--model.frontend.init_args.hop", "80"], "takes no hop"),
        (["--model.frontend.hop_samples", "80"], "under init_args"),
        (["--model.frontend.init_args.preset", "16khz"], "16khz"),
        (["--model.frontend.init_args.preset.name", "16khz"], "no such place in the frontend"),
        (["--model.frontend.init_args.frontends", '[{"class_path": "x.Y"}]'], "'x.Y' cannot be imported"),
        (["--model.frontend", "aligner.frontends.Mel"], "write '{class_path"),
        (["--model.encoder.class_path", "aligner.encoders.phone_mixtures.PhoneMixture"], "is not a"),
        (["--model.encoder.init_args.state", "2"], "takes no state"),
    ],
)
def test_settings_that_do_not_exist_are_refused(
    more: list[str], message: str, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tiny_corpus, tmp_path / "out", *more) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_inside_frontend_and_encoder_are_taken_over_those_of_the_file(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--model.frontend.init_args.floor", "1e-7", "--model.encoder.init_args.components=[1,2]"]
    assert fit(tiny_corpus, tmp_path, *more, "--model.seed=3", "--json") == 0
    assert last_line(capsys)["epochs"] == 2
    settings = Aligner.load(tmp_path / LAST).hparams
    assert settings["frontend"]["init_args"]["floor"] == 1e-7
    assert settings["frontend"]["init_args"]["cepstra"] == 13  # of the file
    assert settings["encoder"]["init_args"]["components"] == [1, 2]
    assert settings["seed"] == 3


MEL = {
    "class_path": "aligner.frontends.Mel",
    "init_args": {"preset": "16k-10ms", "frame_rule": "center", "mels": 23, "cepstra": 13},
}
YINGRAM = {
    "class_path": "aligner.frontends.Yingram",
    "init_args": {"sample_rate_hz": 16000, "hop_samples": 160, "frame_rule": "center", "bins": 8},
}
SHORT = ["--model.encoder.init_args.components", "[1, 2]", "--data.n_validation", "1"]


def combined(*frontends: dict[str, Any]) -> dict[str, Any]:
    return {"class_path": "aligner.frontends.Combine", "init_args": {"frontends": list(frontends)}}


def test_frontends_made_of_frontends_train_save_load_and_align(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mel-yingram.yaml"
    views = {"views": [r"c\d+$", "c[0-8]$|^yin"], "components": [1, 1, 1, 2]}
    encoder = {"class_path": "aligner.encoders.phone_mixtures.PhoneMixtures", "init_args": views}
    config.write_text(yaml.safe_dump({"model": {"frontend": combined(MEL, YINGRAM), "encoder": encoder}}))
    out = tmp_path / "run"
    assert (
        fit(tiny_corpus, out, "--model.frontend.init_args.frontends.1.init_args.bins", "9", config=config)
        == 0
    )
    aligner = Aligner.load(out / LAST)
    assert aligner.frontend.channel_names[-1].startswith("yin ")
    assert aligner.frontend.channels == 13 + 9
    wider = {**YINGRAM, "init_args": {**YINGRAM["init_args"], "bins": 9}}
    assert aligner.hparams["frontend"] == in_full(combined(MEL, wider))
    assert yaml.safe_load((out / "config.yaml").read_text())["model"]["frontend"] == combined(MEL, wider)
    capsys.readouterr()
    align = [
        "align",
        "--checkpoint",
        out / LAST,
        "--data",
        tiny_corpus,
        "--out",
        tmp_path / "aligned",
        "--json",
    ]
    assert main([str(word) for word in align]) == 0
    assert last_line(capsys)["aligned"] == 20
    assert main(["evaluate", str(tmp_path / "aligned"), "--reference", str(tiny_corpus), "--json"]) == 0
    assert last_line(capsys)["phones"]["mean_ms"] < 10


def test_a_whole_frontend_is_taken_over_the_file_s(tiny_corpus: Path, tmp_path: Path) -> None:
    assert fit(tiny_corpus, tmp_path, *SHORT, "--model.frontend", json.dumps(combined(MEL))) == 0
    assert Aligner.load(tmp_path / LAST).hparams["frontend"] == in_full(combined(MEL))


def test_features_kept_on_disk_are_not_computed_again(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    raw = Yingram.extract
    monkeypatch.setattr(Yingram, "extract", lambda self, *a: computed.append(1) or raw(self, *a))
    folder = str(tmp_path / "features")
    cached = {
        "class_path": "aligner.frontends.Cached",
        "init_args": {"frontend": combined(MEL, YINGRAM), "folder": folder},
    }
    for run, expected in (("first", True), ("second", False)):
        computed.clear()
        chosen = ["--model.frontend", json.dumps(cached), *SHORT]
        assert fit(tiny_corpus, tmp_path / run, *chosen) == 0
        assert bool(computed) == expected
    first, second = (Aligner.load(tmp_path / run / LAST).state_dict() for run in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    cached["init_args"]["frontend"] = combined(
        MEL, {**YINGRAM, "init_args": {**YINGRAM["init_args"], "bins": 9}}
    )
    assert fit(tiny_corpus, tmp_path / "third", "--model.frontend", json.dumps(cached), *SHORT) == 0
    assert computed


def test_several_configurations_are_laid_over_one_another(tiny_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("model: {seed: 5}\n")
    assert fit(tiny_corpus, tmp_path / "out", "--config", tmp_path / "more.yaml") == 0
    settings = Aligner.load(tmp_path / "out" / LAST).hparams
    assert (settings["seed"], settings["encoder"]["init_args"]["states"]) == (5, 1)


def test_what_is_missing_is_said(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--data", str(tiny_corpus)]) == 2
    assert "--config" in capsys.readouterr().err
    assert main(["fit", "--config", "smoke", "--out", str(tmp_path / "out")]) == 2
    assert "data_dir" in capsys.readouterr().err
    assert fit(tmp_path, tmp_path / "out") == 1
    assert "run `aligner prepare` first" in capsys.readouterr().err


def test_configurations_are_found_by_name() -> None:
    assert find_config("ljspeech").samefile(find_config("configs/ljspeech.yaml"))
    shipped = ", ".join(sorted(path.stem for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")))
    with pytest.raises(AlignerError, match=f"one of {shipped}"):
        find_config("ljspeach")
