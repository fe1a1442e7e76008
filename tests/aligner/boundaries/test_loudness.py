"""Loudness of signals whose power is known.

N samples, P loudness values.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from aligner.boundaries.loudness import loudness_db, pause_levels_db, typical_levels_db, without_surplus

RATES_HZ = [16000, 22050, 44100]


def level_db(audio: Tensor, rate_hz: int) -> Tensor:
    found, n_values = loudness_db(audio[None], torch.tensor([len(audio)]), rate_hz)
    assert n_values.tolist() == [found.shape[1]]
    return found[0]


def threshold(loudness: Tensor, fraction: float) -> float:
    quiet_db, loud_db = typical_levels_db(loudness[None], torch.ones(1, len(loudness), dtype=torch.bool))
    return (quiet_db + fraction * (loud_db - quiet_db)).item()


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
        assert threshold(loudness / 2, fraction) == pytest.approx(level / 2, abs=1e-3)  # within 50 dB


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
    n_frames = 1 + lengths // 160
    surplus = torch.arange(21) % 3 == 0
    of_all = torch.cat([surplus[:n] for n in n_frames])
    counted = without_surplus(together, n_values, of_all, n_frames, 0.01)
    quiet_db, loud_db = typical_levels_db(together, counted)
    for row, own in enumerate(parts):
        alone = level_db(own, 16000)
        assert n_values[row] == len(alone)
        torch.testing.assert_close(together[row, : len(alone)], alone)
        kept = alone[~surplus[torch.arange(len(alone)) // 10]]
        assert loud_db[row].item() == pytest.approx(torch.quantile(kept, 0.95).item(), abs=1e-4)
        low_db = torch.quantile(kept, 0.05).item()
        assert quiet_db[row].item() == pytest.approx(max(low_db, loud_db[row].item() - 50), abs=1e-4)


def test_a_pauses_level_is_its_quantile_of_a_fifth() -> None:
    generator = np.random.default_rng(0)
    pauses = [generator.normal(-60, 9, n).astype(np.float32) for n in (1, 2, 7, 150)]
    found = pause_levels_db(np.concatenate(pauses), np.array([len(own) for own in pauses]))
    assert found == pytest.approx([np.quantile(own, 0.2) for own in pauses], abs=1e-4)


def test_digital_silence_counts_as_a_quiet_room() -> None:
    for silence_db in (-60.0, -90.0, -200.0):
        loudness = torch.cat([torch.full((50,), silence_db), torch.full((50,), -10.0)])
        assert threshold(loudness, 0.3) == pytest.approx(-45)


def test_surplus_silence_changes_no_level() -> None:
    """However much of it there is."""
    loudness = torch.cat([torch.full((9000,), -80.0), torch.full((500,), -40.0), torch.full((500,), -10.0)])[
        None
    ]
    surplus = torch.arange(1000) < 900  # frames of 10 ms
    counted = without_surplus(loudness, torch.tensor([10_000]), surplus, torch.tensor([1000]), 0.01)
    assert [level.item() for level in typical_levels_db(loudness, counted)] == pytest.approx([-40, -10])
