"""The search in CUDA C++ for GPUs with thread block clusters (Hopper and later).

`search.cu` is the kernel, `search.py` its launch. `gaussian.cu` and `gaussian.py` compute Gaussian scores
while the search runs. `ptx.cuh` wraps single instructions. `cuda_driver.py` compiles and launches.
"""

from mas.backends.hopper.search import durations, serves, state_durations

__all__ = ["durations", "serves", "state_durations"]
