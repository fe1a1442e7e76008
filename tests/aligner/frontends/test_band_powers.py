"""The powers of a sound and its bands, against their definition; PyTorch's way, which GPUs take, agrees."""

import numpy as np
import pytest
import torch

from aligner.alignment import FrameGrid
from aligner.frontends.band_powers import band_powers
from aligner.frontends.surplus_silence import _powers

WINDOW, HOP, LEFT = 40, 16, 20
REACHES = np.array([12, 3, 1, 0])


def mean_around(sound: np.ndarray, reach: int) -> np.ndarray:
    return np.array([sound[max(0, i - reach) : i + reach + 1].mean() for i in range(len(sound))])


def test_powers_are_mean_squares_of_bands_around_each_frame() -> None:
    draw = np.random.default_rng(0)
    audio = (draw.standard_normal((3, 200)) + 2.0).astype(np.float32)
    lengths = np.array([200, 7, 150])
    found = np.full((4, 3, 14), np.nan, np.float32)
    band_powers(audio, lengths, REACHES, WINDOW, HOP, LEFT, found)
    for b, n in enumerate(lengths):
        sound = audio[b, :n].astype(np.float64)
        means = [mean_around(sound, reach) for reach in REACHES[:3]] + [sound]
        bands = [sound - means[0], *np.diff(means, axis=0)]
        for level, band in enumerate(bands):
            for frame in range(14):
                own = band[max(0, frame * HOP - LEFT) : max(0, frame * HOP - LEFT + WINDOW)]
                power = np.mean(own**2) if len(own) else 0.0
                assert found[level, b, frame] == pytest.approx(power, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("rule", ["center", "center_drop_last", "same"])
@pytest.mark.parametrize(
    ("rate_hz", "hop", "window"), [(16000, 160, 400), (22050, 221, 552), (8000, 80, 200)]
)
def test_pytorch_finds_the_same(rate_hz: int, hop: int, window: int, rule: str) -> None:
    grid = FrameGrid(hop, rate_hz, rule)  # type: ignore[arg-type]
    draw = torch.Generator().manual_seed(0)
    audio = torch.randn(5, 9000, generator=draw) * torch.rand(5, 1, generator=draw) + 0.3
    lengths = torch.tensor([9000, 8999, 100, 2, 1])
    by_pytorch = _powers(audio, lengths, grid, REACHES.tolist(), window)
    found = torch.empty_like(by_pytorch)
    left = grid.padding(window)[0]
    band_powers(audio.numpy(), lengths.numpy(), REACHES, window, hop, left, found.numpy())
    assert (found - by_pytorch).abs().max() < 1e-6
