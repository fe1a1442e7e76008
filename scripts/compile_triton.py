"""Compiles every Triton kernel of mas ahead of time, without a GPU: registers, shared memory, spills.

    python scripts/compile_triton.py                                 # all kernels for all GPUs: 20 minutes
    python scripts/compile_triton.py --gpu 90 gfx942 --only rows     # those whose name contains "rows"

A GPU is a compute capability ("75" is sm_75) or AMD's name. What does not compile is reported, and makes the
exit status 1. "Spilled" is in bytes a thread on NVIDIA's cards, registers on AMD's. Seconds are CPU time.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from mas.backends import triton as search
from mas.backends import triton_forward_kernels as forward
from mas.backends import triton_gaussian as gaussian
from mas.backends import triton_path as path
from mas.backends import triton_row_scores as layouts
from mas.backends import triton_rows as rows
from mas.backends import triton_states as states
from mas.backends import triton_way_back as way_back

GPUS = ["75", "80", "86", "89", "90", "100", "120", "gfx90a", "gfx942"]
# Of arguments, in every kernel; all others are int32.
TYPES = {
    "*fp32": "bias_scales noise_scales kept totals log_sums largest scratch target weights moments path",
    "*i64": "starts text_lengths speech_lengths states result seed at columns target_at target_columns "
    "durations",
    "*i32": "words notes steps last before after frames_of tokens_of status not_finite",
    "*i1": "skippable skips_of",
    "i64": "stride_b bias_stride_b stride_f stride target_stride",
    "fp32": "scale constant",
    "*bf16": "bias",
}
TYPE_OF = {name: kind for kind, names in TYPES.items() for name in names.split()}
SCORES = ("scores", "emissions", "mean", "log_scale", "speech")


class Case(NamedTuple):
    """A kernel with its constants."""

    name: str
    kernel: Any
    constants: dict[str, Any]
    warps: int = 1
    scores: str = "*fp32"
    types: Mapping[str, str] = MappingProxyType({})  # of arguments, where not as in TYPES
    options: Mapping[str, Any] = MappingProxyType({})  # of the launch


def cases() -> Iterator[Case]:
    """Every kernel, in the shapes that differ most."""
    flags = dict(G=4, SEVERAL=True)
    for layout in ("FRAMES", "SHIFTED", "TOKENS", "ANY"):
        number = getattr(layouts, layout).value
        for skips in (False, True):
            for scores in ("*fp32", "*bf16"):
                name = f"rows {layout} {scores[1:]}{' skips' if skips else ''}"
                constants = dict(LAYOUT=number, SKIPS=skips, STATES=False, **flags)
                yield _rows(name, constants, scores)
    for skips in (False, True):
        end = " skips" if skips else ""
        yield _rows(f"rows states{end}", dict(LAYOUT=3, SKIPS=skips, STATES=True, **flags), "*fp32")
        yield _rows(
            f"rows one program{end}", dict(LAYOUT=0, SKIPS=skips, STATES=False, G=4, SEVERAL=False), "*fp32"
        )
        words = {"words": "*i32" if skips else "*i16"}
        yield Case(f"rows way back{end}", way_back.way_back_kernel, dict(K=16, SKIPS=skips), types=words)
        added = dict(BLOCK=2048, SKIPS=skips, WORD=16 if skips else 32, BIAS=True, NOISE=True)
        numbers = dict(words="i32")
        yield Case(f"added{end}", search._search_forward_kernel, added, 16, types=numbers)
        back = dict(SKIPS=skips, WORD=added["WORD"])
        yield Case(f"added way back{end}", search._search_backward_kernel, back, types=numbers)
        blocks = dict(BLOCK=4096, SKIPS=skips, WORD=16)
        yield Case(f"states in stretches{end}", states._search_states_kernel, blocks, 16)
        yield from _forward(skips)
    bts = dict(ALL=512, TOKENS=4, FRAMES=1024)
    yield Case("dense path BTS", path._dense_path_bts_kernel, bts, 4)
    yield Case("dense path BST", path._dense_path_bst_kernel, dict(FRAMES=16, TOKENS=256), 4)
    kernel = gaussian._gaussian_scores_kernel
    sizes = dict(TOKENS=gaussian._TOKENS, FRAMES=gaussian._FRAMES, CHANNELS=gaussian._CHANNELS)
    plain = dict.fromkeys(kernel.arg_names[:-5], "i64") | dict.fromkeys("TSC", "i32")
    plain |= {
        name: TYPE_OF.get(name, "*fp32") for name in (*SCORES, "text_lengths", "speech_lengths", "constant")
    }
    for precision in ("tf32", "tf32x3"):
        constants = dict(HAS_SCALE=True, PRECISION=precision, **sizes)
        yield Case(f"gaussian {precision}", kernel, constants, 4, "*fp32", plain, dict(num_stages=2))


def _rows(name: str, constants: dict[str, Any], scores: str) -> Case:
    words = {"words": "*i32" if constants["SKIPS"] else "*i16"}
    return Case(name, rows.rows_kernel, constants, 1, scores, words)


def _forward(skips: bool) -> Iterator[Case]:
    for exact in (False, True):
        end = f"{' skips' if skips else ''}{' float64' if exact else ''}"
        own = "*fp64" if exact else "*fp32"
        types = dict.fromkeys(("kept", "totals", "log_sums", "scratch", "moments"), "*fp64") | {"last": "i32"}
        shape = dict(BLOCK=1024, SKIPS=skips, EXACT=exact)
        yield Case(f"forward columns{end}", forward.columns_kernel, shape, 8, own, types)
        if skips:
            yield Case(f"forward sums{end}", forward.sums_kernel, dict(EXACT=exact), 1, own, types)
        more = dict(MOMENTS=exact, SHARED=not exact)
        yield Case(f"forward stretches{end}", forward.stretches_kernel, shape | more, 8, own, types)


def compile_for(case: Case, gpu: str) -> dict[str, Any]:
    """Registers, shared memory in bytes, and spills of one kernel.

    Args:
        case: The kernel.
        gpu: As in `GPUS`.
    """
    nvidia = gpu.isdigit()
    target = GPUTarget("cuda", int(gpu), 32) if nvidia else GPUTarget("hip", gpu, 64)
    constants = dict(case.constants)
    if "ATOMIC" in case.kernel.arg_names:
        constants["ATOMIC"] = not nvidia
    known = TYPE_OF | dict.fromkeys(SCORES, case.scores) | dict(case.types)
    types = {name: known.get(name, "i32") for name in case.kernel.arg_names if name not in constants}
    options = dict(num_warps=case.warps, enable_fp_fusion=False) | dict(case.options)
    compiled = triton.compile(ASTSource(case.kernel, types, constants), target=target, options=options)
    counts = _nvidia_counts(compiled.asm["ptx"], int(gpu)) if nvidia else _amd_counts(compiled.asm["amdgcn"])
    return {"shared": compiled.metadata.shared, **counts}


def _nvidia_counts(ptx: str, capability: int) -> dict[str, int]:
    found = re.search(r"\.target\s+(\w+)", ptx)
    assert found, "PTX without a target"
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        command = [
            get_ptxas(capability).path,
            "-v",
            f"--gpu-name={found[1]}",
            "-fmad=false",
            file.name,
            "-o",
            "/dev/null",
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    registers, spilled = (
        re.search(r"Used (\d+) registers", said),
        re.search(r"(\d+) bytes spill stores", said),
    )
    assert registers is not None, said
    assert spilled is not None, said
    return {"registers": int(registers[1]), "spilled": int(spilled[1])}


def _amd_counts(assembly: str) -> dict[str, int]:
    found = {name: int(n) for name, n in re.findall(r"\.(vgpr_count|vgpr_spill_count):\s*(\d+)", assembly)}
    return {"registers": found["vgpr_count"], "spilled": found["vgpr_spill_count"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpu", nargs="+", default=GPUS)
    parser.add_argument("--only", default="", help="a part of the kernels' names")
    arguments = parser.parse_args()
    failed = 0
    print(f"{'kernel':36s} {'GPU':>7s} registers  shared  spilled  seconds")
    for case in (case for case in cases() if arguments.only in case.name):
        for gpu in arguments.gpu:
            begin = time.process_time()
            try:
                found = compile_for(case, gpu)
            except Exception as error:  # whatever the compiler makes of a kernel
                failed += 1
                print(f"{case.name:36s} {gpu:>7s} does not compile: {str(error).strip()[-300:]}", flush=True)
                continue
            seconds = time.process_time() - begin
            counts = f"{found['registers']:9d} {found['shared']:7d} {found['spilled']:8d} {seconds:8.1f}"
            print(f"{case.name:36s} {gpu:>7s} {counts}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
