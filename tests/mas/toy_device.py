"""A device that PyTorch knows only from here, `toy`: what runs on it had no kernel of its own.

It stands in for devices that no test has (mps, xpu). Its tensors hold tensors on the CPU, and PyTorch's own
operations run on those; operations of `mas` come to their kernels as for any other device. Importing this
names PyTorch's spare device for the whole process.
"""

from typing import Any

import torch
from torch.utils import _pytree as pytree

torch.utils.backend_registration._setup_privateuseone_for_python_backend("toy")


class Toy(torch.Tensor):
    """A tensor on the device."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    on_cpu: torch.Tensor

    @staticmethod
    def __new__(cls, on_cpu: torch.Tensor) -> "Toy":
        tensor = torch._C._acc.create_empty_tensor(on_cpu.shape, on_cpu.dtype)
        tensor.__class__ = cls
        tensor.on_cpu = on_cpu
        return tensor


def _unwrapped(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    if isinstance(value, torch.Tensor) and value.device.type == "toy":
        return value.on_cpu  # type: ignore[attr-defined]
    return value


def _on_the_cpu(operation: Any, *arguments: Any, **options: Any) -> Any:
    """Any operation that has no kernel for the device."""
    if operation.namespace == "mas":
        raise AssertionError(f"{operation} has no kernel for this device")
    given = pytree.tree_leaves((arguments, options))
    unwrapped, unwrapped_options = pytree.tree_map(_unwrapped, (arguments, options))
    if operation is torch.ops.aten._copy_from.default:
        unwrapped[1].copy_(unwrapped[0])
        return arguments[1]

    def wrapped(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        own = [tensor for tensor in given if _unwrapped(tensor) is value]  # of an operation in place
        return own[0] if own else Toy(value)

    return pytree.tree_map(wrapped, operation(*unwrapped, **unwrapped_options))


_everything = torch.library.Library("_", "IMPL")
_everything.fallback(_on_the_cpu, "PrivateUse1")
_aten = torch.library.Library("aten", "IMPL")
_aten.impl("detach", lambda tensor: Toy(tensor.on_cpu.detach()), "AutogradPrivateUse1")
_aten.impl("arange", lambda end, *, dtype=None, **_others: Toy(torch.arange(end, dtype=dtype)), "PrivateUse1")
