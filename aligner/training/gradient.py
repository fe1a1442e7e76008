"""The learning rate over a training run."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def noam_factor(step: int, warmup_steps: int) -> float:
    """The learning rate of step 1, 2, ... as a part of its peak: it rises linearly until `warmup_steps`, then
    falls with the square root of the step.

    Source: Vaswani et al., "Attention Is All You Need", 2017, equation 3, divided by its greatest value
    (hidden * warmup_steps) ** -0.5. For Glow-TTS (192 wide, 4000 steps) that is 1.14e-3.
    """
    return min(step / warmup_steps, (warmup_steps / step) ** 0.5)


def noam(optimizer: Optimizer, warmup_steps: int = 4000) -> LambdaLR:
    """The schedule, to be stepped after every optimizer step. The optimizer's own rate is the peak.

    Raises ValueError for less than 1 warm-up step.
    """
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps ({warmup_steps}) must be at least 1")
    return LambdaLR(optimizer, lambda steps_done: noam_factor(steps_done + 1, warmup_steps))
