"""The echoes of a room, found in a recording and taken off it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from aligner.corpus.noise import without_noise
from aligner.corpus.rooms import Echoes, echoes_of
from aligner.training.degradation import in_a_room

RATE_HZ = 16000


def bursts(seconds: float = 6.0, seed: int = 0) -> Tensor:
    """Noise of a fifth of a second with silence between, of other lengths, above a faint hiss."""
    draw = np.random.default_rng(seed)
    sound = 1e-4 * draw.standard_normal(round(seconds * RATE_HZ))
    at = 0.2
    while at < seconds - 0.5:
        place = slice(round(at * RATE_HZ), round((at + 0.2) * RATE_HZ))
        sound[place] += 0.1 * draw.standard_normal(place.stop - place.start)
        at += 0.2 + draw.uniform(0.2, 0.5)
    return torch.from_numpy(sound).float()


def in_room(sound: Tensor, room_s: float, direct_db: float) -> Tensor:
    draw = np.random.default_rng(1)
    return torch.from_numpy(in_a_room(sound.double().numpy(), RATE_HZ, room_s, direct_db, draw)).float()


@pytest.mark.parametrize("room_s", [0.4, 0.8])
@pytest.mark.parametrize("direct_db", [0.0, 6.0])
def test_how_long_and_how_loud_echoes_are_is_found(room_s: float, direct_db: float) -> None:
    found = echoes_of(in_room(bursts(), room_s, direct_db), RATE_HZ)
    assert found is not None
    assert found.certainty == 1
    assert found.decay_s == pytest.approx(room_s, rel=0.35)
    assert found.direct_db == pytest.approx(direct_db, abs=3)


def test_without_a_room_nothing_is_found_and_nothing_changes() -> None:
    for audio in (bursts(), torch.zeros(RATE_HZ), torch.zeros(10), torch.ones(0)):
        assert echoes_of(audio, RATE_HZ) is None
        assert without_noise(audio, RATE_HZ) is audio


def test_the_energy_of_echoes_is_that_of_what_came_before() -> None:
    """Of one frame: its share, then less in each frame. A lasting sound and its echoes stay as they are."""
    echoes, hop_s = Echoes(decay_s=0.3, direct_db=3.0, certainty=1.0), 0.008
    decay = 10 ** (-6 * hop_s / 0.3)
    straight = np.zeros((60, 1), np.float32)
    straight[5] = 1.0
    together = straight.copy()
    together[6:, 0] = 10**-0.3 * (1 - decay) * decay ** np.arange(54)
    found = echoes.energy(together, hop_s)
    assert np.allclose(found, together - straight, atol=1e-6)
    lasting = echoes.energy(np.ones((2000, 1), np.float32), hop_s)
    assert float(lasting[-1, 0]) == pytest.approx(10**-0.3 / (1 + 10**-0.3), rel=1e-3)


def test_echoes_are_taken_off_and_nothing_moves() -> None:
    dry = bursts()
    wet = in_room(dry, 0.5, 3.0)
    found = without_noise(wet, RATE_HZ)
    assert found.shape == wet.shape
    level = dry.unfold(0, 160, 160).square().mean(1)
    loud = (level > level.max() / 4).repeat_interleave(160)
    quiet = ~torch.nn.functional.max_pool1d((level > 1e-6).float()[None], 5, 1, 2)[0].bool()
    quiet = quiet.repeat_interleave(160)
    taken = [float((own[quiet].square().mean() / own[loud].square().mean()).log10()) for own in (wet, found)]
    assert taken[1] < taken[0] - 0.7  # 7 dB
    assert float((found[loud] * dry[loud]).sum()) > 0.4 * float(dry[loud].square().sum())
    lags = range(-40, 41)
    likeness = [float((torch.roll(found, lag) * dry).sum()) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0
