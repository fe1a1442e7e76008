"""Made-up recordings for tests.

B batch, N samples.
"""

import torch
from torch import Tensor


def noise(n_samples: int = 16000, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two recordings of white noise, the second 3,000 samples shorter: audio `[B, N]` and lengths `[B]`."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([n_samples, n_samples - 3000])
    return 0.1 * torch.randn(2, n_samples, generator=generator), lengths
