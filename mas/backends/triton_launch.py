"""Launches of Triton's kernels that cost the host little.

Triton binds and inspects all arguments at each launch, which takes 50 us for a kernel with many: as long as a
short search. Here that is done once for each kind of arguments, and what Triton compiled then is started
directly.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from triton import knobs

# What else Triton's kernels for AMD depend on is not looked at here.
_ONCE = torch.version.hip is None
_INT32 = 2**31


class _Kernel:
    """A kernel, and what Triton made of it so far.

    Args:
        kernel: Made by `triton.jit`.
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel  # so that its id stays its own
        params = getattr(kernel, "params", ())  # the interpreter has none
        # Whether Triton compiles it anew for sizes and addresses that 16 divides.
        self.depends_on_values = not all(param.is_constexpr or param.do_not_specialize for param in params)
        # Compiled kernels, and the constants that they are started with, by GPU and kind of arguments.
        self.compiled: dict[Any, tuple[Any, tuple[Any, ...]]] = {}


_kernels: dict[int, _Kernel] = {}  # by id: a kernel's hash is its source's


def launch(
    kernel: Any,
    grid: tuple[int, int, int],
    tensors: Sequence[Tensor],
    numbers: Sequence[int],
    **constants: Any,
) -> None:
    """As `kernel[grid](*tensors, *numbers, **constants)`, on the GPU of the first tensor.

    Args:
        kernel: Made by `triton.jit`. Its arguments are tensors, then integers, then constants.
        grid: Programs.
        tensors: In the kernel's order.
        numbers: In the kernel's order.
        **constants: Its constants, and Triton's options such as `num_warps`.
    """
    index = tensors[0].get_device()  # -1: the interpreter's, on the CPU
    if index >= 0 and torch._C._cuda_getDevice() != index:
        with torch.cuda.device(index):
            return launch(kernel, grid, tensors, numbers, **constants)
    own = _kernels.get(id(kernel)) or _kernels.setdefault(id(kernel), _Kernel(kernel))
    if own.depends_on_values:
        kinds: Any = [*map(_kind, tensors), *map(_kind, numbers)]
    else:
        kinds = [tensor.dtype for tensor in tensors]
        if min(numbers) < -_INT32 or max(numbers) >= _INT32:
            kinds += [-_INT32 <= number < _INT32 for number in numbers]
    key = index, *kinds, *constants.values()
    known = own.compiled.get(key)
    if known is not None and not _watched():
        compiled, values = known
        # An address needs no look at what it points to.
        compiled.run(
            *grid, torch._C._cuda_getCurrentRawStream(index), compiled.function, compiled.packed_metadata,
            None, None, None, *[tensor.data_ptr() for tensor in tensors], *numbers, *values,
        )  # fmt: skip
        return None
    compiled = kernel[grid](*tensors, *numbers, **constants)
    if _ONCE and hasattr(compiled, "packed_metadata"):  # the interpreter returns nothing
        names = kernel.arg_names[len(tensors) + len(numbers) :]
        own.compiled[key] = compiled, tuple(constants[name] for name in names)
    return None


def _watched() -> bool:
    """Whether someone, such as a profiler, is to be told of launches."""
    enter, leave = knobs.runtime.launch_enter_hook, knobs.runtime.launch_exit_hook
    return bool(getattr(enter, "calls", enter) or getattr(leave, "calls", leave))


def _kind(argument: Tensor | int) -> Any:
    """All that Triton's kernels for NVIDIA depend on, of an argument."""
    if isinstance(argument, Tensor):
        return argument.dtype, argument.data_ptr() % 16 == 0
    return -_INT32 <= argument < _INT32, argument == 1, argument % 16 == 0
