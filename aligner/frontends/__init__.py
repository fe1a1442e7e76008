"""Speech representations: audio in, one feature vector a frame out. `class_path` in YAML chooses one."""

from aligner.frontends.base import Frontend
from aligner.frontends.mel import Mel

__all__ = ["Frontend", "Mel"]
