"""Silence that needs no model: where only a pause can be.

Digital zeros, an offset, or the noise of another room are far from all that a pause was learnt from; left to
the densities, the phone with the broadest Gaussians takes them. So frames of surplus silence, which the
features mark, are a pause's whatever they sound like. A phone that has to go through one (own tokens without
pauses) does so at the same price as any other.

R feature streams, F packed frames, M states.
"""

from torch import Tensor

_NOT_SILENT = -1000.0  # log-likelihood of a phone there, to a pause's 0: no gain elsewhere pays for one frame


def settle_surplus_(emissions: Tensor, surplus: Tensor) -> None:
    """Decide frames of surplus silence in the emissions, in place. State 0 is the pause's.

    Args:
        emissions: `[R, F, M]`, of R feature streams, or `[F, M]`, of one.
        surplus: Bool `[F]`, see `PackedFeatures`.
    """
    emissions[..., 0].masked_fill_(surplus, 0.0)  # (an index of bools would wait for the GPU)
    emissions[..., 1:].masked_fill_(surplus[:, None], _NOT_SILENT)
