"""Several processes that train one aligner, each on its share of every step or epoch.

Lightning starts them, or torchrun or Slurm does. They do not use DDP's wrapper: mixtures have no gradients,
and for gradients it would need every process to have an utterance in every batch. What is added up over the
processes (statistics, gradients, counts) is added up here, so that the model is that of one process but for
rounding.
"""

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor


class Processes(DDPStrategy):
    """Lightning's DDP without the wrapper around the module."""

    def configure_ddp(self) -> None:
        """Instead of wrapping the module: every process starts with the weights of the first."""
        assert self.model is not None
        for value in self.model.state_dict().values():
            torch.distributed.broadcast(value, 0)


def world() -> tuple[int, int]:
    """The number of this process and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def add_up(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one message for each type of number."""
    _, processes = world()
    if processes == 1:
        return
    of_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        of_type.setdefault(tensor.dtype, []).append(tensor)
    for own in of_type.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in own])
        torch.distributed.all_reduce(flat)
        for tensor, total in zip(own, flat.split([tensor.numel() for tensor in own]), strict=True):
            tensor.copy_(total.view_as(tensor))


def gathered(value: Any) -> list[Any]:
    """What each process has, in their order; plain data."""
    _, processes = world()
    if processes == 1:
        return [value]
    everyones: list[Any] = [None] * processes
    torch.distributed.all_gather_object(everyones, value)
    return everyones
