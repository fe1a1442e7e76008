"""What the tests of `mas` share."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def _poisoned_memory() -> Iterator[None]:
    """Fills what `torch.empty` returns with NaN, or large integers: no backend may read it before writing it.

    So with `torch.empty_strided`. `torch.empty.__wrapped__` is the original function.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("empty", "empty_strided"):
            patch.setattr(torch, name, _poisoned(getattr(torch, name)))
        yield


def _poisoned(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    @functools.wraps(make)
    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        tensor = make(*arguments, **options)
        if type(tensor) is not torch.Tensor or tensor.requires_grad:  # torch.compile's own
            return tensor
        if tensor.dtype == torch.bool:
            return tensor.fill_(True)
        floats = tensor.is_floating_point() or tensor.is_complex()
        return tensor.fill_(float("nan") if floats else torch.iinfo(tensor.dtype).max // 3)

    return poisoned
