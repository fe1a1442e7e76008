"""Times every backend of `mas`, and its peers, on the same inputs in one run.

    python scripts/bench_mas.py --out bench                        # the GPU if there is one, else the CPU
    python scripts/bench_mas.py --device cpu --threads 2 --out bench
    python scripts/bench_mas.py --super-mas ../super-monotonic-align --out bench
    python scripts/bench_mas.py --only '16,512,2048'               # cases whose name matches

Peers: `monotonic-alignment-search` from PyPI, where installed, and Super-MAS, where --super-mas says its
checkout is; both always make the dense path. Every result is compared with the CPU backend's first; one that
differs is reported and not timed, and makes the exit status 1. The floor is the bytes some path can visit
over the measured read bandwidth (plus, for dense paths, the matrix over the measured write bandwidth). Writes
mas.csv and mas.png into --out.

B batch, T text tokens, S speech frames, C channels.
"""

import argparse
import csv
import functools
import importlib
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor

import mas
from mas.added import check_added
from mas.backends import cpu
from mas.checks import Layout
from mas.search import Backend

SHAPES = [
    (16, 128, 512),
    (32, 160, 800),
    (16, 256, 1024),
    (16, 512, 2048),
    (16, 1024, 4096),
    (16, 2048, 8192),
]
CPU_SHAPES = SHAPES[:5]
PLOTTED = [shape for shape in SHAPES if shape[0] == 16 and shape[2] == 4 * shape[1]]


class Case(NamedTuple):
    """One input and what is asked of it."""

    name: str
    batches: list[tuple[Tensor, Tensor, Tensor]]  # scores in `layout`, text_lengths, speech_lengths
    layout: Layout = "BTS"
    dense: bool = False
    bias: Tensor | None = None  # of the only batch
    noise_scale: float = 0.0
    skippable: Tensor | None = None  # of the only batch


class Timing(NamedTuple):
    median_ms: float
    p20_ms: float
    p80_ms: float


class Row(NamedTuple):
    case: str
    contender: str
    median_ms: float
    p20_ms: float
    p80_ms: float
    floor_ms: float
    times_floor: float


def cases(device: str, shapes: list[tuple[int, int, int]]) -> Iterator[Case]:
    for B, T, S in shapes:
        yield full_case(f"{B},{T},{S}", device, B, T, S)
    for B, T, S in shapes[:1] + shapes[3:]:
        yield full_case(f"{B},{T - 1},{S - 3} odd", device, B, T - 1, S - 3)
        yield full_case(f"{B},{T},{S} BST", device, B, T, S, layout="BST")
        yield full_case(f"{B},{T},{S} dense path", device, B, T, S, dense=True)
        yield full_case(f"{B},{T},{S} bfloat16", device, B, T, S, dtype=torch.bfloat16)
        skippable = (torch.arange(T, device=device) % 9 == 0).expand(B, T)
        yield full_case(f"{B},{T},{S} skippable", device, B, T, S)._replace(skippable=skippable)
    for B, T, S in shapes[1:2]:
        yield full_case(f"{B},{T},{S} bfloat16", device, B, T, S, dtype=torch.bfloat16)
        yield full_case(f"{B},{T},{S} BST dense path (VITS)", device, B, T, S, layout="BST", dense=True)
        case = full_case(f"{B},{T},{S} noise", device, B, T, S)._replace(noise_scale=0.1)
        yield case
        yield case._replace(name=f"{B},{T},{S} bias and noise", bias=torch.randn_like(case.batches[0][0]))
    yield Case("1000 utterances in batches of 32", training_batches(device))


def full_case(
    name: str,
    device: str,
    B: int,
    T: int,
    S: int,
    layout: Layout = "BTS",
    dense: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Case:
    shape = (B, T, S) if layout == "BTS" else (B, S, T)
    scores = torch.randn(shape, device=device).to(dtype)
    lengths = torch.full((B,), T, device=device), torch.full((B,), S, device=device)
    return Case(name, [(scores, *lengths)], layout, dense)


def training_batches(device: str) -> list[tuple[Tensor, Tensor, Tensor]]:
    """1,000 utterances of 1 to 10 s, 86 frames a second, some 6 frames a token, unsorted, padded."""
    seconds = (6.5 + 2.2 * torch.randn(1000)).clamp(1, 10)
    frames = (86 * seconds).long()
    tokens = (frames / (6 + 0.6 * torch.randn(1000)).clamp(4, 9)).long()
    batches = []
    for text, speech in zip(tokens.split(32), frames.split(32), strict=True):
        scores = torch.randn(len(text), int(text.max()), int(speech.max()), device=device)
        batches.append((scores, text.to(device), speech.to(device)))
    return batches


def contenders(
    case: Case, device: str, super_mas: Callable | None
) -> Iterator[tuple[str, Callable[[], list[Tensor]]]]:
    """Names and calls; a call gives durations or, for a dense case, paths of each batch."""
    adds = case.bias is not None or case.noise_scale > 0
    without = ("reference", "hopper") if adds else ("reference",)
    for backend in mas.available_backends(device):
        if backend not in without:
            yield f"mas {backend}", functools.partial(run_mas, case, backend)
    own_kind = all(scores.dtype == torch.float32 for scores, _, _ in case.batches) and case.layout == "BTS"
    if case.dense or adds or case.skippable is not None or not own_kind:
        return
    masks = [mask_of(*batch) for batch in case.batches]
    try:
        import monotonic_alignment_search as pypi
    except ImportError:
        print("monotonic-alignment-search is not installed: not compared", file=sys.stderr)
    else:
        yield "PyPI", functools.partial(run_peer, pypi.maximum_path, case, masks)
    if super_mas is not None and device.startswith("cuda"):
        own = [(scores.clone(), text, speech) for scores, text, speech in case.batches]  # it overwrites them
        yield "Super-MAS", functools.partial(run_peer, super_mas, case._replace(batches=own), masks)


def run_mas(case: Case, backend: Backend) -> list[Tensor]:
    results = []
    for scores, text_lengths, speech_lengths in case.batches:
        durations = mas.search(
            scores, text_lengths, speech_lengths, layout=case.layout, skippable=case.skippable,
            bias=case.bias, noise_scale=case.noise_scale, seed=0, backend=backend, check=False,
        )  # fmt: skip
        if case.dense:
            n_frames = scores.shape[2 if case.layout == "BTS" else 1]
            durations = mas.dense_path(durations, n_frames, layout=case.layout)
        results.append(durations)
    return results


def run_peer(maximum_path: Callable, case: Case, masks: list[Tensor]) -> list[Tensor]:
    """Peers only make dense paths."""
    return [maximum_path(scores, mask) for (scores, _, _), mask in zip(case.batches, masks, strict=True)]


def mask_of(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor) -> Tensor:
    token = torch.arange(scores.shape[1], device=scores.device)[:, None] < text_lengths[:, None, None]
    frame = torch.arange(scores.shape[2], device=scores.device) < speech_lengths[:, None, None]
    return (token & frame).float()


def expected_durations(case: Case) -> list[Tensor]:
    results = []
    for scores, text_lengths, speech_lengths in case.batches:
        text_first = (scores if case.layout == "BTS" else scores.mT).cpu()
        bias = None if case.bias is None else case.bias.cpu()
        added = check_added(text_first, bias, 1.0, case.noise_scale, 0)
        skippable = None if case.skippable is None else case.skippable.cpu()
        lengths = text_lengths.cpu(), speech_lengths.cpu()
        results.append(cpu.durations(text_first, *lengths, skippable, added=added))
    return results


def is_right(found: list[Tensor], expected: list[Tensor], case: Case) -> bool:
    """Whether durations, or dense paths of either layout, are those expected. Compares on the CPU."""
    for result, durations in zip(found, expected, strict=True):
        if result.dim() == 2:
            same = torch.equal(result.cpu(), durations)
        else:
            n_frames = result.shape[2 if case.layout == "BTS" else 1]
            durations = durations.to(result.device)
            path = mas.dense_path(durations, n_frames, layout=case.layout, dtype=result.dtype)
            same = torch.equal(result, path)
        if not same:
            return False
    return True


def time_it(call: Callable[[], object], device: str) -> Timing:
    """Time on the GPU between launches that flush its cache; on a CPU wall time."""
    if device.startswith("cuda") and not takes_long(call):
        from triton.testing import do_bench

        return Timing(*do_bench(call, warmup=50, rep=300, quantiles=[0.5, 0.2, 0.8]))
    times_ms: list[float] = []
    while len(times_ms) < 5 or (sum(times_ms) < 1000 and len(times_ms) < 50):
        times_ms.append(wall_ms(call))
        if len(times_ms) > 1 and sum(times_ms) > 5000:
            break
    fifths = statistics.quantiles(times_ms, n=5, method="inclusive")
    return Timing(statistics.median(times_ms), fifths[0], fifths[3])


def wall_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start)


def takes_long(call: Callable[[], object]) -> bool:
    """Whether launches are so slow (a peer that works on the CPU) that wall time serves."""
    call()
    return wall_ms(call) > 500


def bandwidths(device: str) -> tuple[float, float]:
    """Bytes a millisecond, read and written, of a buffer no cache holds."""
    n_bytes = 2**30 if device.startswith("cuda") else 2**28
    buffer = torch.zeros(n_bytes // 4, device=device)
    read = time_it(buffer.sum, device).median_ms
    written = time_it(buffer.zero_, device).median_ms
    return n_bytes / read, n_bytes / written


def floor_ms(case: Case, read: float, written: float) -> float:
    total = 0.0
    for scores, text_lengths, speech_lengths in case.batches:
        visitable = int((text_lengths * (speech_lengths - text_lengths + 1)).sum())
        matrices = 1 if case.bias is None else 2
        total += matrices * visitable * scores.element_size() / read
        if case.dense:
            total += scores.numel() * 4 / written
    return total


def host_overhead_us(device: str, backend: Backend) -> float:
    """What one call costs the CPU, on an input so small that nothing waits for the GPU."""
    batches = full_case("tiny", device, 1, 8, 32).batches
    call = functools.partial(mas.search, *batches[0], backend=backend, check=False)
    for _ in range(50):
        call()
    torch.cuda.synchronize()
    rounds = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(50):
            call()
        rounds.append((time.perf_counter() - start) / 50)
        torch.cuda.synchronize()
    return 1e6 * statistics.median(rounds)


def gaussian_rows(device: str, pattern: str) -> Iterator[Row]:
    """`mas.gaussian_search` at each precision; its paths beside those of float32 throughout."""
    for B, T, S, C in ((32, 160, 800, 80), (32, 160, 800, 192), (16, 2048, 8192, 80)):
        if not re.search(pattern, f"gaussian {B},{T},{S} C={C}"):
            continue
        mean, log_scale = torch.randn(B, T, C, device=device), 0.1 * torch.randn(B, T, C, device=device)
        lengths = torch.full((B,), T, device=device), torch.full((B,), S, device=device)
        # Speech as the tokens would make it, each for S / T frames, so that paths mean something.
        token = (torch.arange(S, device=device) * T // S)[None, :, None].expand(B, S, C)
        noise = torch.randn(B, S, C, device=device)
        for variance, scale in (("diagonal", log_scale), ("unit", None)):
            spread = 1.0 if scale is None else scale.exp().gather(1, token)
            speech = mean.gather(1, token) + noise * spread
            fp32 = mas.search(mas.log_likelihood(mean, scale, speech), *lengths)
            floor = 0.0
            for precision in ("ieee", "bf16x3", "tf32x3", "tf32"):
                call = functools.partial(
                    mas.gaussian_search, mean, scale, speech, *lengths, precision=precision, check=False
                )
                agreement = agreeing_frames(cast(Tensor, call()), fp32, S)
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                call()
                extra = (torch.cuda.max_memory_allocated() - before) / 2**20
                name = f"gaussian {B},{T},{S} C={C} {variance} {precision}"
                note = f"{100 * agreement:.4f} % of frames as in float32, {extra:.1f} MiB more memory"
                if precision != "tf32" and agreement < 0.999:
                    print(f"MISMATCH {name}: {note}; not timed")
                    nan = float("nan")
                    yield Row(name, "mas", nan, nan, nan, floor, nan)
                    continue
                yield report(name, "mas", time_it(call, device), floor, note)


def agreeing_frames(durations: Tensor, others: Tensor, S: int) -> float:
    """The share of frames that two alignments give to the same token."""
    frames = torch.arange(S, device=durations.device).expand(len(durations), S).contiguous()
    one, other = (torch.searchsorted(d.cumsum(1), frames, right=True) for d in (durations, others))
    return float((one == other).float().mean())


def report(case: str, contender: str, timing: Timing, floor: float, note: str = "") -> Row:
    times = f"{timing.median_ms:10.4f}  {timing.p20_ms:10.4f}  {timing.p80_ms:10.4f}"
    ratio = timing.median_ms / floor if floor else float("nan")
    floors = f"{floor:10.4f}  {ratio:8.1f}" if floor else 20 * " "
    print(f"{case:44} {contender:12} {times}  {floors}  {note}".rstrip(), flush=True)
    return Row(case, contender, *timing, floor, ratio)


def print_machine(device: str) -> None:
    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "none"

    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        memory = properties.total_memory / 2**30
        processors = properties.multi_processor_count
        print(f"{properties.name}, {processors} SMs, {memory:.0f} GiB, CUDA {torch.version.cuda}")
    else:
        print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")
    names = ("torch", "triton", "numba", "monotonic-alignment-search", "mas-aligner")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names))


def plot(rows: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 4.5))
    names = [f"{B},{T},{S}" for B, T, S in PLOTTED]
    tokens = dict(zip(names, (T for _, T, _ in PLOTTED), strict=True))
    shown = [row for row in rows if row.case in tokens and row.median_ms == row.median_ms]
    for contender in dict.fromkeys(row.contender for row in shown):
        own = [row for row in shown if row.contender == contender]
        axes.plot([tokens[row.case] for row in own], [row.median_ms for row in own], "o-", label=contender)
    floors = {tokens[row.case]: row.floor_ms for row in shown}
    axes.plot(list(floors), list(floors.values()), "k--", label="bytes floor")
    axes.set(xscale="log", yscale="log", xlabel="tokens T (B = 16, S = 4 T)", ylabel="ms")
    axes.set_xticks(list(floors), [str(T) for T in floors])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch takes)")
    parser.add_argument("--super-mas", type=Path, metavar="DIR", help="a checkout of Super-MAS")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--skip", metavar="REGEX", help="contenders whose name matches are left out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where mas.csv and mas.png go")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    super_mas = None
    if args.super_mas:
        sys.path.insert(0, str(args.super_mas))
        super_mas = importlib.import_module("super_monotonic_align").maximum_path
    on_gpu = args.device.startswith("cuda")
    print_machine(args.device)
    read, written = bandwidths(args.device)
    print(f"measured bandwidth: {read / 1e9:.3f} TB/s read, {written / 1e9:.3f} TB/s written")
    if on_gpu:
        for backend in mas.available_backends(args.device):
            if backend != "reference":
                print(f"host time a call, mas {backend}: {host_overhead_us(args.device, backend):.1f} us")
    header = f"{'median ms':>10}  {'20 %':>10}  {'80 %':>10}  {'floor ms':>10}  {'x floor':>8}"
    print(f"\n{'case (B,T,S)':44} {'':12} {header}")

    rows, mismatches = [], 0
    for case in cases(args.device, SHAPES if on_gpu else CPU_SHAPES):
        if not re.search(args.only, case.name):
            continue
        floor = floor_ms(case, read, written)
        expected = expected_durations(case)
        as_paths = Case(case.name, case.batches, case.layout, dense=True)
        for name, call in contenders(case, args.device, super_mas):
            if args.skip and re.search(args.skip, name):
                continue
            if not is_right(call(), expected, as_paths):
                print(f"MISMATCH {case.name} {name}: not timed")
                mismatches += 1
                continue
            rows.append(report(case.name, name, time_it(call, args.device), floor))
    if on_gpu:
        for row in gaussian_rows(args.device, args.only):
            rows.append(row)
            mismatches += row.median_ms != row.median_ms
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with open(args.out / "mas.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Row._fields)
            writer.writerows(rows)
        if any(row.case in {f"{B},{T},{S}" for B, T, S in PLOTTED} for row in rows):
            plot(rows, args.out / "mas.png")
        print(f"\nwrote {args.out / 'mas.csv'}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
