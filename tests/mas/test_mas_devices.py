"""Devices without a backend: the CPU does the work, and says so; `available_backends` agrees."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mas
from mas.compat import forced_align

_OPERATIONS = ("search", "search_states", "gaussian_search", "dense_path", "repair", "forced_align")


@pytest.mark.parametrize("key", ["MPS", "XPU", "HPU", "MTIA", "PrivateUse1", "CPU", "CUDA", "Meta"])
def test_operations_are_registered_for_every_device(key: str) -> None:
    for name in _OPERATIONS:
        assert torch._C._dispatch_has_computed_kernel_for_dispatch_key(f"mas::{name}", key), name
    here = torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
    assert {name for name in here if name.startswith("mas::")} >= {f"mas::{name}" for name in _OPERATIONS}


def test_available_backends_are_those_of_the_cpu() -> None:
    for device in ("mps", "xpu", "hpu"):
        assert mas.available_backends(device) == mas.available_backends("cpu")
    assert mas.available_backends("meta") == []


def test_on_meta_results_have_a_shape() -> None:
    def meta(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, device="meta")

    scores, states = meta(2, 3, 9), meta(2, 3).long()
    results = {
        "search": mas.search(scores, [3, 2], [9, 7], bias=scores, noise_scale=0.1),
        "states": mas.search_states(meta(2, 9, 5), states, [3, 2], [9, 7]),
        "gaussian": mas.gaussian_search(meta(2, 3, 4), None, meta(2, 9, 4), [3, 2], [9, 7]),
    }
    for name, durations in results.items():
        assert durations.device.type == "meta", name
        assert durations.shape == (2, 3), name
    assert mas.maximum_path(scores, scores).shape == (2, 3, 9)
    assert mas.log_likelihood(meta(2, 3, 4), None, meta(2, 9, 4)).shape == (2, 3, 9)
    assert [t.shape for t in forced_align(meta(2, 9, 5), states)] == [(2, 9), (2, 9)]


_ON_THE_TOY = """
import warnings
import torch
from toy_device import Toy
import mas
from mas.compat import forced_align, monotonic_align, vits

torch.manual_seed(0)
scores, mask = torch.randn(2, 3, 9), torch.ones(2, 3, 9)
lengths = torch.tensor([3, 2]), torch.tensor([9, 7])
skippable = torch.tensor([[True, False, False], [False, False, False]])
states, emissions = torch.tensor([[0, 2, 1], [1, 0, 0]]), torch.randn(2, 9, 3)
mean, speech = torch.randn(2, 3, 4), torch.randn(2, 9, 4)
labels = torch.tensor([[1, 2], [2, 2]])
calls = {
    "search": lambda to: mas.search(to(scores), *map(to, lengths), skippable=to(skippable)),
    "layout": lambda to: mas.search(to(scores.mT.contiguous()), [3, 2], [9, 7], layout="BST"),
    "backend": lambda to: mas.search(to(scores), [3, 2], [9, 7], backend="reference"),
    "no check": lambda to: mas.search(to(scores), [3, 12], [9, 7], check=False),
    "noise": lambda to: mas.search(to(scores), [3, 2], [9, 7], bias=to(-scores), noise_scale=0.5, seed=3),
    "states": lambda to: mas.search_states(to(emissions), to(states), *map(to, lengths)),
    "gaussian": lambda to: mas.gaussian_search(to(mean), None, to(speech), [3, 2], [9, 7]),
    "path": lambda to: mas.dense_path(to(torch.tensor([[2, 0, 7], [3, 4, 0]])), 9, layout="BST"),
    "maximum_path": lambda to: mas.maximum_path(to(scores), to(mask)),
    "vits": lambda to: vits.maximum_path(to(scores.mT.contiguous()), to(mask.mT.contiguous()), check=False),
    "resemble": lambda to: monotonic_align.maximum_path(to(scores), to(mask), check=True),
    "ctc paths": lambda to: forced_align(to(emissions), to(labels))[0],
    "ctc scores": lambda to: forced_align(to(emissions), to(labels), [9, 7], [2, 1])[1],
}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for name, call in calls.items():
        found, expected = call(lambda t: t.to("toy")), call(lambda t: t)
        assert found.device.type == "toy" and isinstance(found, Toy), name
        assert torch.equal(found.cpu(), expected), name
said = [str(warning.message) for warning in said if "mas" in str(warning.message)]
assert said == ["mas: no backend runs on toy; the CPU does the search"], said
for wrong, message in (
    (lambda: mas.search(scores.to("toy"), [3, 12], [9, 7]), "item 1: text length 12 is not within"),
    (lambda: mas.search(scores.to("toy"), [3, 2], [9, 7], backend="hopper"), "does not serve"),
    (lambda: forced_align(emissions.to("toy"), (labels - 1).to("toy")), "target 0 at place 0 is the blank"),
):
    try:
        wrong()
    except ValueError as error:
        assert message in str(error), error
    else:
        raise AssertionError(message)
assert mas.available_backends("toy") == mas.available_backends("cpu")
print("all", len(calls))
"""


def test_a_device_that_no_backend_serves() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{_ON_THE_TOY}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "all 13\n", done.stderr
