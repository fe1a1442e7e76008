"""Launches of Triton's kernels that cost the host little.

Triton binds and inspects all arguments at each launch, which takes 50 us for a kernel with many: as long as a
short search. Here that is done once for each kind of arguments.
"""

import functools
from typing import Any

import torch
from torch import Tensor

# Compiled kernels, and the constants that they are launched with, by kernel, GPU and kind of arguments.
_known: dict[Any, tuple[Any, tuple[Any, ...]]] = {}
# What else Triton's kernels for AMD depend on is not looked at here.
_ONCE = torch.version.hip is None
_INT32 = 2**31


def launch(kernel: Any, grid: tuple[int, int, int], *arguments: Any, **constants: Any) -> None:
    """As `kernel[grid](*arguments, **constants)`, on the current GPU.

    Args:
        kernel: Made by `triton.jit`.
        grid: Programs.
        *arguments: Tensors and integers, in the kernel's order, all before its constants.
        **constants: Its constants, and Triton's options such as `num_warps`.
    """
    if _depends_on_values(kernel):
        kinds = tuple([_kind(argument) for argument in arguments])
    else:
        kinds = tuple([-_INT32 <= own < _INT32 if own.__class__ is int else own.dtype for own in arguments])
    device = torch.cuda.current_device() if arguments[0].is_cuda else -1
    key = kernel, device, kinds, *constants.values()
    known = _known.get(key)
    if known is not None:
        compiled, values = known
        # An address needs no look at what it points to.
        plain = [own if own.__class__ is int else own.data_ptr() for own in arguments]
        compiled[grid](*plain, *values)
        return
    compiled = kernel[grid](*arguments, **constants)
    if _ONCE and hasattr(compiled, "packed_metadata"):  # the interpreter returns nothing
        names = kernel.arg_names[len(arguments) :]
        _known[key] = compiled, tuple(constants[name] for name in names)


@functools.cache
def _depends_on_values(kernel: Any) -> bool:
    """Whether Triton compiles a kernel anew for sizes and addresses that 16 divides."""
    params = getattr(kernel, "params", ())  # the interpreter has none
    return not all(param.is_constexpr or param.do_not_specialize for param in params)


def _kind(argument: Tensor | int) -> Any:
    """All that Triton's kernels for NVIDIA depend on, of an argument."""
    if isinstance(argument, Tensor):
        return argument.dtype, argument.data_ptr() % 16 == 0
    return -_INT32 <= argument < _INT32, argument == 1, argument % 16 == 0
