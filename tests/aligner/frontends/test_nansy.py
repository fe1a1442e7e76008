"""Combined, NANSY-like and cached frontends."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from tiny_corpus import write_tiny_corpus

from aligner.commands.fit import LAST, find_config, train
from aligner.errors import AlignerError
from aligner.frontends import Cached, Combine, Cqt, Energy, Mel, Nansy, SelfSupervised, Yingram
from aligner.training.module import Aligner

WIDTH = 16


def sound(n_samples: int = 16000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([n_samples, n_samples - 3000])
    return 0.1 * torch.randn(2, n_samples, generator=generator), lengths


@pytest.fixture
def tiny_bundle(monkeypatch, tmp_path):
    """A wav2vec 2.0 of a real shape but no size, and its checkpoint."""
    params = {
        "extractor_mode": "group_norm",
        "extractor_conv_layer_config": [(8, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2],
        "extractor_conv_bias": False,
        "encoder_embed_dim": WIDTH,
        "encoder_projection_dropout": 0.1,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 2,
        "encoder_num_layers": 3,
        "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.1,
        "encoder_ff_interm_features": 32,
        "encoder_ff_interm_dropout": 0.1,
        "encoder_dropout": 0.1,
        "encoder_layer_norm_first": False,
        "encoder_layer_drop": 0.05,
        "aux_num_out": None,
    }
    bundle = torchaudio.pipelines.Wav2Vec2Bundle("tiny.pth", params, 16000, True, "Wav2Vec2")
    monkeypatch.setattr(torchaudio.pipelines, "TINY", bundle, raising=False)
    torch.manual_seed(0)
    torch.save(torchaudio.models.wav2vec2_model(**params).state_dict(), tmp_path / "tiny.pth")
    return str(tmp_path / "tiny.pth")


def test_parts_stand_side_by_side_each_as_it_is_alone():
    mel, yingram = Mel("hifigan"), Yingram("pits")
    both = Combine([Mel("hifigan"), Yingram("pits")])
    audio, lengths = sound()
    for frontend in (mel, yingram, both):
        frontend.fit_statistics(batch for batch in [(audio, lengths)])  # a generator: gone through once only
    expected = torch.cat([mel(audio, lengths)[0], yingram(audio, lengths)[0]], -1)
    features, _ = both(audio, lengths)
    torch.testing.assert_close(features, expected, rtol=0, atol=0)
    assert both.channel_names == mel.channel_names + yingram.channel_names
    assert both.grid == mel.grid


@pytest.mark.parametrize(
    "other", [{"hop_samples": 128}, {"frame_rule": "centred"}, {"sample_rate_hz": 24000}]
)
def test_parts_with_other_frames_are_refused(other):
    with pytest.raises(ValueError, match="different frames"):
        Combine([Mel("hifigan"), Yingram("pits", **other)])


def test_nansy_is_made_of_its_parts():
    nansy = Nansy(22050, 256, mels=40, cepstra=13, deltas=1)
    parts = [Mel("hifigan", mels=40, cepstra=13, deltas=1), Yingram("pits"), Energy()]
    audio, lengths = sound()
    torch.testing.assert_close(nansy(audio, lengths)[0], Combine(parts)(audio, lengths)[0])
    assert Nansy(16000, 80, yingram="", energy=False).channels == 60
    coarse = Nansy(cepstra=13, mels=20, deltas=0, log_mels=True, yingram_bins_per_octave=4)
    assert coarse.channel_names[:14] == Mel("hifigan", mels=20, cepstra=13, log_mels=True).channel_names[:14]
    assert coarse.channel_names[33:-1] == Yingram("pits", bins=14, bins_per_octave=4).channel_names
    with pytest.raises(ValueError, match="'pit'"):
        Nansy(yingram="pit")


def test_energy_is_the_level_of_the_frame():
    energy = Energy(window_samples=1024)
    audio = torch.full((1, 8000), 0.25)
    audio[0, 4000:] = 0
    features = energy(audio, torch.tensor([8000]))[0][0, :, 0]
    torch.testing.assert_close(features[5], torch.tensor(0.25).log())
    assert features[-3] == pytest.approx(np.log(1e-5))


def test_energy_is_librosas_rms():
    audio, lengths = sound(11000)
    features = Energy(window_samples=1024, frame_rule="centred")(audio[:1], lengths[:1])[0][0, :, 0]
    rms = librosa.feature.rms(y=audio[0].numpy(), frame_length=1024, hop_length=256, pad_mode="reflect")[0]
    np.testing.assert_allclose(features, np.log(rms), atol=1e-5)


@pytest.mark.parametrize("frame_rule", ["centred", "tiled"])
def test_cqt_is_librosas_and_centred_as_the_other_frontends(frame_rule):
    cqt = Cqt(low_hz=65.4, bins=96, frame_rule=frame_rule)
    audio, _ = sound(20000)
    features = cqt(audio[:1], torch.tensor([20000]))[0][0].exp()
    if frame_rule == "centred":
        expected = abs(
            librosa.cqt(audio[0].numpy(), sr=22050, hop_length=256, fmin=65.4, n_bins=96, bins_per_octave=24)
        )
        np.testing.assert_allclose(features, np.maximum(expected.T, 1e-5), rtol=1e-5)
    click = torch.zeros(1, 20000)
    click[0, round(cqt.frame_centre_s(40) * 22050)] = 1
    assert cqt(click, torch.tensor([20000]))[0][0, :, -1].argmax() == 40


def test_self_supervised_states_are_the_models_on_the_frame_grid(tiny_bundle):
    frontend = SelfSupervised(
        tiny_bundle, "TINY", layer=2, channels=WIDTH, sample_rate_hz=16000, hop_samples=320
    )
    audio, lengths = sound(16000)
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


def test_components_are_uncorrelated_of_unit_variance_and_survive_a_checkpoint(tiny_bundle):
    def make():
        return SelfSupervised(tiny_bundle, "TINY", layer=2, channels=6, hop_samples=256)

    frontend = make()
    audio, lengths = sound(30000)
    with pytest.raises(ValueError, match="fit_statistics"):
        frontend(audio, lengths)
    frontend.fit_statistics([(audio, lengths)])
    features, speech_lengths = frontend(audio, lengths)
    frames = torch.cat([f[:n] for f, n in zip(features, speech_lengths, strict=True)]).double()
    torch.testing.assert_close(torch.cov(frames.T, correction=0), torch.eye(6).double(), rtol=0, atol=1e-3)
    restored = make()
    restored.load_state_dict(frontend.state_dict())
    torch.testing.assert_close(restored(audio, lengths)[0], features)
    assert sum(value.numel() for value in frontend.state_dict().values()) < 200  # the model is not among them
    alone = frontend(audio[1:, : lengths[1]], lengths[1:])[0]
    torch.testing.assert_close(features[1:, : speech_lengths[1]], alone)


def test_a_missing_or_wrong_checkpoint_says_what_to_do(tiny_bundle, tmp_path):
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
        SelfSupervised(str(tmp_path / "wrong.pth"), "TINY", layer=1, channels=2).fit_statistics([sound()])


def test_cached_features_are_the_same_and_computed_once(tmp_path, monkeypatch):
    audio, lengths = sound()
    plain = Mel("hifigan")
    expected, _ = plain(audio, lengths)
    cached = Cached(Mel("hifigan"), str(tmp_path))
    torch.testing.assert_close(cached(audio, lengths)[0], expected)
    files = sorted(tmp_path.rglob("*.npy"))
    assert len(files) == 2
    monkeypatch.setattr(cached.frontend, "extract", None)  # whoever computes now fails
    torch.testing.assert_close(cached(audio, lengths)[0], expected)
    torch.testing.assert_close(
        cached(audio[1:, : lengths[1]], lengths[1:])[0][0], expected[1, : 13000 // 256]
    )
    cached.fit_statistics([(audio, lengths)])
    plain.fit_statistics([(audio, lengths)])
    torch.testing.assert_close(cached(audio, lengths)[0], plain(audio, lengths)[0])


def test_other_settings_state_or_sound_are_other_files(tmp_path, tiny_bundle):
    audio, lengths = sound()
    count = 0
    ssl = SelfSupervised(tiny_bundle, "TINY", layer=1, channels=2)
    for frontend, samples in [
        (Mel("hifigan"), audio),
        (Mel("hifigan", mels=79), audio),
        (Mel("tacotron2"), audio),
        (Mel("hifigan"), audio + 1e-6),
        (Combine([Mel("hifigan"), Yingram()]), audio),
        (Combine([Mel("hifigan"), Yingram(noise_floor=1e-3)]), audio),
        (ssl, audio),
        (ssl, audio),
    ]:
        cached = Cached(frontend, str(tmp_path))
        if frontend is ssl:
            cached.fit_statistics([sound(20000, seed=count)])  # other components each time
        cached(samples, lengths)
        new = len(list(tmp_path.rglob("*.npy")))
        assert new >= count + 2
        count = new


def test_a_spoilt_cache_file_is_computed_again(tmp_path):
    audio, lengths = sound()
    cached = Cached(Mel("hifigan"), str(tmp_path))
    expected, _ = cached(audio, lengths)
    for file, content in zip(sorted(tmp_path.rglob("*.npy")), [b"", b"\x93NUMPY nonsense"], strict=True):
        file.write_bytes(content)
    torch.testing.assert_close(cached(audio, lengths)[0], expected)
    assert all(len(np.load(file)) > 0 for file in tmp_path.rglob("*.npy"))


def test_a_folder_that_cannot_be_written_is_said_and_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    cached = Cached(Mel("hifigan"), str(tmp_path / "file" / "features"))
    audio, lengths = torch.randn(1, 4000), torch.tensor([4000])
    with pytest.warns(UserWarning, match="features are not kept"):
        features, _ = cached(audio, lengths)
    torch.testing.assert_close(features, Mel("hifigan")(audio, lengths)[0])


def test_what_a_frontend_learns_from_a_corpus_is_kept_for_that_corpus(tmp_path, monkeypatch):
    def learned(batches):
        cached = Cached(Combine([Mel("hifigan")]), str(tmp_path))
        cached.fit_statistics(batches)
        return cached.frontend.frontends[0].statistics_mean

    generator = torch.Generator().manual_seed(0)
    audio, lengths = torch.randn(3, 4000, generator=generator), torch.tensor([4000, 3000, 4000])
    first = learned(iter([(audio, lengths)]))
    assert not torch.equal(learned([(audio[:2], lengths[:2])]), first)
    monkeypatch.setattr(Mel, "extract", None)
    assert torch.equal(learned([(audio, lengths)]), first)


def test_self_supervised_features_beside_mel_train_an_aligner(tiny_bundle, tmp_path, monkeypatch):
    write_tiny_corpus(tmp_path / "corpus", 6)
    grid = {"sample_rate_hz": 16000, "hop_samples": 160, "frame_rule": "centred"}
    learnt = {"checkpoint": tiny_bundle, "bundle": "TINY", "layer": 2, "channels": 3, **grid}
    parts = [
        {"class_path": "aligner.frontends.Mel", "init_args": {"preset": "16k-10ms", "cepstra": 13, **grid}},
        {"class_path": "aligner.frontends.SelfSupervised", "init_args": learnt},
    ]
    combined = {"class_path": "aligner.frontends.Combine", "init_args": {"frontends": parts}}
    cached = {"frontend": combined, "folder": str(tmp_path / "features")}
    frontend = {"class_path": "aligner.frontends.Cached", "init_args": cached}
    chosen = ["--data.data_dir", str(tmp_path / "corpus"), "--model.frontend", json.dumps(frontend)]
    chosen += ["--model.encoder.init_args.components", "[1, 1]", "--trainer.accelerator", "cpu"]
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
