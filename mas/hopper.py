"""The search in CUDA C++ for cards with thread block clusters: Hopper and later. The kernel is hopper.cu.

NVRTC, which comes with PyTorch's wheels, compiles it for the card at hand when it is first needed; no
compiler has to be installed. Where anything of that is missing, `serves` says no and plain Triton (gpu.py)
does the work.

B batch, T text tokens, S speech frames.
"""

import ctypes
import functools
import pathlib
from typing import Any, NamedTuple

import torch
from torch import Tensor

_SOURCE = pathlib.Path(__file__).with_suffix(".cu")
_SCORE_TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
_PORTABLE_CLUSTER = 8  # thread blocks every card with clusters can gang together
_MAX_TOKENS = 4096
_INBOX_BYTES = 8 * 256  # as in hopper.cu
_WINDOW = 8 * 96 + 4  # as in hopper.cu
_SHARED_BYTES = 227 * 1024  # a block's share on Hopper and on Blackwell for servers; smaller cards have less


class Shape(NamedTuple):
    """How an item's tokens are spread: `blocks` thread blocks, `warps` each, 32 * `rows` tokens a warp;
    `stages` of 32 frames are buffered."""

    rows: int
    warps: int
    blocks: int
    stages: int

    @property
    def shared_bytes(self) -> int:
        rings = self.warps * (32 * self.rows * self.stages * 128 + _INBOX_BYTES) + _INBOX_BYTES
        tokens = 32 * self.rows * self.warps * self.blocks
        return max(rings, 3 * 8 * 4 * min(_WINDOW, tokens) + 4 * tokens)


def serves(device: torch.device) -> bool:
    """Whether this backend runs on `device`."""
    if not torch.cuda.is_available():
        return False
    return _serves(device.index if device.index is not None else torch.cuda.current_device())


@functools.cache
def _serves(index: int) -> bool:
    properties = torch.cuda.get_device_properties(index)
    if torch.version.hip is not None or (properties.major, properties.minor) < (9, 0):
        return False
    if properties.shared_memory_per_block_optin < _SHARED_BYTES:  # type: ignore[attr-defined]
        return False
    try:
        _kernel(index, _shape(64, 1, 1), 0)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """Scores `[B, T, S]` of any strides -> int64 `[B, T]`, as `mas.reference.durations`; waits for nothing.

    Memory: one bit a score. Longer texts than 4096 tokens and skippable tokens are served by plain Triton.
    """
    B, T, S = scores.shape
    if skippable is not None or T > _MAX_TOKENS:
        from mas import gpu

        return gpu.durations(scores, text_lengths, speech_lengths, skippable)
    if scores.dtype == torch.float64:
        scores = scores.float()
    device = scores.device
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    blocks, pitch = -(-S // 32), -(-T // 4) * 4
    histories = torch.empty(B * blocks * pitch, dtype=torch.int32, device=device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    kernel = _kernel(device.index, _shape(T, B, _processors(device.index)), _SCORE_TYPES[scores.dtype])
    arguments = _Arguments(
        scores.data_ptr(), *scores.stride(), text_lengths.data_ptr(), speech_lengths.data_ptr(),
        result.data_ptr(), histories.data_ptr(), T, S, blocks, pitch, text_lengths.dtype == torch.int64,
        speech_lengths.dtype == torch.int64, _loader(scores),
    )  # fmt: skip
    stream = torch.cuda.current_stream(device).cuda_stream
    if torch.cuda.current_device() == device.index:
        kernel.launch(B, stream, arguments)
    else:
        with torch.cuda.device(device):
            kernel.launch(B, stream, arguments)
    return result


@functools.lru_cache(maxsize=4096)
def _shape(T: int, B: int, processors: int) -> Shape:
    """Two tokens a lane finish one item sooner, four do less work for each score; measured on an H100.

    Where there are processors to spare, deeper buffers let each block have its processor for itself.
    """
    if T <= 256:
        return Shape(rows=2, warps=-(-T // 64), blocks=1, stages=4 if processors < B else 6)
    if T <= 1024:
        return Shape(rows=4, warps=2, blocks=-(-T // 256), stages=4 if processors < 4 * B else 6)
    if T <= 3072:
        return Shape(rows=4, warps=3, blocks=-(-T // 384), stages=4)
    return Shape(rows=4, warps=4, blocks=-(-T // 512), stages=3)


@functools.cache
def _processors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def _loader(scores: Tensor) -> int:
    """How the kernel reads: 0 four frames of a token at once, 1 one frame at a time, 2 token after token."""
    stride_b, stride_i, stride_j = scores.stride()
    aligned = scores.data_ptr() % (4 * scores.element_size()) == 0
    if aligned and stride_j == 1 and stride_i % 4 == 0 and stride_b % 4 == 0:
        return 0
    return 2 if abs(stride_i) < abs(stride_j) else 1


# ---------------------------------------------------------------- compiling and launching


def compile_kernel(architecture: int, shape: Shape, score_type: int) -> bytes:
    """Machine code for a card of compute capability `architecture` (90, 100, ...). Needs no card.

    Raises ImportError where cuda-bindings or NVRTC are missing, RuntimeError with the compiler's words.
    """
    from cuda.bindings import nvrtc

    options = [
        f"--gpu-architecture=sm_{architecture}", "--std=c++17", "--fmad=false",
        f"-DR={shape.rows}", f"-DD={shape.stages}", f"-DSCORE_TYPE={score_type}",
    ]  # fmt: skip
    program = _checked(nvrtc.nvrtcCreateProgram(_SOURCE.read_bytes(), _SOURCE.name.encode(), 0, None, None))
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            log = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise RuntimeError(f"NVRTC could not compile {_SOURCE.name}: {log.decode().rstrip(chr(0))}")
        code = bytearray(_checked(nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return bytes(code)


class _Arguments(ctypes.Structure):
    """`struct Arguments` of hopper.cu."""

    _fields_ = [
        ("scores", ctypes.c_uint64),
        ("stride_b", ctypes.c_int64),
        ("stride_i", ctypes.c_int64),
        ("stride_j", ctypes.c_int64),
        ("text_lengths", ctypes.c_uint64),
        ("speech_lengths", ctypes.c_uint64),
        ("durations", ctypes.c_uint64),
        ("histories", ctypes.c_uint64),
        ("T", ctypes.c_int32),
        ("S", ctypes.c_int32),
        ("blocks", ctypes.c_int32),
        ("pitch", ctypes.c_int32),
        ("text_lengths_are_int64", ctypes.c_int32),
        ("speech_lengths_are_int64", ctypes.c_int32),
        ("loader", ctypes.c_int32),
    ]


class _Attribute(ctypes.Structure):
    """`CUlaunchAttribute` of the driver, as far as cluster dimensions go."""

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


_CLUSTER_DIMENSION = 4  # CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
_NON_PORTABLE_CLUSTER = 14  # CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
_MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


class _Kernel:
    """The compiled kernel, loaded on one device."""

    def __init__(self, index: int, shape: Shape, score_type: int) -> None:
        major, minor = torch.cuda.get_device_capability(index)
        code = compile_kernel(10 * major + minor, shape, score_type)
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._shape = shape
        self._function = ctypes.c_void_p()
        self._module = ctypes.c_void_p()
        with torch.cuda.device(index):
            torch.cuda.current_stream().query()  # makes the device's context
            self._check(self._driver.cuModuleLoadData(ctypes.byref(self._module), code))
            name = ctypes.byref(self._function), self._module, b"search"
            self._check(self._driver.cuModuleGetFunction(*name))
            setting = self._function, _MAX_DYNAMIC_SHARED, shape.shared_bytes
            self._check(self._driver.cuFuncSetAttribute(*setting))
            if shape.blocks > _PORTABLE_CLUSTER:
                self._check(self._driver.cuFuncSetAttribute(self._function, _NON_PORTABLE_CLUSTER, 1))
        self._attributes = ctypes.pointer(_Attribute(_CLUSTER_DIMENSION, 0, (shape.blocks, 1, 1)))
        self._shared_bytes = shape.shared_bytes

    def launch(self, B: int, stream: int, arguments: _Arguments) -> None:
        """Queues the search of B items on `stream` of this kernel's device, which must be the current one."""
        shape = self._shape
        blocks, threads = B * shape.blocks, 64 * shape.warps
        config = _Launch(blocks, 1, 1, threads, 1, 1, self._shared_bytes, stream, self._attributes, 1)
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        self._check(self._driver.cuLaunchKernelEx(ctypes.byref(config), self._function, parameters, None))

    def _check(self, status: int) -> None:
        if status != 0:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(status, ctypes.byref(text))
            raise RuntimeError(f"mas: CUDA driver error {status}: {(text.value or b'unknown').decode()}")


@functools.cache
def _kernel(index: int, shape: Shape, score_type: int) -> _Kernel:
    return _Kernel(index, shape, score_type)


def _checked(answer: tuple) -> Any:
    """The result of an NVRTC call, or RuntimeError."""
    status, *result = answer
    if int(status) != 0:
        raise RuntimeError(f"mas: NVRTC error {status}")
    return result[0] if result else None
