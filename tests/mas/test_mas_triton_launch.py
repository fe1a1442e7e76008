"""Launches that cost the host little: what is compiled once, and what anew. Kernels here are stand-ins."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

triton_launch = pytest.importorskip("mas.backends.triton_launch")


class _Kernel:
    """Counts how often Triton would have looked at all arguments, and keeps what was started directly."""

    arg_names = ("scores", "T", "SIZE")

    def __init__(self, depends_on_values: bool = False) -> None:
        own = SimpleNamespace(is_constexpr=False, do_not_specialize=not depends_on_values)
        self.params = [own, own, SimpleNamespace(is_constexpr=True, do_not_specialize=False)]
        self.slow = 0
        self.started: list[tuple[Any, ...]] = []

    def __getitem__(self, grid: tuple[int, int, int]) -> Any:
        def run(*arguments: Any, **constants: Any) -> Any:
            self.slow += 1
            return SimpleNamespace(
                packed_metadata="packed", function="function", run=lambda *a: self.started.append(a)
            )

        return run


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> _Kernel:
    monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", lambda index: 77, raising=False)
    monkeypatch.setattr(triton_launch, "_ONCE", True)
    return _Kernel()


def _launch(kernel: _Kernel, tensor: torch.Tensor, number: int, size: int = 4) -> None:
    triton_launch.launch(kernel, (5, 1, 1), (tensor,), (number,), SIZE=size, num_warps=1)


def test_the_second_launch_of_a_kind_is_started_directly(kernel: _Kernel) -> None:
    first, second = torch.zeros(3), torch.zeros(9)
    _launch(kernel, first, 3)
    assert (kernel.slow, kernel.started) == (1, [])
    _launch(kernel, second, 16)
    assert kernel.slow == 1
    expected = (5, 1, 1, 77, "function", "packed", None, None, None, second.data_ptr(), 16, 4)
    assert kernel.started == [expected]


@pytest.mark.parametrize(
    ("tensor", "number", "size"),
    [
        (torch.zeros(3).half(), 3, 4),
        (torch.zeros(3), 2**31, 4),
        (torch.zeros(3), -(2**31) - 1, 4),
        (torch.zeros(3), 3, 8),
    ],
)
def test_another_kind_is_compiled(kernel: _Kernel, tensor: torch.Tensor, number: int, size: int) -> None:
    _launch(kernel, torch.zeros(3), 3)
    _launch(kernel, tensor, number, size)
    assert (kernel.slow, kernel.started) == (2, [])


def test_where_triton_looks_at_values_they_make_a_kind(kernel: _Kernel) -> None:
    looks = _Kernel(depends_on_values=True)
    room = torch.zeros(40)
    for tensor, number in ((room, 3), (room, 16), (room, 1), (room[1:], 3)):
        _launch(looks, tensor, number)
    assert looks.slow == 4
    _launch(looks, room[8:], 5)
    assert looks.slow == 4


def test_a_profiler_sees_every_launch(kernel: _Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    _launch(kernel, torch.zeros(3), 3)
    watching = SimpleNamespace(launch_enter_hook=lambda metadata: None, launch_exit_hook=None)
    monkeypatch.setattr(triton_launch, "knobs", SimpleNamespace(runtime=watching))
    _launch(kernel, torch.zeros(3), 3)
    assert (kernel.slow, kernel.started) == (2, [])
