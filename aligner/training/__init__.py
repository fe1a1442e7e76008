"""All that only training needs: the two ways to train, the data, Lightning's module and command line."""

from aligner.training.augmentation import Augmentation
from aligner.training.degradation import Degradation
from aligner.training.em import EM
from aligner.training.gradient import Gradient
from aligner.training.method import TrainingMethod
from aligner.training.voice_perturbation import Perturbation

__all__ = ["EM", "Augmentation", "Degradation", "Gradient", "Perturbation", "TrainingMethod"]
