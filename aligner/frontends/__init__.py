"""Speech representations: audio in, one feature vector a frame out. `class_path` in YAML chooses one."""

from aligner.frontends.base import Frontend
from aligner.frontends.cache import Cached
from aligner.frontends.combine import Combine
from aligner.frontends.cqt import Cqt
from aligner.frontends.energy import Energy
from aligner.frontends.mel import Mel
from aligner.frontends.nansy import Nansy
from aligner.frontends.self_supervised import SelfSupervised
from aligner.frontends.yingram import Yingram

__all__ = ["Cached", "Combine", "Cqt", "Energy", "Frontend", "Mel", "Nansy", "SelfSupervised", "Yingram"]
