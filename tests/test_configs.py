"""Every configuration is parsed, takes a step, saves, loads and aligns."""

from pathlib import Path

import pytest
import yaml

from aligner.corpus.prepared import load_utterances
from aligner.training.lightning_cli import LAST, train
from aligner.training.module import Aligner

CONFIGS = sorted(Path(__file__).resolve().parents[1].joinpath("configs").glob("*.yaml"))
# A step of each kind of encoder; a TextEncoder's own size is kept.
ONE_STEP = {
    "PhoneMixtures": ["--model.encoder.init_args.components", "[1, 2]"],
    "TextEncoder": ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1"],
}


def test_there_are_configurations() -> None:
    assert {"ljspeech", "ljspeech-glow", "smoke", "demo"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_trains_saves_loads_and_aligns(path: Path, tiny_corpus: Path, tmp_path: Path) -> None:
    encoder = yaml.safe_load(path.read_text())["model"]["encoder"]["class_path"].rpartition(".")[2]
    settings = ["--data.data_dir", str(tiny_corpus), "--trainer.accelerator", "cpu", *ONE_STEP[encoder]]
    train([path], settings, tmp_path)
    utterance = load_utterances(tiny_corpus)[0]
    (alignment,) = Aligner.load(tmp_path / LAST).align_utterances([utterance])
    spoken = [symbol for word in utterance.transcript.words for symbol in word.variants[0]]
    assert [t.symbol for t in alignment.tokens if t.word >= 0] == spoken
    assert alignment.tokens[-1].end_s == utterance.duration_s


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_opens_with_its_command(path: Path) -> None:
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    command = "aligner demo" if path.stem == "demo" else f"aligner fit --config {path.stem} "
    assert any(line.removeprefix("#").strip().startswith(command) for line in comment)
