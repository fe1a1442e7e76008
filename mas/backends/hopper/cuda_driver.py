"""CUDA C++ without an installed compiler.

NVRTC, which comes with PyTorch's wheels, compiles a source file for the GPU at hand. The CUDA driver loads
and launches the result.
"""

import ctypes
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import torch

from mas.backends.hopper.code_cache import kept

FLOAT_TYPES = {"FLOAT32": 0, "FLOAT16": 1, "BFLOAT16": 2}  # names for -D, and values of SCORE_TYPE
SCORE_TYPES = {
    torch.float32: FLOAT_TYPES["FLOAT32"],
    torch.float16: FLOAT_TYPES["FLOAT16"],
    torch.bfloat16: FLOAT_TYPES["BFLOAT16"],
}

EXTRA_DEFINES: dict[str, int] = {}  # of every source; `scripts/sanitize_mas.py` compiles with one

_CLUSTER_DIMENSION = 4  # CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
_OVERLAP = 6  # CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
_NON_PORTABLE_CLUSTER = 14  # CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
_MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


def compile_source(source: pathlib.Path, architecture: int, defines: Mapping[str, int]) -> bytes:
    """Machine code of a source file, compiled once and then kept (see `code_cache`). Needs no GPU.

    Args:
        source: A .cu file; it may include .cu and .cuh files of its folder.
        architecture: The compute capability of the GPU as one number (90, 100, ...).
        defines: Names and values for -D.

    Raises:
        ImportError: cuda-bindings or NVRTC is missing.
        RuntimeError: The source does not compile; the message is the compiler's.
    """
    from cuda.bindings import nvrtc

    options = [f"--gpu-architecture=sm_{architecture}a", "--std=c++17", "--fmad=false"]
    options += [f"-D{name}={value}" for name, value in {**defines, **EXTRA_DEFINES}.items()]
    beside = [file for file in sorted(source.parent.glob("*.cu*")) if file != source]
    headers, names = [file.read_bytes() for file in beside], [file.name.encode() for file in beside]
    own, name = source.read_bytes(), source.name.encode()
    version = b"%d.%d" % _checked(nvrtc.nvrtcVersion())
    asked = [option.encode() for option in options]
    parts = [version, *asked, name, own, *names, *headers]
    return kept(parts, lambda: _compiled(own, name, headers, names, asked))


def _compiled(
    own: bytes, name: bytes, headers: list[bytes], names: list[bytes], options: list[bytes]
) -> bytes:
    from cuda.bindings import nvrtc

    program = _checked(nvrtc.nvrtcCreateProgram(own, name, len(headers), headers, names))
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            log = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise RuntimeError(f"NVRTC could not compile {name.decode()}: {log.decode().rstrip(chr(0))}")
        code = bytearray(_checked(nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return bytes(code)


def architecture(index: int) -> int:
    """The compute capability of a GPU, as `compile_source` takes it."""
    major, minor = torch.cuda.get_device_capability(index)
    return 10 * major + minor


def _checked(answer: tuple[Any, ...]) -> Any:
    """The result of an NVRTC call, several as a tuple, or RuntimeError."""
    status, *result = answer
    if int(status) != 0:
        raise RuntimeError(f"mas: NVRTC error {status}")
    return tuple(result) if len(result) > 1 else (result or [None])[0]


class _Attribute(ctypes.Structure):
    """`CUlaunchAttribute` of the driver."""

    _fields_ = [("id", ctypes.c_int32), ("pad", ctypes.c_int32), ("value", ctypes.c_uint32 * 16)]


class _Launch(ctypes.Structure):
    """`CUlaunchConfig` of the driver."""

    _fields_ = [
        ("grid_x", ctypes.c_uint32),
        ("grid_y", ctypes.c_uint32),
        ("grid_z", ctypes.c_uint32),
        ("block_x", ctypes.c_uint32),
        ("block_y", ctypes.c_uint32),
        ("block_z", ctypes.c_uint32),
        ("shared_bytes", ctypes.c_uint32),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("attribute_count", ctypes.c_uint32),
    ]


@functools.cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


class Kernel:
    """A kernel of compiled code, loaded on one device.

    Args:
        index: Of the device.
        code: Machine code from `compile_source`.
        name: Of the kernel.
        threads: Of a thread block.
        shared_bytes: Dynamic shared memory of a thread block.
        cluster: Thread blocks in each cluster.

    Raises:
        OSError: There is no driver.
        RuntimeError: The driver reports an error; the message is the driver's.
    """

    def __init__(
        self, index: int, code: bytes, name: str, threads: int, shared_bytes: int, cluster: int = 1
    ) -> None:
        self._cuda = _driver()
        self._index, self._threads, self._shared_bytes = index, threads, shared_bytes
        self._function, self._module = ctypes.c_void_p(), ctypes.c_void_p()
        with torch.cuda.device(index):
            torch.cuda.current_stream().query()  # makes the device's context
            self._check(self._cuda.cuModuleLoadData(ctypes.byref(self._module), code))
            function = ctypes.byref(self._function), self._module, name.encode()
            self._check(self._cuda.cuModuleGetFunction(*function))
            setting = self._function, _MAX_DYNAMIC_SHARED, shared_bytes
            self._check(self._cuda.cuFuncSetAttribute(*setting))
            self._check(self._cuda.cuFuncSetAttribute(self._function, _NON_PORTABLE_CLUSTER, 1))
        self._attributes = (_Attribute * 2)(
            _Attribute(_CLUSTER_DIMENSION, 0, (cluster, 1, 1)), _Attribute(_OVERLAP, 0, (1,))
        )

    def launch(self, blocks: int, *arguments: Any, overlap: bool = False) -> None:
        """Launches so many thread blocks on the current stream of the device.

        Args:
            blocks: Thread blocks.
            arguments: ctypes structures and numbers.
            overlap: Begin before the launch before has ended: the kernel itself waits for that.
        """
        index = self._index
        if torch.cuda.current_device() != index:
            with torch.cuda.device(index):
                return self.launch(blocks, *arguments, overlap=overlap)
        stream = torch._C._cuda_getCurrentRawStream(index)  # as current_stream(), 40 times as fast
        config = self._config(blocks, stream, self._attributes, 2 if overlap else 1)
        addresses = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        self._check(self._cuda.cuLaunchKernelEx(ctypes.byref(config), self._function, addresses, None))

    def clusters_at_once(self, blocks: int) -> int:
        """How many clusters of so many thread blocks fit on the device at once, if nothing else runs."""
        count, cluster = ctypes.c_int(), ctypes.pointer(_Attribute(_CLUSTER_DIMENSION, 0, (blocks, 1, 1)))
        config = self._config(blocks, None, cluster)
        with torch.cuda.device(self._index):
            arguments = ctypes.byref(count), self._function, ctypes.byref(config)
            self._check(self._cuda.cuOccupancyMaxActiveClusters(*arguments))
        return count.value

    def _config(self, blocks: int, stream: int | None, attributes: Any, count: int = 1) -> _Launch:
        return _Launch(blocks, 1, 1, self._threads, 1, 1, self._shared_bytes, stream, attributes, count)

    def _check(self, status: int) -> None:
        if status != 0:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorString(status, ctypes.byref(text))
            raise RuntimeError(f"mas: CUDA driver error {status}: {(text.value or b'unknown').decode()}")
