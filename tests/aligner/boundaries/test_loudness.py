"""Loudness of signals whose power is known.

N samples, P loudness values.
"""

import math

import pytest
import torch
from torch import Tensor

from aligner.boundaries.loudness import loudness_db, quiet_parts, threshold_db

RATES_HZ = [16000, 22050, 44100]


def level_db(audio: Tensor, rate_hz: int) -> Tensor:
    found, n_values = loudness_db(audio[None], torch.tensor([len(audio)]), rate_hz)
    assert n_values.tolist() == [found.shape[1]]
    return found[0]


def threshold(loudness: Tensor, fraction: float) -> float:
    return threshold_db(loudness[None], torch.tensor([len(loudness)]), fraction).item()


def sine(frequency_hz: float, rate_hz: int, amplitude: float = 0.1, duration_s: float = 0.2) -> Tensor:
    phase = 2 * math.pi * frequency_hz / rate_hz * torch.arange(round(duration_s * rate_hz)).double()
    return (amplitude * phase.sin()).float()


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("frequency_hz", [600, 3000])
def test_a_sine_has_its_power_after_the_pre_emphasis(rate_hz: int, frequency_hz: int) -> None:
    turn = 2 * math.pi * frequency_hz / rate_hz
    gain = abs(1 - 0.97 * complex(math.cos(turn), -math.sin(turn)))
    inside = level_db(sine(frequency_hz, rate_hz), rate_hz)[10:-10]
    assert inside.tolist() == pytest.approx(
        [20 * math.log10(0.1 * gain) - 10 * math.log10(2)] * len(inside), abs=0.05
    )


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_click_is_loudest_at_its_millisecond(rate_hz: int) -> None:
    step = round(rate_hz / 1000)
    audio = torch.zeros(rate_hz // 5)
    audio[70 * step] = 1.0
    found = level_db(audio, rate_hz)
    assert len(found) == (len(audio) - 1) // step + 1
    assert found.argmax() == 70
    around = found[66:75].tolist()
    assert around == pytest.approx(around[::-1], abs=3)  # not exactly: the pre-emphasis looks back
    beyond = torch.cat([found[:65], found[76:]]).tolist()  # the window is 10 ms wide
    assert beyond == pytest.approx([-90] * len(beyond))


def test_ten_times_the_amplitude_is_20_db() -> None:
    loud, soft = sine(800, 16000, 0.5), sine(800, 16000, 0.05)
    change = level_db(loud, 16000) - level_db(soft, 16000)
    assert change.tolist() == pytest.approx([20] * len(change), abs=0.01)


def test_a_constant_is_no_sound() -> None:
    found = level_db(torch.full((3200,), 0.5), 16000)
    assert found[10:].max() < -30


def test_the_threshold_lies_between_quietest_and_loudest() -> None:
    loudness = torch.arange(101.0)[torch.randperm(101, generator=torch.Generator().manual_seed(0))]
    for fraction, level in ((0, 5), (0.3, 32), (0.5, 50), (1, 95)):
        assert threshold(loudness, fraction) == pytest.approx(level, abs=1e-3)


def test_single_clicks_and_gaps_do_not_move_the_threshold() -> None:
    loudness = torch.cat([torch.full((50,), -60.0), torch.full((50,), -10.0)])
    loudness[[3, 70]] = torch.tensor([-90.0, 20.0])
    assert threshold(loudness, 0.3) == pytest.approx(-45)


def test_what_lies_beyond_an_utterances_end_does_not_matter() -> None:
    lengths = torch.tensor([3200, 1601, 777])
    parts = [sine(800, 16000), sine(2000, 16000, 0.01)[:1601], sine(300, 16000, 0.3)[:777]]
    audio = torch.full((3, 3200), 9.0)
    for row, own in zip(audio, parts, strict=True):
        row[: len(own)] = own
    together, n_values = loudness_db(audio, lengths, 16000)
    quiet = quiet_parts(together, n_values, 0.5)
    for row, own in enumerate(parts):
        alone = level_db(own, 16000)
        assert n_values[row] == len(alone)
        torch.testing.assert_close(together[row, : len(alone)], alone)
        assert quiet[row, : len(alone)].tolist() == (alone < threshold(alone, 0.5)).tolist()
        assert not quiet[row, len(alone) :].any()
