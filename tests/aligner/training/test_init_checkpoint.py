"""Training that starts from another aligner."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_corpus import save_tiny_corpus

from aligner.aligner import Aligner
from aligner.checkpoint import read_checkpoint
from aligner.cli import main
from aligner.corpus.prepared import INFO, load_utterances
from aligner.text.transcript import Transcript, Word
from aligner.training import EM
from aligner.training.lightning_cli import LAST

EPOCHS = "--model.training.init_args.epochs"


def fit(corpus: Path, out: Path, *more: object, config: str = "smoke") -> int:
    words = ["fit", "--config", config, "--data", corpus, "--out", out, "--trainer.accelerator", "cpu", *more]
    return main([str(word) for word in words])


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def with_more_symbols(tiny_corpus: Path, folder: Path, *more: str) -> Path:
    """The tiny corpus with symbols in its vocabulary that no utterance has."""
    save_tiny_corpus(folder, load_utterances(tiny_corpus))
    info = json.loads((folder / INFO).read_text())
    (folder / INFO).write_text(json.dumps(info | {"symbols": [*info["symbols"], *more]}))
    return folder


@pytest.fixture(scope="module")
def wider(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An aligner that knows a symbol more than the tiny corpus has."""
    folder = tmp_path_factory.mktemp("wider")
    assert fit(with_more_symbols(tiny_corpus, folder / "corpus", "x"), folder / "run", EPOCHS, 5) == 0
    return folder / "run" / LAST


def test_one_epoch_from_an_aligner_is_as_good_as_six_from_nothing(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {}
    for name, more in {
        "nothing": [],
        "aligner": ["--init-checkpoint", checkpoint],
        "six": [EPOCHS, 6],
    }.items():
        capsys.readouterr()
        assert fit(tiny_corpus, tmp_path / name, EPOCHS, 1, *more, "--json") == 0
        figures[name] = last_line(capsys)
    assert [figures[name]["epochs"] for name in figures] == [1, 1, 6]
    assert figures["aligner"]["phones_error_ms"] < figures["six"]["phones_error_ms"] + 1
    assert figures["aligner"]["phones_error_ms"] < figures["nothing"]["phones_error_ms"]


def test_it_takes_fewer_epochs_unless_they_are_given() -> None:
    for given, flat, going_on in ((None, 14, 4), (9, 9, 9)):
        method = EM(epochs=given)
        assert method.epochs == flat
        method.start_from_aligner()
        assert method.epochs == going_on


def test_symbols_that_the_corpus_lacks_stay_known(tiny_corpus: Path, wider: Path, tmp_path: Path) -> None:
    assert fit(tiny_corpus, tmp_path / "out", EPOCHS, 2, "--init-checkpoint", wider) == 0
    before, after = Aligner.load(wider), Aligner.load(tmp_path / "out" / LAST)
    assert after.vocabulary.symbols == before.vocabulary.symbols == ("sil", "a", "e", "m", "s", "t", "x")
    (old,), (new,) = before.encoder.streams, after.encoder.streams
    torch.testing.assert_close(new.phones.mean[-1], old.phones.mean[-1], rtol=0, atol=1e-4)
    torch.testing.assert_close(new.phones.variance[-1], old.phones.variance[-1], rtol=0, atol=1e-4)
    assert not torch.allclose(new.phones.mean[:-1], old.phones.mean[:-1], rtol=0, atol=1e-3)
    audio = str(load_utterances(tiny_corpus)[0].audio)
    spoken = after.align(audio, Transcript((Word("x", (("x",),)),)))
    assert [t.symbol for t in spoken.tokens if t.word == 0] == ["x"]


def test_an_interrupted_run_goes_on_as_it_began(
    tiny_corpus: Path, wider: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    begun = [EPOCHS, 2, "--init-checkpoint", wider]
    assert fit(tiny_corpus, whole, *begun) == 0
    hours_in = EM.hours_in

    def interrupted(self: EM, epoch: int) -> float | None:
        if epoch == 1:
            raise KeyboardInterrupt
        return hours_in(self, epoch)

    monkeypatch.setattr(EM, "hours_in", interrupted)
    assert fit(tiny_corpus, torn, *begun) == 130
    monkeypatch.undo()
    assert fit(tiny_corpus, torn, EPOCHS, 2, "--resume") == 0
    first, second = (read_checkpoint(out / LAST)["state_dict"] for out in (whole, torn))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_symbols_that_the_aligner_lacks_are_named(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_more_symbols(tiny_corpus, tmp_path / "more", "x", "ʒ")
    assert fit(folder, tmp_path / "out", "--init-checkpoint", checkpoint) == 1
    error = capsys.readouterr().err
    assert (
        "has symbols that the aligner to start from has not learnt: x ʒ; prepare it with --vocabulary"
        in error
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("config", "more", "what"),
    [
        ("smoke", ["--resume"], "cannot combine --resume with --init-checkpoint"),
        ("smoke", ["--init-alignments", "x"], "cannot combine --init-alignments with --init-checkpoint"),
        (
            "smoke",
            ["--model.encoder.init_args.states", 2],
            "trained with another encoder than these settings",
        ),
        ("demo", [], "trained with another frontend and another encoder"),
        ("ljspeech-glow", [], "another frontend and another encoder"),
    ],
)
def test_what_does_not_go_with_it_is_said_before_any_work(
    config: str,
    more: list[object],
    what: str,
    tiny_corpus: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert fit(tiny_corpus, out, "--init-checkpoint", checkpoint, *more, config=config) == 1
    assert what in capsys.readouterr().err
    assert not out.exists()


def test_a_corpus_of_another_reading_is_refused(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "other"
    save_tiny_corpus(folder, load_utterances(tiny_corpus))
    info = json.loads((folder / INFO).read_text())
    (folder / INFO).write_text(json.dumps(info | {"phonemizer": "gruut"}))
    assert fit(folder, tmp_path / "out", "--init-checkpoint", checkpoint) == 1
    assert "was trained on texts prepared with --phonemizer characters" in capsys.readouterr().err


def test_a_run_that_is_there_is_not_begun_anew(
    tiny_corpus: Path, trained_run: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = checkpoint.read_bytes()
    assert fit(tiny_corpus, trained_run, "--init-checkpoint", checkpoint) == 1
    assert "continue it with --resume" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before
