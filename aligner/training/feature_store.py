"""Features kept from one epoch to the next.

B batch, F packed frames.
"""

from collections.abc import Sequence

from torch import Tensor

from aligner.frontends.packed import PackedFeatures


class FeatureStore:
    """The features of utterances by id. The model fills it; the data leaves out audio that is not needed."""

    def __init__(self) -> None:
        self._features: dict[str, Tensor] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._features

    def keep(self, ids: Sequence[str], features: PackedFeatures) -> None:
        """Keep the features of B utterances."""
        self._features.update(zip(ids, features.unpack(), strict=True))

    def get(self, ids: Sequence[str]) -> PackedFeatures:
        """The features of B utterances, which must all be kept."""
        return PackedFeatures.pack([self._features[id] for id in ids])
