"""K6: one bad recording, text or frame costs its own utterance, in training and in alignment."""

import gzip
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_corpus import save_tiny_corpus, with_symbols, write_tiny_corpus

from aligner.align_batches import align_usable
from aligner.aligner import Aligner
from aligner.cli import main
from aligner.corpus.prepared import CUTS, INFO, Utterance, load_utterances
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.training.lightning_cli import LAST

GLOW = {"hidden": 16, "layers": 1, "filter_channels": 16, "prenet_layers": 1}
SMOKE = ["--config", "smoke", "--model.training.init_args.epochs", "3"]
METHODS = {
    "mixtures": SMOKE,
    "glow": [
        *("--config", "ljspeech-glow", "--model.encoder.init_args", json.dumps(GLOW)),
        *("--model.training.init_args.epochs", "2", "--model.training.init_args.warm_start_epochs", "2"),
    ],
}


def run(*words: object) -> int:
    return main([str(word) for word in words])


def fit(corpus: Path, out: Path, *more: object) -> int:
    settings = ["--data.batch_duration_s", "6", "--trainer.accelerator", "cpu", "--json"]
    return run("fit", "--data", corpus, "--out", out, *settings, *more)


def align(checkpoint: Path, corpus: Path, out: Path, *more: object) -> int:
    settings = ["--device", "cpu", "--batch-duration", 6, "--json"]
    return run("align", "--checkpoint", checkpoint, "--data", corpus, "--out", out, *settings, *more)


def reasons(listing: Path) -> dict[str, str]:
    rows = [line.split("\t") for line in listing.read_text().splitlines()[1:]]
    return {id: reason for id, reason in rows}


def summary(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def copied(utterance: Utterance, id: str, folder: Path, **changes: object) -> Utterance:
    """The same utterance with a sound file of its own."""
    audio = folder / f"{id}.wav"
    samples, rate_hz = soundfile.read(utterance.audio)
    soundfile.write(audio, samples, rate_hz, subtype="FLOAT")
    return replace(utterance, id=id, audio=audio, reference=None, **changes)  # type: ignore[arg-type]


EXPECTED = {
    "lost": "lost.wav",
    "damaged": "damaged.wav",
    "cut": "shorter than when prepared",
    "folder": "folder.wav",
    "nan": "not finite numbers",
    "rate": "is not the file it was",
    "long": "800 tokens in",
    "short": " frame",
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight good utterances and as many that something happened to since they were prepared."""
    folder = tmp_path_factory.mktemp("faulty")
    good = write_tiny_corpus(folder, 8)
    bad = [copied(good[0], id, folder) for id in ("lost", "damaged", "cut", "folder", "nan", "rate")]
    bad.append(with_symbols(good[2], "long", ("s", "e") * 400))
    bad.append(copied(good[0], "short", folder, duration_s=3 / 16000))
    save_tiny_corpus(folder, [*good, *bad])
    save_tiny_corpus(folder / "hopeless", [bad[0], bad[1], bad[6]])
    (folder / "lost.wav").unlink()
    (folder / "damaged.wav").write_bytes(b"not sound")
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:9000])
    (folder / "folder.wav").unlink()
    (folder / "folder.wav").mkdir()
    samples, rate_hz = soundfile.read(folder / "nan.wav")
    samples[100:200] = np.nan
    soundfile.write(folder / "nan.wav", samples, rate_hz, subtype="FLOAT")
    soundfile.write(folder / "rate.wav", samples, 8000)
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_an_utterance_that_cannot_be_used_costs_no_other(
    method: str, faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(faulty, tmp_path / "run", *METHODS[method]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out.splitlines()[-1])["refused"] == len(EXPECTED)
    assert "epoch 1/" in shown.out  # a line an epoch, since nobody watches
    assert "not trained on: " in shown.err
    refused = reasons((tmp_path / "run" / LAST).with_name("refused.tsv"))
    assert refused.keys() == EXPECTED.keys()
    assert all(EXPECTED[id] in refused[id] for id in EXPECTED)

    assert align(tmp_path / "run" / LAST, faulty, tmp_path / "out") == 0
    assert summary(capsys)["aligned"] == 8
    failed = reasons(tmp_path / "out" / "failed.tsv")
    assert failed.keys() == EXPECTED.keys()
    assert all(EXPECTED[id] in failed[id] for id in EXPECTED)

    assert run("evaluate", "--checkpoint", tmp_path / "run" / LAST, "--data", faulty, "--device", "cpu") == 0


def test_strict_makes_an_error_of_it(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(faulty, tmp_path, *SMOKE, "--strict") == 1
    assert f"{len(EXPECTED)} utterances were not trained on" in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / LAST).exists()


def test_where_every_utterance_fails_there_is_one_error(
    faulty: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(faulty / "hopeless", tmp_path / "run", *SMOKE) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing to train on: 3 utterances refused, such as " in line
    assert len(reasons((tmp_path / "run" / LAST).with_name("refused.tsv"))) == 3
    assert align(checkpoint, faulty / "hopeless", tmp_path / "out") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "3 of 3 utterances not aligned, such as " in line


@pytest.fixture(scope="module")
def with_sevens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A corpus, and the utterances whose length is a multiple of 7 (see `own_frontends`)."""
    folder = tmp_path_factory.mktemp("sevens")
    utterances = write_tiny_corpus(folder, 8)
    for utterance in utterances[:2]:
        samples, rate_hz = soundfile.read(utterance.audio)
        soundfile.write(utterance.audio, samples[: len(samples) // 7 * 7], rate_hz)
    now = [replace(u, duration_s=len(soundfile.read(u.audio)[0]) / 16000, reference=None) for u in utterances]
    save_tiny_corpus(folder, now)
    sevens = {utterance.id for utterance in now if utterance.n_samples % 7 == 0}
    assert 2 <= len(sevens) < 6
    return folder, sevens


@pytest.mark.parametrize(("name", "why"), [("NanFor7", "not finite"), ("RaisesFor7", "KeyError: 'pitch'")])
@pytest.mark.parametrize("perturbed", [False, True])
def test_a_frontend_of_one_s_own_costs_what_it_fails_for(
    name: str, why: str, perturbed: bool, with_sevens: tuple[Path, set[str]], tmp_path: Path
) -> None:
    corpus, sevens = with_sevens
    mel = {"preset": "aligner-16k", "mels": 23, "fmax_hz": 8000.0, "deltas": 1, "log_mels": False}
    frontend = json.dumps({"class_path": f"own_frontends.{name}", "init_args": mel})
    more = ["--model.frontend", frontend]
    if perturbed:
        more += ["--model.perturbation.class_path", "aligner.training.Perturbation"]
    assert fit(corpus, tmp_path / "run", *SMOKE, *more) == 0
    refused = reasons((tmp_path / "run" / LAST).with_name("refused.tsv"))
    assert refused.keys() == sevens
    assert all(why in reason for reason in refused.values())
    assert align(tmp_path / "run" / LAST, corpus, tmp_path / "out", "--trust") == 0
    assert reasons(tmp_path / "out" / "failed.tsv").keys() == sevens


def test_what_is_not_trained_on_does_not_change_what_is(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one batch an epoch, so that the order of the others is the same; of recordings that cannot be read,
    since the statistics of features are of all that can be."""
    lines = gzip.decompress((faulty / CUTS).read_bytes()).splitlines(keepends=True)
    for name, without in (("bad", {"long", "short"}), ("good", EXPECTED.keys())):
        (tmp_path / name).mkdir()
        shutil.copy(faulty / INFO, tmp_path / name)
        rest = [line for line in lines if json.loads(line)["id"] not in without]
        (tmp_path / name / CUTS).write_bytes(gzip.compress(b"".join(rest)))
    for name, corpus in (("with", "bad"), ("without", "good")):
        assert fit(tmp_path / corpus, tmp_path / name, *SMOKE, "--data.batch_duration_s", "1000") == 0
    with_, without = (Aligner.load(tmp_path / name / LAST).state_dict() for name in ("with", "without"))
    for name, value in without.items():
        if name.startswith("encoder.streams.0.phones.mean"):
            np.testing.assert_allclose(with_[name], value, rtol=1e-3, atol=1e-4)


def test_errors_name_the_utterance_whatever_raises_them(
    checkpoint: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligner = Aligner.load(checkpoint)
    utterances = load_utterances(tiny_corpus)[:3]
    recordings = [load_recording(utterance, 16000) for utterance in utterances]
    emissions = type(aligner.encoder).emissions

    def broken(self: Any, features: Any, *rest: Any) -> Any:
        if len(recordings[1].audio) // 160 + 1 in features.lengths.tolist():
            raise ZeroDivisionError("in an encoder")
        return emissions(self, features, *rest)

    monkeypatch.setattr(type(aligner.encoder), "emissions", broken)
    with pytest.raises(AlignerError, match=f"^{utterances[1].id}: ZeroDivisionError: in an encoder$"):
        aligner.align_batch(recordings)
    alignments, failed = align_usable(aligner, recordings)
    assert (set(alignments), set(failed)) == ({utterances[0].id, utterances[2].id}, {utterances[1].id})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused_by_name(
    value: float, checkpoint: Path, tiny_corpus: Path
) -> None:
    recording = load_recording(load_utterances(tiny_corpus)[0], 16000)
    recording.audio[1000] = value
    with pytest.raises(AlignerError, match="^u00: "):
        Aligner.load(checkpoint).align_batch([recording])


def test_a_text_that_cannot_be_pronounced_names_the_utterance(
    checkpoint: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligner = Aligner.load(checkpoint)

    def phonemizer(text: str) -> Any:
        raise AlignerError(f"cannot read {text}")

    monkeypatch.setattr(aligner, "phonemizer", lambda: phonemizer)
    with pytest.raises(AlignerError, match="^u00: cannot read 3E40$"):
        aligner.align(load_utterances(tiny_corpus)[0].audio, "3E40")


def test_what_happens_to_files_during_training_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole corpus is deleted after the first epoch: what was read is trained on, nothing is measured."""
    from aligner.training.em import EM

    write_tiny_corpus(tmp_path / "corpus", 6)
    step = EM.step

    def removing(self: EM, module: Any, *rest: Any) -> None:
        if module.current_epoch == 1:
            shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
        step(self, module, *rest)

    monkeypatch.setattr(EM, "step", removing)
    assert fit(tmp_path / "corpus", tmp_path / "run", *SMOKE) == 0
    shown = capsys.readouterr()
    assert "could not be measured" in shown.err
    assert json.loads(shown.out.splitlines()[-1])["epochs"] == 3


def test_nothing_a_picture_does_ends_a_training(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: Sequence[Any]) -> None:
        raise RuntimeError("cannot cache function")

    monkeypatch.setattr("aligner.training.board.plot_alignment", broken)
    assert fit(tiny_corpus, tmp_path, *SMOKE) == 0
    assert "there is no picture of u" in capsys.readouterr().err
