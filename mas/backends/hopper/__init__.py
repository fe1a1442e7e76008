"""The search in CUDA C++ for GPUs with thread block clusters (Hopper and later).

`search.cu` is the kernel, `search_loader.cuh` how it reads scores, `search.py` its launch. `lockstep.cu` and
`lockstep.py` are the same for skippable tokens, states' emissions and long texts; `lockstep_items.cuh` says
which cells a path can visit, and `lockstep_back.cuh` goes back along the path. `gaussian.cu` and
`gaussian.py` compute Gaussian scores while the search runs. `score_type.cuh` is the type of scores in memory,
`ptx.cuh` wraps single instructions. `cuda_driver.py` compiles and launches.
"""

from mas.backends.hopper.lockstep import state_durations
from mas.backends.hopper.search import durations, reads_by_fours, serves

__all__ = ["durations", "reads_by_fours", "serves", "state_durations"]
