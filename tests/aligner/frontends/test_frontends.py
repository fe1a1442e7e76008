"""What holds for every frontend."""

import copy
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from aligner.errors import AlignerError
from aligner.frontends import Combine, Cqt, Energy, Frontend, Mel, Nansy, Yingram
from aligner.instantiate import instantiate

FRONTENDS: dict[str, Callable[[], Frontend]] = {
    "mel": lambda: Mel("hifigan"),
    "mel centred": lambda: Mel("tacotron2"),
    "mfcc": lambda: Mel("16k-10ms", hop_samples=80, mels=40, cepstra=13, deltas=2),
    "aligner-16k": lambda: Mel("aligner-16k"),
    "yingram": lambda: Yingram("pits"),
    "energy": lambda: Energy(),
    "mel + yingram": lambda: Combine([Mel("hifigan"), Yingram("pits")]),
    "nansy": lambda: Nansy(16000, 80),
    "cqt": lambda: Cqt(bins=60, low_hz=130.0, bins_per_octave=12),
    "yingram centred": lambda: Yingram("nansy", frame_rule="center"),
}
LENGTHS = [12000, 4321, 260, 11111]

# librosa's constant-Q transform, of the shortest: it pads with zeros, as it should
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=.* is too large for input signal:UserWarning")


@pytest.fixture(params=FRONTENDS)
def frontend(request: pytest.FixtureRequest) -> Frontend:
    return FRONTENDS[request.param]()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(len(LENGTHS), max(LENGTHS), generator=generator), torch.tensor(LENGTHS)


def test_an_utterance_does_not_depend_on_its_batch(frontend: Frontend) -> None:
    audio, lengths = batch()
    frontend.fit_normalisation([(audio, lengths)])
    for b, n in enumerate(LENGTHS):
        audio[b, n:] = float("nan")  # what stands behind an utterance may not be read
    before = audio.clone()
    features, speech_lengths = frontend(audio, lengths)
    assert torch.equal(audio.nan_to_num(), before.nan_to_num())
    assert speech_lengths.tolist() == [frontend.frame_count(n) for n in LENGTHS]
    for b, n in enumerate(LENGTHS):
        alone, _ = frontend(audio[b : b + 1, :n], lengths[b : b + 1])
        torch.testing.assert_close(features[b, : speech_lengths[b]], alone[0], atol=1e-6, rtol=1e-6)
        assert torch.all(features[b, speech_lengths[b] :] == 0)


def test_statistics_centre_and_scale_the_corpus_and_are_saved(
    frontend: Frontend, request: pytest.FixtureRequest
) -> None:
    audio, lengths = batch()
    frontend.fit_normalisation([(audio[:1], lengths[:1]), (audio[1:], lengths[1:])])
    features, speech_lengths = frontend(audio, lengths)
    frames = torch.cat([f[:n] for f, n in zip(features, speech_lengths, strict=True)]).double()
    torch.testing.assert_close(frames.mean(0), torch.zeros(frontend.channels).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        frames.std(0, correction=0), torch.ones(frontend.channels).double(), atol=1e-4, rtol=0
    )
    fresh = FRONTENDS[request.node.callspec.params["frontend"]]()
    assert not torch.equal(fresh(audio, lengths)[0], features)
    fresh.load_state_dict(frontend.state_dict())
    assert torch.equal(fresh(audio, lengths)[0], features)


def test_channels_are_named_once_each(frontend: Frontend) -> None:
    audio, lengths = batch()
    features, _ = frontend(audio, lengths)
    assert len(frontend.channel_names) == features.shape[2] == frontend.channels


def test_wrong_shapes_and_lengths_are_refused(frontend: Frontend) -> None:
    audio, lengths = batch()
    with pytest.raises(ValueError, match=r"\[B, N\]"):
        frontend(audio[0], lengths)
    for wrong in (0, audio.shape[1] + 1):
        with pytest.raises(ValueError, match=rf"audio_lengths\[0\] is {wrong}"):
            frontend(audio[:1], torch.tensor([wrong]))


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no frame"):
        Mel().fit_normalisation([(torch.zeros(1, 100), torch.tensor([100]))])


def test_autocast_does_not_round_the_features(frontend: Frontend) -> None:
    audio, lengths = batch()
    expected, _ = frontend(audio, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual, _ = frontend(audio, lengths)
    assert torch.equal(actual, expected)


@pytest.mark.gpu
def test_the_gpu_computes_the_same(frontend: Frontend) -> None:
    audio, lengths = batch()
    expected, _ = frontend(audio, lengths)
    actual, _ = frontend.cuda()(audio.cuda(), lengths.cuda())
    torch.testing.assert_close(actual.cpu(), expected, atol=1e-4, rtol=1e-4)


def test_a_configuration_makes_the_frontend_again(frontend: Frontend) -> None:
    again = instantiate(json.loads(json.dumps(frontend.configuration())), Frontend)
    assert again.configuration() == frontend.configuration()
    audio, lengths = batch()
    assert torch.equal(again(audio, lengths)[0], frontend(audio, lengths)[0])
    assert isinstance(copy.deepcopy(frontend), Frontend)
    assert copy.deepcopy(frontend).configuration() == frontend.configuration()


def test_a_configuration_states_every_setting(frontend: Frontend) -> None:
    configuration = frontend.configuration()
    assert configuration["class_path"] == f"aligner.frontends.{type(frontend).__name__}"
    assert configuration["init_args"].keys() == inspect.signature(type(frontend)).parameters.keys()
    unstated = [name for name, value in configuration["init_args"].items() if value is None]
    assert unstated == (
        ["yingram_bins_per_octave"] if isinstance(frontend, Nansy) else []
    )  # the preset's own


def test_a_presets_settings_are_stated_too() -> None:
    assert Mel("aligner-16k").configuration()["init_args"] == {
        "preset": "aligner-16k",
        "sample_rate_hz": 16000,
        "n_fft": 512,
        "hop_samples": 160,
        "window_samples": 320,
        "mels": 40,
        "fmin_hz": 20.0,
        "fmax_hz": 7600.0,
        "frame_rule": "center",
        "power": 2.0,
        "floor": 1e-8,
        "cepstra": 13,
        "lifter": 22.0,
        "deltas": 2,
        "delta_width": 2,
        "log_mels": True,
    }
    given: dict[str, Any] = {
        "mels": 23,
        "cepstra": 0,
        "deltas": 0,
        "log_mels": False,
        "power": 1.0,
        "floor": 1e-5,
    }
    settings = Mel("aligner-16k", **given).configuration()["init_args"]
    assert {name: settings[name] for name in given} == given
    assert settings["fmin_hz"] == 20.0


@pytest.mark.parametrize("rule", ["centred", "centred_floor", "tiled", "centered", "middle"])
@pytest.mark.parametrize("make", [Mel, Yingram, Energy, Cqt, Nansy])
def test_an_unknown_frame_rule_names_those_there_are(make: Any, rule: str) -> None:
    with pytest.raises(AlignerError, match=f"'{rule}': use one of center, center_drop_last, same"):
        make(frame_rule=rule)
