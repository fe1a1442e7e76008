"""Speech representations: audio in, one feature vector a frame out. `class_path` in YAML chooses one."""

from aligner.frontends.base import Frontend
from aligner.frontends.mel import Mel
from aligner.frontends.yingram import Yingram

__all__ = ["Frontend", "Mel", "Yingram"]
