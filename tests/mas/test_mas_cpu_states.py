"""The numba backend of `mas.search_states` against the definition."""

import pytest
import torch
from state_cases import random_state_batch

from mas.backends import cpu_states


@pytest.fixture(params=["at once", "in stretches"])
def stretches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as it is, when small items are searched in one go, and once with everything cut up."""
    if request.param == "in stretches":
        monkeypatch.setattr(cpu_states, "_CELLS_AT_ONCE", 0)
        monkeypatch.setattr(cpu_states, "_BLOCK", 3)
        monkeypatch.setattr(cpu_states, "_LEAST_BLOCKS_BETWEEN", 2)


@pytest.mark.usefixtures("stretches")
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_equals_the_reference_on_anything(packed: bool, skips: bool) -> None:
    paths = 0
    for seed in range(20):
        T, S, M = 1 + seed % 9, 1 + 2 * seed % 23, 1 + seed % 5
        batch = random_state_batch(seed, 40, T, S, M, packed=packed, skips=skips, odd_values=True)
        durations = batch.search(backend="cpu", check=False)
        assert torch.equal(durations, batch.search(backend="reference", check=False)), seed
        paths += int((durations[:, 0] >= 0).sum())
    assert 200 < paths < 800  # both kinds of item were there


@pytest.mark.usefixtures("stretches")
@pytest.mark.parametrize("skips", [False, True])
def test_longer_items(skips: bool) -> None:
    for seed, (T, S) in enumerate([(1, 50), (50, 50), (40, 131), (97, 128)]):
        batch = random_state_batch(seed, 6, T, S, 7, skips=skips)
        assert torch.equal(batch.search(backend="cpu"), batch.expected())
