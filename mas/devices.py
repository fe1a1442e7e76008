"""Devices that no backend serves, such as Apple's `mps` or Intel's `xpu`: the CPU does their work."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def implement(
    library: torch.library.Library,
    name: str,
    operation: Callable[..., Any],
    on_cuda: Callable[..., Any] | None = None,
) -> None:
    """Let an operation run on the CPU and on CUDA, and by the CPU on every other device.

    Args:
        library: Where it is defined.
        name: Of the operation.
        operation: As it is on the CPU.
        on_cuda: As it is on CUDA; None: the same.
    """
    library.impl(name, operation, "CPU")
    library.impl(name, on_cuda or operation, "CUDA")
    library.impl(name, on_the_cpu(operation), "CompositeExplicitAutograd")


def on_the_cpu(operation: Callable[..., Any]) -> Callable[..., Any]:
    """An operation for tensors of any device: they are copied to the CPU, and its result, or results, back.

    Says so once for each kind of device. PyTorch takes it (as `CompositeExplicitAutograd`) for every device
    without a kernel of its own.

    Args:
        operation: As it is for tensors on the CPU. The first tensor among its arguments says where the result
            belongs.
    """

    @functools.wraps(operation)
    def run(*arguments: Any) -> Any:
        device = next(value.device for value in arguments if isinstance(value, Tensor))
        _say(device.type)
        result = operation(*(value.cpu() if isinstance(value, Tensor) else value for value in arguments))
        if isinstance(result, tuple):
            return tuple(tensor.to(device) for tensor in result)
        return result.to(device)

    return run


@functools.cache
def _say(device_type: str) -> None:
    warnings.warn(f"mas: no backend runs on {device_type}; the CPU does the search", stacklevel=3)
