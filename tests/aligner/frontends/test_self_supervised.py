"""Hidden states of a tiny wav2vec 2.0."""

import json
from pathlib import Path

import pytest
import torch
import torchaudio
from sounds import noise

from aligner.aligner import Aligner
from aligner.errors import AlignerError
from aligner.frontends import SelfSupervised
from aligner.training.lightning_cli import LAST, find_config, train

WIDTH = 16  # of TINY's states


def test_self_supervised_states_are_the_models_on_the_frame_grid(tiny_bundle: str) -> None:
    frontend = SelfSupervised(
        tiny_bundle, "TINY", layer=2, channels=WIDTH, sample_rate_hz=16000, hop_samples=320
    )
    audio, lengths = noise(16000)
    states = frontend._states(audio, lengths, 50)
    model = torchaudio.pipelines.TINY.get_model(
        dl_kwargs={"model_dir": tiny_bundle[:-8], "file_name": "tiny.pth"}
    )
    with torch.no_grad():
        expected = model.extract_features(audio[:1], num_layers=2)[0][1][0]
    assert len(expected) == 49
    # frame t of the grid is centred on 160 + 320 t, state t on 200 + 320 t
    between = expected[:-1] * 0.125 + expected[1:] * 0.875
    torch.testing.assert_close(states[0, 1:49], between, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(states[0, 0], expected[0])


def test_components_are_uncorrelated_and_survive_a_checkpoint(tiny_bundle: str) -> None:
    def make() -> SelfSupervised:
        return SelfSupervised(tiny_bundle, "TINY", layer=2, channels=6, hop_samples=256)

    frontend = make()
    audio, lengths = noise(30000)
    with pytest.raises(ValueError, match="fit_normalisation"):
        frontend(audio, lengths)
    frontend.fit_normalisation([(audio, lengths)])
    features, speech_lengths = frontend(audio, lengths)
    frames = torch.cat([f[:n] for f, n in zip(features, speech_lengths, strict=True)]).double()
    torch.testing.assert_close(torch.cov(frames.T, correction=0), torch.eye(6).double(), rtol=0, atol=1e-3)
    restored = make()
    restored.load_state_dict(frontend.state_dict())
    torch.testing.assert_close(restored(audio, lengths)[0], features)
    assert sum(value.numel() for value in frontend.state_dict().values()) < 200  # the model is not among them
    alone = frontend(audio[1:, : lengths[1]], lengths[1:])[0]
    torch.testing.assert_close(features[1:, : speech_lengths[1]], alone)


def test_a_missing_or_wrong_checkpoint_says_what_to_do(tiny_bundle: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="https://download.pytorch.org/torchaudio/models/wav2vec2_fairseq_large_xlsr53"
    ):
        SelfSupervised("nowhere.pth")
    with pytest.raises(ValueError, match="no wav2vec"):
        SelfSupervised(tiny_bundle, "HIFIGAN_VOCODER_V3_LJSPEECH")
    with pytest.raises(ValueError, match="layers 1 to 3"):
        SelfSupervised(tiny_bundle, "TINY", layer=4)
    torch.save({"wrong": torch.zeros(1)}, tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match="does not load"):
        SelfSupervised(str(tmp_path / "wrong.pth"), "TINY", layer=1, channels=2).fit_normalisation([noise()])


def test_self_supervised_features_beside_mel_train_an_aligner(
    tiny_bundle: str, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"sample_rate_hz": 16000, "hop_samples": 160, "frame_rule": "center"}
    learnt = {"checkpoint": tiny_bundle, "bundle": "TINY", "layer": 2, "channels": 3, **grid}
    parts = [
        {"class_path": "aligner.frontends.Mel", "init_args": {"preset": "16k-10ms", "cepstra": 13, **grid}},
        {"class_path": "aligner.frontends.SelfSupervised", "init_args": learnt},
    ]
    combined = {"class_path": "aligner.frontends.Combine", "init_args": {"frontends": parts}}
    cached = {"frontend": combined, "folder": str(tmp_path / "features")}
    frontend = {"class_path": "aligner.frontends.Cached", "init_args": cached}
    chosen = ["--data.data_dir", str(tiny_corpus), "--model.frontend", json.dumps(frontend)]
    chosen += ["--model.training.init_args.epochs", "2", "--trainer.accelerator", "cpu"]
    train([find_config("smoke")], chosen, tmp_path / "first")
    first = Aligner.load(tmp_path / "first" / LAST)
    assert first.frontend.channels == 13 + 3
    assert first.frontend.frontend.frontends[1].components.any()
    monkeypatch.setattr(SelfSupervised, "_states", None)  # what costs is not done a second time
    train([find_config("smoke")], chosen, tmp_path / "second")
    second = Aligner.load(tmp_path / "second" / LAST).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.state_dict().items())
    Path(tiny_bundle).unlink()
    with pytest.raises(AlignerError, match="download the weights"):
        Aligner.load(tmp_path / "second" / LAST)
