"""Every configuration is parsed, takes a step, saves, loads and aligns."""

from pathlib import Path

import pytest
import yaml

from aligner.aligner import Aligner
from aligner.corpus.prepared import load_utterances
from aligner.corpus.recording import load_recording
from aligner.training.lightning_cli import LAST, train

CONFIGS = sorted(Path(__file__).resolve().parents[1].joinpath("configs").glob("*.yaml"))
# A step of each kind of encoder; GlowTTSEncoder keeps its own size.
ONE_STEP = {
    "PhoneMixtures": ["--model.training.init_args.epochs", "2"],
    "GlowTTSEncoder": [
        *("--model.training.init_args.epochs", "1", "--model.training.init_args.warm_start_epochs", "1"),
        *("--trainer.limit_train_batches", "1"),
    ],
}


def test_there_are_configurations() -> None:
    assert {"ljspeech", "ljspeech-glow", "smoke", "demo"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_trains_saves_loads_and_aligns(path: Path, tiny_corpus: Path, tmp_path: Path) -> None:
    encoder = yaml.safe_load(path.read_text())["model"]["encoder"]["class_path"].rpartition(".")[2]
    settings = ["--data.data_dir", str(tiny_corpus), "--trainer.accelerator", "cpu", *ONE_STEP[encoder]]
    train([path], settings, tmp_path)
    aligner = Aligner.load(tmp_path / LAST)
    utterance = load_utterances(tiny_corpus)[0]
    (alignment,) = aligner.align_batch([load_recording(utterance, aligner.frontend.sample_rate_hz)])
    spoken = [symbol for word in utterance.transcript.words for symbol in word.variants[0]]
    assert [t.symbol for t in alignment.tokens if t.word >= 0] == spoken
    assert alignment.tokens[-1].end_s == utterance.duration_s


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_opens_with_its_command(path: Path) -> None:
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    command = "aligner demo" if path.stem == "demo" else f"aligner fit --config {path.stem} "
    assert any(line.removeprefix("#").strip().startswith(command) for line in comment)
