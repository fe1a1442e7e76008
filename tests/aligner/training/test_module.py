"""Training: interrupted runs end as whole ones, voices are drawn anew, methods fit their encoders."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tiny_corpus import save_tiny_corpus, write_tiny_corpus
from torch import Tensor

from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.corpus.prepared import load_audio, load_utterances
from aligner.encoders import PhoneMixtures
from aligner.encoders.base import Emissions
from aligner.errors import AlignerError
from aligner.formats import export
from aligner.frontends.packed import PackedFeatures
from aligner.text.common_words import common_words
from aligner.text.packed import PackedTokens
from aligner.text.transcript import Transcript, Word
from aligner.training import Perturbation
from aligner.training.data import Batch
from aligner.training.lightning_cli import LAST, find_config, train
from aligner.training.module import AlignerModule

GLOW = {"hidden": 16, "layers": 1, "filter_channels": 16, "prenet_layers": 1}
GRADIENT = [  # dropout, a schedule
    *("--model.encoder.class_path", "aligner.encoders.GlowTTSEncoder"),
    *("--model.encoder.init_args", json.dumps(GLOW)),
    *("--model.training.class_path", "aligner.training.Gradient", "--model.training.init_args.epochs", "3"),
    *("--model.training.init_args.warm_start_epochs", "3"),
]
SHORT = ["--model.training.init_args.epochs", "2"]
PERTURBED = ["--model.perturbation.class_path", "aligner.training.Perturbation"]


def settings(corpus: Path) -> list[str]:
    return ["--data.data_dir", str(corpus), "--data.batch_duration_s", "6", "--trainer.accelerator", "cpu"]


def saved(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


@pytest.mark.parametrize(
    ("interrupted_in", "more"), [(1, []), (4, []), (1, GRADIENT), (4, GRADIENT), (1, [*PERTURBED, *SHORT])]
)
def test_a_resumed_run_ends_bit_for_bit_as_a_whole_one(
    interrupted_in: int,
    more: list[str],
    tiny_corpus: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = [*settings(tiny_corpus), *more]
    if more:
        train([find_config("smoke")], chosen, tmp_path / "whole")
        checkpoint = tmp_path / "whole" / LAST
    step = AlignerModule.training_step

    def interrupted(self: AlignerModule, batch: Batch, batch_index: int) -> None:
        if (self.current_epoch, batch_index) == (interrupted_in, 1):
            raise KeyboardInterrupt
        step(self, batch, batch_index)

    monkeypatch.setattr(AlignerModule, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train([find_config("smoke")], chosen, tmp_path / "parts")
    monkeypatch.undo()
    assert saved(tmp_path / "parts" / LAST)["epoch"] == interrupted_in - 1
    resumed = train([find_config("smoke")], chosen, tmp_path / "parts", "last")
    assert resumed["epochs"] == saved(checkpoint)["epoch"] + 1
    ours, whole = saved(tmp_path / "parts" / LAST)["state_dict"], saved(checkpoint)["state_dict"]
    assert ours.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(ours[name], whole[name])] == []


def test_an_aligner_keeps_the_common_words_of_its_corpus(checkpoint: Path, tiny_corpus: Path) -> None:
    words = common_words(utterance.transcript for utterance in load_utterances(tiny_corpus))
    assert words
    assert Aligner.load(checkpoint).common_words == words


@pytest.mark.parametrize("more", [SHORT, [*GRADIENT, *SHORT]])
def test_each_epoch_trains_on_the_recordings_and_new_voices(
    more: list[str], tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Tensor] = []
    made: list[Tensor] = []
    change = Perturbation.__call__

    def noted(self: Perturbation, audio: Tensor, *rest: Any) -> Tensor:
        if self.formant_ratio != 1.2:  # the calibration's
            return change(self, audio, *rest)
        heard.append(audio)
        made.append(change(self, audio, *rest))
        return made[-1]

    monkeypatch.setattr(Perturbation, "__call__", noted)
    ratio = ["--model.perturbation.init_args.formant_ratio", "1.2"]
    summary = train([find_config("smoke")], [*settings(tiny_corpus), *PERTURBED, *ratio, *more], tmp_path)
    epochs = summary["epochs"]
    assert len(made) == 20 * epochs
    first, second = ({len(sound): sound for sound in made[e * 20 : (e + 1) * 20]} for e in (0, epochs - 1))
    assert first.keys() == second.keys()
    assert not any(torch.allclose(first[n], second[n], atol=1e-3) for n in first)
    assert all(
        len(a) == len(b) and not torch.allclose(a, b, atol=1e-3) for a, b in zip(heard, made, strict=True)
    )
    audio = load_audio(load_utterances(tiny_corpus)[0], 16000)
    assert any(torch.equal(audio, sound) for sound in heard)  # not what an earlier epoch made of it


def test_audio_is_loaded_once_where_features_are_kept(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_audio: list[bool] = []
    step = AlignerModule.training_step

    def noted(self: AlignerModule, batch: Batch, batch_index: int) -> None:
        with_audio.append(batch.audio.shape[1] > 0)
        step(self, batch, batch_index)

    monkeypatch.setattr(AlignerModule, "training_step", noted)
    train([find_config("smoke")], [*settings(tiny_corpus), *SHORT], tmp_path)
    half = len(with_audio) // 2
    assert with_audio == [True] * half + [False] * half


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (GRADIENT[:4], "EM trains aligner.encoders.PhoneMixtures, not GlowTTSEncoder"),
        (GRADIENT[4:], "Gradient trains aligner.encoders.GlowTTSEncoder, not PhoneMixtures"),
        (["--trainer.max_epochs", "3"], "trainer.max_epochs: .* model.training.init_args.epochs"),
        (["--trainer.max_steps", "3"], "trainer.max_steps: .* model.training.init_args.epochs"),
        (["--trainer.fast_dev_run", "true"], "trainer.fast_dev_run: .* --config smoke"),
        (["--data.batch_duration_s", "0"], "batch_duration_s is 0.0: must be above 0"),
        (["--model.encoder.init_args.streams", '["c(["]'], "is not a regular expression"),
        (["--model.encoder.init_args.streams", '["z"]'], "'z' matches none of"),
        (["--model.training.init_args.epochs", "0"], "must be at least 1"),
        ([*GRADIENT, "--model.training.init_args.warm_start_epochs", "0"], "warm_start_epochs is 0"),
        ([*GRADIENT, "--model.training.init_args.offset_deviation", "0"], "offset_deviation is 0"),
        ([*GRADIENT, "--model.training.init_args.offset_deviation", "-1"], "offset_deviation is -1.0"),
        ([*GRADIENT, "--model.encoder.init_args.gaussians", "0"], r"gaussians \(0\) must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    more: list[str], message: str, tiny_corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(AlignerError, match=message):
        train([find_config("smoke")], [*settings(tiny_corpus), *more], tmp_path)
    assert not (tmp_path / LAST).exists()


def test_the_prior_of_the_offsets_keeps_them_small(tiny_corpus: Path, tmp_path: Path) -> None:
    chosen = {"learning_rate": 0.01, "warmup_steps": 1, "warm_start_epochs": 1, "offset_deviation": 0.01}
    more = [f"--model.training.init_args.{name}={value}" for name, value in chosen.items()]
    train([find_config("smoke")], [*settings(tiny_corpus), *GRADIENT, *more], tmp_path)
    encoder = Aligner.load(tmp_path / LAST).encoder
    text = torch.arange(1, encoder.vocab_size)[None]
    with torch.no_grad():
        offsets = torch.cat(encoder(text, torch.tensor([text.shape[1]])))
    assert 0 < offsets.abs().max() < 0.05  # 0.7 without a prior


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_an_error_of_one_line(tiny_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="gpu"):
        train([find_config("smoke")], [*settings(tiny_corpus), "--trainer.accelerator", "gpu"], tmp_path)


def test_only_a_checkpoint_of_the_same_model_is_resumed(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path
) -> None:
    def resume(path: Path, *more: str) -> None:
        train([find_config("smoke")], [*settings(tiny_corpus), *more], tmp_path / "out", path)

    with pytest.raises(AlignerError, match="trained with other encoder than"):
        resume(checkpoint, "--model.encoder.init_args.states", "2")
    with pytest.raises(AlignerError, match="trained with other encoder, training than"):
        resume(checkpoint, *GRADIENT)
    content = saved(checkpoint)
    content["hyper_parameters"] = content.pop("aligner")  # where settings used to be
    torch.save(content, tmp_path / "old.ckpt")
    with pytest.raises(AlignerError, match="old.ckpt: .*train again with `aligner fit`"):
        resume(tmp_path / "old.ckpt")
    (tmp_path / "text.ckpt").write_text("nothing")
    with pytest.raises(AlignerError, match="text.ckpt: not a checkpoint"):
        resume(tmp_path / "text.ckpt")


@pytest.mark.parametrize("known_times", [False, True])
def test_a_text_that_fits_only_in_its_shortest_form_does_not_end_training(
    known_times: bool, tmp_path: Path
) -> None:
    """Its first pronunciation, which known times may have, has more phones than the recording has frames."""
    utterances = write_tiny_corpus(tmp_path, 3)
    audio, rate_hz = soundfile.read(utterances[0].audio)
    soundfile.write(tmp_path / "short.wav", audio[3000:4600], rate_hz)  # 11 frames
    long = tuple("seam" * 5)
    short = replace(
        utterances[0],
        id="short",
        audio=tmp_path / "short.wav",
        duration_s=0.1,
        transcript=Transcript((Word("x", (long, ("s", "e"))),), ("", "")),
        reference=None,
    )
    save_tiny_corpus(tmp_path, [*utterances, short])
    known = None
    if known_times:
        edges_s = np.linspace(0, 0.1, 21)
        export(
            [Alignment.from_boundaries("short", long, [0] * 20, ["x"], edges_s, 0.1)],
            {"json": tmp_path / "known"},
        )
        known = tmp_path / "known"
    summary = train([find_config("smoke")], [*settings(tmp_path), *SHORT], tmp_path / "run", None, known)
    assert summary["epochs"] == 2


def test_an_utterance_without_a_path_ends_training_by_name(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emissions = PhoneMixtures.emissions

    def broken(
        self: PhoneMixtures, features: PackedFeatures, tokens: PackedTokens | None = None
    ) -> Emissions:
        found = emissions(self, features, tokens)
        found.streams[:, : int(features.n_frames[0])] = torch.nan  # of each batch's first
        return found

    monkeypatch.setattr(PhoneMixtures, "emissions", broken)
    ids = [utterance.id for utterance in load_utterances(tiny_corpus)]
    with pytest.raises(AlignerError, match="no path through its states has a finite score") as told:
        train([find_config("smoke")], [*settings(tiny_corpus), *SHORT], tmp_path / "run")
    assert str(told.value).partition(":")[0] in ids
