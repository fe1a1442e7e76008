"""A backend against the reference on the machine at hand."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

import mas
from mas.self_test import self_test


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_backends_that_are_right_pass(backend: Any) -> None:
    result = self_test("cpu", backend, seconds=0.05)
    assert result.wrong == ""
    assert result.batches >= 6
    assert result.seconds >= result.first_seconds + 0.05


@pytest.mark.gpu
def test_backends_of_the_gpu_pass() -> None:
    for backend in mas.available_backends("cuda"):
        assert self_test("cuda", backend, seconds=0.5).wrong == ""


@pytest.mark.parametrize("name", ["durations", "state_durations"])
def test_a_backend_that_is_wrong_is_caught_and_its_batch_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One frame goes to a neighbour, in one item of a batch."""
    module_of_search = sys.modules["mas.search"]  # `mas.search` is its function
    imported = module_of_search.imported

    def broken(module: str, function: str) -> Callable[..., Any]:
        right = imported(module, function)
        if (module, function) != ("cpu", name):
            return right

        def wrong(*arguments: Any, **more: Any) -> torch.Tensor:
            durations = right(*arguments, **more)
            row = durations[-1]
            longest = int(row.argmax())
            if row[longest] > 1 and len(row) > 1:
                row[longest] -= 1
                row[longest - 1] += 1
            return durations

        return wrong

    monkeypatch.setattr(module_of_search, "imported", broken)
    found = self_test("cpu", "cpu", seconds=60).wrong
    assert found.startswith("search_states, seed" if name == "state_durations" else "search, seed")
    assert "differ from the reference" in found
