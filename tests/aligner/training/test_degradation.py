"""Rooms and noise for training: everything stays where it is."""

from typing import Any

import numpy as np
import pytest
import torch

from aligner.training.degradation import Degradation, in_a_room, with_noise

RATE_HZ = 16000


def clicks(n: int = 2 * RATE_HZ) -> torch.Tensor:
    """A burst every quarter of a second."""
    sound = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(0))
    return sound * ((torch.arange(n) % 4000) < 1000)


@pytest.mark.parametrize("level_db", [0.0, 10.0])
def test_noise_has_the_level_asked_for(level_db: float) -> None:
    draw = np.random.default_rng(0)
    sound, noise = draw.standard_normal(1000), draw.standard_normal(1000)
    added = with_noise(sound, 7 * noise, level_db) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(added**2)) == pytest.approx(level_db)


def test_echoes_follow_what_comes_straight_with_the_energy_asked_for() -> None:
    sound = np.zeros(RATE_HZ)
    sound[100] = 1.0
    found = in_a_room(sound, RATE_HZ, 0.4, 3.0, np.random.default_rng(0))
    assert np.abs(found[:100]).max() < 1e-9
    assert found[100] == pytest.approx(1.0)
    echoes = found[101:]
    assert 10 * np.log10(np.sum(echoes**2)) == pytest.approx(-3.0, abs=0.1)
    early, late = (np.sum(echoes[k : k + 1600] ** 2) for k in (0, 3200))
    assert 10 * np.log10(early / late) == pytest.approx(60 * 0.2 / 0.4, abs=1.5)


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(room_share=1.0, noise_share=0.0),
        Degradation(room_share=0.0, noise_share=1.0, babble_share=0.0),
        Degradation(room_share=0.0, noise_share=1.0, babble_share=1.0),
    ],
)
def test_a_recording_changes_and_nothing_moves(degradation: Degradation) -> None:
    sound = clicks()
    found = degradation(sound, RATE_HZ, torch.Generator().manual_seed(0))
    assert found.shape == sound.shape
    assert found.dtype == torch.float32
    assert not torch.allclose(found, sound, atol=1e-3)
    likeness = [float((torch.roll(found, lag) * sound).sum()) for lag in range(-40, 41)]
    assert int(np.argmax(likeness)) == 40


def test_draws_depend_on_the_generator_alone_and_differ() -> None:
    sound, degradation = clicks(), Degradation(noise_share=1.0)
    one, same, other = (
        degradation(sound, RATE_HZ, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_nothing_of_both_leaves_a_clean_recording_as_it_is() -> None:
    sound = clicks()
    assert torch.equal(Degradation(room_share=0.0, noise_share=0.0)(sound, RATE_HZ), sound)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"room_share": 1.5}, "room_share is 1.5"),
        ({"babble_share": -0.1}, "babble_share is -0.1"),
        ({"level_db": (20.0, 5.0)}, "level_db is 20.0 to 5.0"),
        ({"room_s": (0.0, 0.5)}, "room_s begins with 0.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Degradation(**settings)
