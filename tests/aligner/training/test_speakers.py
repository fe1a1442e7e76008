"""Speakers whose phones differ: each is told apart, and whoever is not known is aligned all the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tiny_corpus import save_tiny_corpus, write_tiny_corpus

from aligner.aligner import Aligner
from aligner.checkpoint import read_checkpoint
from aligner.corpus.prepared import load_utterances
from aligner.corpus.recording import Recording, load_recording
from aligner.encoders import GlowTTSEncoder
from aligner.training.gradient import told_speakers
from aligner.training.lightning_cli import LAST, find_config, train

ENCODER = {"hidden": 16, "layers": 0, "prenet_layers": 1, "prenet_dropout": 0.0, "gaussians": 1}
GRADIENT = {"epochs": 12, "warm_start_epochs": 3, "learning_rate": 0.02, "warmup_steps": 1}
SETTINGS = [
    *("--model.encoder.class_path", "aligner.encoders.GlowTTSEncoder"),
    *("--model.encoder.init_args", json.dumps(ENCODER)),
    *("--model.training.class_path", "aligner.training.Gradient"),
    *("--model.training.init_args", json.dumps(GRADIENT)),
    *("--data.batch_duration_s", "6", "--trainer.accelerator", "cpu"),
]
OFF = ["--model.encoder.init_args.speakers", "[]"]
SHORT = ["--model.training.init_args.epochs", "1"]


def fit(corpus: Path, out: Path, *more: str) -> Path:
    train([find_config("smoke")], ["--data.data_dir", str(corpus), *SETTINGS, *more], out)
    return out / LAST


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speakers, whose formants differ by a fifth."""
    folder = tmp_path_factory.mktemp("two")
    write_tiny_corpus(folder, speakers={"anna": 1.0, "ben": 1.2})
    return folder


@pytest.fixture(scope="module")
def checkpoint(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(corpus, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def without_speakers(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checkpoint of a short run that takes all speakers for one."""
    return read_checkpoint(fit(corpus, tmp_path_factory.mktemp("off"), *OFF, *SHORT))


@pytest.fixture(scope="module")
def recordings(corpus: Path) -> list[Recording]:
    return [load_recording(utterance, 16000) for utterance in load_utterances(corpus)]


def log_likelihood(aligner: Aligner, recording: Recording) -> float:
    """Of the best path."""
    found = aligner.likelihoods(recording)
    state = np.repeat(np.arange(len(found.durations)), found.durations)
    return float(found.matrix[state, np.arange(len(state))].sum())


def test_the_right_speaker_is_likelier_than_nobody_and_nobody_than_the_wrong_one(
    checkpoint: Path, recordings: list[Recording]
) -> None:
    aligner = Aligner.load(checkpoint)
    others = {"anna": "ben", "ben": "anna"}
    for own in recordings:
        right, nobody, wrong = (
            log_likelihood(aligner, replace(own, speaker=name))
            for name in (own.speaker, "", others[own.speaker])
        )
        assert right > nobody > wrong, own.id


def test_whoever_is_not_known_is_nobody(checkpoint: Path, recordings: list[Recording]) -> None:
    aligner = Aligner.load(checkpoint)
    nobody, stranger = (
        aligner.align_batch([replace(r, speaker=s) for r in recordings]) for s in ("", "carl")
    )
    for own, other in zip(nobody, stranger, strict=True):
        assert (own.tokens, own.score) == (other.tokens, other.score)
        assert (own.speaker, other.speaker) == ("", "carl")


def test_a_checkpoint_says_who_was_heard_and_loads_again(
    checkpoint: Path, recordings: list[Recording], tmp_path: Path
) -> None:
    settings = read_checkpoint(checkpoint)["aligner"]
    assert settings["encoder"]["init_args"]["speakers"] == ["anna", "ben"]
    aligner = Aligner.load(checkpoint)
    aligner.save(tmp_path / "again.ckpt")
    again = Aligner.load(tmp_path / "again.ckpt")
    assert again.settings() == settings
    assert again.align_batch(recordings) == aligner.align_batch(recordings)


def test_align_takes_a_speaker(checkpoint: Path, corpus: Path, recordings: list[Recording]) -> None:
    aligner = Aligner.load(checkpoint)
    heard: list[tuple[str, ...]] = []
    encoder = aligner.encoder
    assert isinstance(encoder, GlowTTSEncoder)
    assert encoder.speaker_vectors is not None
    encoder.speaker_vectors.register_forward_hook(lambda module, given, found: heard.append(*given))
    utterance = load_utterances(corpus)[1]
    samples, rate_hz = soundfile.read(str(utterance.audio), dtype="float32")
    aligner.align(str(utterance.audio), utterance.transcript, speaker="ben")
    aligner.align(samples, utterance.transcript, rate_hz, "ben")
    aligner.align(samples, utterance.transcript, rate_hz)
    aligner.align_batch(recordings[:3])
    assert [tuple(own) for own in heard] == [("ben",), ("ben",), ("",), ("anna", "ben", "anna")]


@pytest.mark.parametrize("speakers", [["anna"], ["anna", ""]])
def test_with_one_speaker_all_is_as_without_speakers(
    speakers: list[str], corpus: Path, without_speakers: dict[str, Any], tmp_path: Path
) -> None:
    renamed = [replace(u, speaker=speakers[n % len(speakers)]) for n, u in enumerate(load_utterances(corpus))]
    save_tiny_corpus(tmp_path / "one", renamed)
    found = read_checkpoint(fit(tmp_path / "one", tmp_path / "run", *SHORT))
    assert found["aligner"] == without_speakers["aligner"]
    ours, theirs = found["state_dict"], without_speakers["state_dict"]
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_a_checkpoint_without_speakers_is_as_it_was_before_there_were_any(
    without_speakers: dict[str, Any], tmp_path: Path
) -> None:
    assert "speakers" not in without_speakers["aligner"]["encoder"]["init_args"]
    torch.save(without_speakers, tmp_path / "older.ckpt")
    encoder = Aligner.load(tmp_path / "older.ckpt").encoder
    assert isinstance(encoder, GlowTTSEncoder)
    assert encoder.speaker_vectors is None


def test_in_some_utterances_of_every_epoch_the_encoder_is_not_told_who_speaks(corpus: Path) -> None:
    (one, *_) = load_utterances(corpus)
    many = [replace(one, id=f"u{n}", speaker=f"s{n % 7}") for n in range(4000)]
    first, again, second = (told_speakers(many, draw) for draw in ("0 1", "0 1", "0 2"))
    assert first == again != second
    assert told_speakers(many[17:400:5], "0 1") == first[17:400:5]
    for told in (first, second):
        assert 0.13 < told.count("") / len(many) < 0.17
        assert all(own in ("", utterance.speaker) for own, utterance in zip(told, many, strict=True))
    both = sum(a == b == "" for a, b in zip(first, second, strict=True))
    assert 0.01 < both / len(many) < 0.04  # drawn anew: 0.15 squared
