"""`aligner fit`: settings, resuming, interrupting, what is printed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aligner.aligner import Aligner
from aligner.cli import main
from aligner.errors import AlignerError
from aligner.frontends import Yingram
from aligner.training.lightning_cli import LAST, find_config
from aligner.training.module import AlignerModule


@pytest.fixture(scope="module")
def trained(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    assert fit(tiny_corpus, out) == 0
    return out


def fit(corpus: Path, out: Path, *more: object, config: object = "smoke") -> int:
    return main([str(w) for w in ["fit", "--config", config, "--data", corpus, "--out", out, *more]])


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_run_leaves_checkpoint_settings_and_tensorboard(trained: Path, tiny_corpus: Path) -> None:
    aligner = Aligner.load(trained / LAST)
    assert aligner.vocabulary.symbols == ("sil", "a", "e", "m", "s", "t")
    assert aligner.settings()["text"] == {"phonemizer": "characters", "language": "en-us", "options": {}}
    settings = yaml.safe_load((trained / "config.yaml").read_text())
    assert settings["data"]["data_dir"] == str(tiny_corpus)
    assert settings["model"]["training"]["init_args"]["gaussians"] == {"4": 2}
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
    end = AlignerModule.on_validation_epoch_end

    def interrupted(self: AlignerModule) -> None:
        end(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(AlignerModule, "on_validation_epoch_end", interrupted)
    assert fit(tiny_corpus, tmp_path) == 130
    monkeypatch.undo()
    assert len(Aligner.load(tmp_path / LAST).vocabulary.symbols) == 6
    assert fit(tiny_corpus, tmp_path, "--resume", "--json") == 0
    assert last_line(capsys)["epochs"] == 6


def test_a_run_can_resume_from_another_checkpoint(
    tiny_corpus: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tiny_corpus, tmp_path, "--resume", trained / LAST, "--json") == 0
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
        (["--ckpt_path", "last"], "ckpt_path"),
        (["--trainer.max_epoch", "3"], "max_epoch"),
        (["--model.sed", "1"], "model.sed"),
        (["--model.seed", "one"], "model.seed"),
        (["--data.batch_duration", "3"], "batch_duration"),
        (["--model.frontend.init_args.hop", "80"], "'hop' is not accepted"),
        (["--model.frontend.hop", "80"], "'hop' is not accepted"),
        (["--model.frontend.init_args.preset", "16khz"], "16khz"),
        (["--model.frontend.init_args.preset.name", "16khz"], "preset"),
        (["--model.frontend", '{"class_path": "x.Y"}'], "No module named 'x'"),
        (["--model.frontend", "aligner.encoders.PhoneMixtures"], "PhoneMixtures"),
        (["--model.encoder.class_path", "aligner.encoders.PhoneMixture"], "no attribute 'PhoneMixture'"),
        (["--model.encoder.init_args.state", "2"], "'state' is not accepted"),
        (["--model.training.init_args.components", "[1]"], "'components' is not accepted"),
        (["--trainer.max_epochs", "3"], "is model.training.init_args.epochs"),
        (["--trainer.max_epochs", "abc"], "trainer.max_epochs: 'abc' is not a whole number or null"),
        (["--data.batch_duration_s", "nan"], "data.batch_duration_s: 'nan' is not a number or null"),
        (["--data.batch_duration_s", ".nan"], "must be above 0"),
        (["--model.refine", "7"], "model.refine: '7' is not true or false"),
        (["--model.training.init_args.epochs", "x"], "model.training.init_args.epochs: 'x' is not a whole"),
        (["--model.seed", "-1"], "model.seed is -1: must be a whole number from 0 to 4294967295"),
        (["--data.seed", "4294967296"], "data.seed is 4294967296: must be"),
        (["--seed_everything", "-3"], "seed_everything is -3: must be"),
    ],
)
def test_settings_that_do_not_exist_are_refused(
    more: list[str], message: str, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tiny_corpus, tmp_path / "out", *more) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_of_parts_override_the_file(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--model.frontend.init_args.floor", "1e-7", "--model.training.init_args.epochs=2"]
    assert fit(tiny_corpus, tmp_path, *more, "--model.seed=3", "--json") == 0
    assert last_line(capsys)["epochs"] == 2
    settings = Aligner.load(tmp_path / LAST).settings()
    assert settings["frontend"]["init_args"]["floor"] == 1e-7
    assert settings["frontend"]["init_args"]["mels"] == 23  # of the file
    model = yaml.safe_load((tmp_path / "config.yaml").read_text())["model"]
    assert model["training"]["init_args"]["epochs"] == 2
    assert model["seed"] == 3


MEL = {
    "class_path": "aligner.frontends.Mel",
    "init_args": {"preset": "16k-10ms", "frame_rule": "center", "mels": 23, "cepstra": 13},
}
YINGRAM = {
    "class_path": "aligner.frontends.Yingram",
    "init_args": {"sample_rate_hz": 16000, "hop_samples": 160, "frame_rule": "center", "bins": 8},
}
SHORT = ["--model.training.init_args.epochs", "2", "--data.n_validation", "1"]


def combined(*frontends: dict[str, Any]) -> dict[str, Any]:
    return {"class_path": "aligner.frontends.Combine", "init_args": {"frontends": list(frontends)}}


def test_frontends_made_of_frontends_train_save_load_and_align(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mel-yingram.yaml"
    streams = {"streams": [r"c\d+$", "c[0-8]$|^yin"]}
    model = {
        "frontend": combined(MEL, YINGRAM),
        "encoder": {"class_path": "aligner.encoders.PhoneMixtures", "init_args": streams},
        "training": {"class_path": "aligner.training.EM", "init_args": {"epochs": 4, "gaussians": {3: 2}}},
    }
    config.write_text(yaml.safe_dump({"model": model}))
    out = tmp_path / "run"
    wider = {**YINGRAM, "init_args": {**YINGRAM["init_args"], "bins": 9}}
    parts = json.dumps([MEL, wider])
    assert fit(tiny_corpus, out, "--model.frontend.init_args.frontends", parts, config=config) == 0
    aligner = Aligner.load(out / LAST)
    assert aligner.frontend.channel_names[-1].startswith("yin ")
    assert aligner.frontend.channels == 13 + 9
    mel, yingram = aligner.settings()["frontend"]["init_args"]["frontends"]
    assert MEL["init_args"].items() <= mel["init_args"].items()
    assert wider["init_args"].items() <= yingram["init_args"].items()
    written = yaml.safe_load((out / "config.yaml").read_text())["model"]["frontend"]
    assert written["init_args"]["frontends"][1]["init_args"]["bins"] == 9
    capsys.readouterr()
    align = ["align", "--checkpoint", out / LAST, "--data", tiny_corpus, "--json"]
    assert main([*map(str, align), "--out", str(tmp_path / "aligned")]) == 0
    assert last_line(capsys)["aligned"] == 20
    assert main(["evaluate", str(tmp_path / "aligned"), "--reference", str(tiny_corpus), "--json"]) == 0
    assert last_line(capsys)["phones"]["mean_ms"] < 10


def test_a_whole_frontend_is_taken_over_the_file_s(tiny_corpus: Path, tmp_path: Path) -> None:
    assert fit(tiny_corpus, tmp_path, *SHORT, "--model.frontend", json.dumps(combined(MEL))) == 0
    (mel,) = Aligner.load(tmp_path / LAST).settings()["frontend"]["init_args"]["frontends"]
    assert mel["class_path"] == "aligner.frontends.Mel"
    assert MEL["init_args"].items() <= mel["init_args"].items()


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
    model = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["model"]
    assert (model["seed"], model["encoder"]["init_args"]["states"]) == (5, 1)


def test_what_is_missing_is_said(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--data", str(tiny_corpus)]) == 2
    assert "--config" in capsys.readouterr().err
    assert main(["fit", "--config", "smoke", "--out", str(tmp_path / "out")]) == 2
    assert "required: --data" in capsys.readouterr().err
    assert fit(tmp_path, tmp_path / "out") == 1
    assert "run `aligner prepare` first" in capsys.readouterr().err


def test_configurations_are_found_by_name() -> None:
    assert find_config("ljspeech").samefile(find_config("configs/ljspeech.yaml"))
    shipped = ", ".join(sorted(path.stem for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")))
    with pytest.raises(AlignerError, match=f"one of {shipped}"):
        find_config("ljspeach")


@pytest.mark.parametrize("config", ["ljspeech", "ljspeech-glow", "ljspeech-nansy"])
def test_print_config_explains_every_setting(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["fit", "--config", config, "--print_config"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["model"]["encoder"]["class_path"].startswith("aligner.encoders.")
    unexplained, comment = [], ""
    for line in map(str.strip, printed[printed.index("\nmodel:") + 7 :].splitlines()):
        if line.startswith("#"):
            comment += line.removeprefix("#")
        elif re.match(r"[a-z_]+:", line):
            if not line.startswith(("class_path:", "data:")) and comment.lstrip()[:1] in ("", "("):
                unexplained.append(line)
            comment = ""
    assert unexplained == []
