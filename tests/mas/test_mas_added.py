"""Bias and noise in the search: what is added, and that every backend adds the same."""

import functools
import math
import re
import sys

import numpy as np
import pytest
import torch
from search_cases import Batch, random_batch

import mas
from mas.added import check_added, noise
from mas.backends import reference

pytestmark = pytest.mark.filterwarnings(
    "ignore:Conversion of an array with ndim > 0:DeprecationWarning",  # Triton 3.6's interpreter
    "ignore:invalid value encountered:RuntimeWarning",
    "ignore:overflow encountered:RuntimeWarning",
)


def _bias(batch: Batch, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch.scores.shape, generator=torch.Generator().manual_seed(seed))


def _options(batch: Batch, seed: int) -> list[dict]:
    """All ways to add something, with scales and seeds of all kinds."""
    bias, B = _bias(batch, seed), len(batch.scores)
    scales = torch.rand(B, generator=torch.Generator().manual_seed(seed)) - 0.5
    return [
        {"bias": bias},
        {"bias": bias, "bias_scale": -0.3},
        {"bias": bias.double(), "bias_scale": scales},
        {"noise_scale": 0.7, "seed": seed},
        {"noise_scale": scales.abs(), "seed": torch.tensor(-seed)},
        {"bias": bias.bfloat16(), "bias_scale": scales.double()[0], "noise_scale": torch.tensor(2.0),
         "seed": 2**64 - 1 - seed},
    ]  # fmt: skip


def _search(batch: Batch, **options) -> torch.Tensor:
    scores, text_lengths, speech_lengths, skippable = batch
    options = {"check": False} | options
    return mas.search(scores, text_lengths, speech_lengths, skippable=skippable, **options)


@pytest.mark.parametrize("skips", [False, True])
def test_backends_add_the_same(skips: bool) -> None:
    different = 0
    for seed in range(7):
        batch = random_batch(seed, 12, 1 + 5 * seed, 1 + 25 * seed, skips=skips, odd_values=seed % 2 == 1)
        plain = _search(batch)
        for options in _options(batch, seed):
            expected = _search(batch, backend="reference", **options)
            assert torch.equal(_search(batch, backend="cpu", **options), expected), (seed, options.keys())
            different += not torch.equal(expected, plain)
    assert different > 25  # it does something


@pytest.mark.parametrize("skips", [False, True])
def test_triton_adds_the_same(triton_device: str, skips: bool) -> None:
    for seed in (0, 2, 3):
        batch = random_batch(seed, 3, 1 + 3 * seed, 1 + 6 * seed, skips=skips, odd_values=seed % 2 == 1)
        for options in _options(batch, seed):
            expected = _search(batch, backend="reference", **options)
            there = {k: v.to(triton_device) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
            found = _search(batch.to(triton_device), backend="triton", **there)
            assert torch.equal(found.cpu(), expected), (seed, options.keys())


def test_numbers_of_numpy_are_numbers() -> None:
    batch = random_batch(3, 8, 9, 40)
    bias = _bias(batch)
    expected = _search(batch, bias=bias, bias_scale=0.5, noise_scale=0.25, seed=5)
    scales = {"bias_scale": np.float64(0.5), "noise_scale": np.float32(0.25)}
    assert torch.equal(_search(batch, bias=bias, seed=np.int32(5), **scales), expected)


def test_what_is_added_is_what_it_says() -> None:
    batch = random_batch(3, 8, 9, 40)
    bias = _bias(batch)
    for backend in ("cpu", "reference"):
        with_bias = batch._replace(scores=batch.scores + torch.tensor(0.3) * bias)
        assert torch.equal(_search(batch, bias=bias, bias_scale=0.3, backend=backend), _search(with_bias))
        noises = torch.stack([noise(5, b, 9, 40) for b in range(8)])
        with_all = batch._replace(scores=with_bias.scores + torch.tensor(0.1) * noises)
        found = _search(batch, bias=bias, bias_scale=0.3, noise_scale=0.1, seed=5, backend=backend)
        assert torch.equal(found, _search(with_all))


def test_noise_is_normal_and_unrelated() -> None:
    items = {(seed, b): noise(seed, b, 120, 500) for seed in (0, 1, 2**32, -1) for b in (0, 1, 2)}
    for x in items.values():
        assert abs(x.mean()) < 0.02
        assert abs(x.var() - 1) < 0.03
    every = torch.stack(list(items.values())).double()
    assert abs(every.mean()) < 0.005
    assert abs(every.var() - 1) < 0.01
    assert abs((every**4).mean() - 3) < 0.05
    assert abs((every**3).mean()) < 0.02
    assert every.abs().max() < 5.65
    for at in (-2.0, -1.0, -0.3, 0.0, 0.7, 1.5, 2.5):
        assert abs((every <= at).double().mean() - 0.5 * (1 + math.erf(at / math.sqrt(2)))) < 0.003
    pairs = torch.corrcoef(every.flatten(1)) - torch.eye(len(items))
    assert pairs.abs().max() < 0.02  # other seeds, other items
    for x in every:
        for dim in (0, 1):  # neighbouring tokens and frames
            one, other = x.narrow(dim, 0, x.shape[dim] - 1), x.narrow(dim, 1, x.shape[dim] - 1)
            assert abs((one * other).mean()) < 0.02
        assert (torch.corrcoef(x) - torch.eye(120)).abs().max() < 0.25


def test_noise_depends_on_nothing_but_seed_item_token_and_frame() -> None:
    assert torch.equal(noise(7, 2, 5, 9), noise(7, 2, 20, 60)[:5, :9])
    batch = random_batch(4, 12, 9, 40)
    found = _search(batch, noise_scale=3.0, seed=11)
    turned = batch._replace(scores=batch.scores.mT.contiguous())
    assert torch.equal(_search(turned, noise_scale=3.0, seed=11, layout="BST"), found)
    wider = batch._replace(scores=torch.nn.functional.pad(batch.scores, (0, 30, 0, 7), value=torch.nan))
    assert torch.equal(_search(wider, noise_scale=3.0, seed=11)[:, :9], found)
    fewer = Batch(*(t[:5] for t in batch[:3]), None)
    assert torch.equal(_search(fewer, noise_scale=3.0, seed=11), found[:5])
    assert not torch.equal(_search(batch, noise_scale=3.0, seed=12), found)


def test_without_a_seed_torchs_generator_draws_one() -> None:
    batch = random_batch(4, 12, 9, 40)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = (_search(batch, noise_scale=3.0) for _ in range(2))
        torch.manual_seed(3)
        assert torch.equal(_search(batch, noise_scale=3.0), first)
    assert not torch.equal(first, second)


def test_a_scale_of_zero_draws_nothing() -> None:
    batch = random_batch(4, 12, 9, 40)
    with torch.random.fork_rng():
        before = torch.get_rng_state()
        assert torch.equal(_search(batch, noise_scale=0.0), _search(batch))
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_bias_of_any_type_and_strides_in_either_layout(dtype: torch.dtype) -> None:
    batch = random_batch(5, 6, 9, 70)
    bias = _bias(batch).to(dtype)
    expected = _search(batch._replace(scores=batch.scores + bias.float()))
    for view in (bias.mT.contiguous().mT, bias.repeat(2, 2, 2)[:6, :9, :70], bias):
        assert torch.equal(_search(batch, bias=view), expected)
        turned = batch._replace(scores=batch.scores.mT)
        assert torch.equal(_search(turned, bias=view.mT, layout="BST"), expected)
    one = bias[:1].expand(6, -1, -1)
    assert torch.equal(_search(batch, bias=one), _search(batch._replace(scores=batch.scores + one.float())))


def test_padding_of_the_bias_is_not_looked_at_and_nothing_is_written_to() -> None:
    batch = random_batch(2, 12, 9, 30)
    token, frame = torch.arange(9)[:, None], torch.arange(30)
    tokens, frames = batch.text_lengths[:, None, None], batch.speech_lengths[:, None, None]
    on_some_path = (token <= frame) & (tokens - token <= frames - frame) & (token < tokens) & (frame < frames)
    bias = _bias(batch).requires_grad_()
    before = [t.clone() for t in (batch.scores, bias)]
    expected = _search(batch, bias=bias)
    poisoned = bias.detach().masked_fill(~on_some_path, torch.nan)
    for backend in ("cpu", "reference"):
        found = _search(batch, bias=poisoned, backend=backend)
        assert torch.equal(found, expected)
        assert not found.requires_grad
    assert torch.equal(batch.scores, before[0])
    assert torch.equal(bias, before[1])


def test_minus_infinity_in_the_bias_forbids() -> None:
    bias = torch.zeros(1, 3, 6)
    bias[0, 0, 3:] = -torch.inf
    bias[0, 1, 5:] = -torch.inf
    bias[0, 2, :5] = -torch.inf
    for backend in ("cpu", "reference"):
        found = mas.search(torch.zeros(1, 3, 6), [3], [6], bias=bias, backend=backend)
        assert found.tolist() == [[1, 4, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": float("nan")}, "item 1: scores, bias and noise together hold NaN"),
        ({"bias": float("inf")}, "item 1: scores, bias and noise together hold +inf"),
        (
            {"bias": 0.0, "bias_scale": torch.tensor([0, torch.nan, 0])},
            "item 1: scores, bias and noise together",
        ),
        (
            {"noise_scale": torch.tensor([0, torch.nan, 0])},
            "item 1: scores, bias and noise together hold NaN",
        ),
        ({"noise_scale": torch.tensor([0, torch.inf, 0])}, "1 of 3 items cannot be aligned: item 1: "),
    ],
)
def test_items_without_a_path_are_named(options: dict, message: str) -> None:
    batch = random_batch(1, 3, 4, 9)
    if "bias" in options:
        bias = torch.zeros(3, 4, 9)
        bias[1, 0, 0] = options["bias"]
        options = options | {"bias": bias}
    for backend in ("cpu", "reference"):
        with pytest.raises(ValueError, match=re.escape(message)):
            _search(batch, check=True, backend=backend, **options)
        assert (_search(batch, backend=backend, **options)[:, 0] < 0).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bias": torch.zeros(3, 9, 4)}, ValueError, "bias and scores differ in shape: (3, 9, 4), (3, 4, 9)"),
        ({"bias": torch.zeros(4, 9)}, ValueError, "bias and scores differ in shape: (4, 9), (3, 4, 9)"),
        ({"bias": torch.zeros(3, 4, 9).long()}, ValueError, "bias is torch.int64"),
        ({"bias": [[0.0]]}, TypeError, "bias: a torch.Tensor is needed, not list"),
        ({"noise_scale": -0.1}, ValueError, "noise_scale is -0.1; a finite number of at least 0 is needed"),
        ({"noise_scale": float("nan")}, ValueError, "noise_scale is nan"),
        ({"noise_scale": torch.zeros(4)}, ValueError, "noise_scale is torch.float32 of shape (4,)"),
        ({"noise_scale": torch.tensor(1)}, ValueError, "noise_scale is torch.int64 of shape ()"),
        ({"noise_scale": "much"}, TypeError, "noise_scale: a number or a tensor is needed, not str"),
        (
            {"bias": torch.zeros(3, 4, 9), "bias_scale": float("inf")},
            ValueError,
            "bias_scale is inf; a finite",
        ),
        ({"bias_scale": 2.0}, ValueError, "bias_scale is given, but no bias"),
        ({"noise_scale": True}, TypeError, "noise_scale: a number or a tensor is needed, not bool"),
        ({"noise_scale": 1.0, "seed": 2**64}, ValueError, "seed is 18446744073709551616; it must fit"),
        ({"noise_scale": 1.0, "seed": 1.5}, TypeError, "seed: an integer or a tensor is needed, not float"),
        ({"noise_scale": 1.0, "seed": torch.tensor([1, 2])}, ValueError, "seed is torch.int64 of shape (2,)"),
    ],
)
def test_wrong_arguments(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        _search(random_batch(1, 3, 4, 9), **options)


def test_hopper_leaves_it_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    search = sys.modules["mas.search"]
    monkeypatch.setattr(search, "available_backends", lambda device: ["hopper", "cpu", "reference"])
    batch = random_batch(1, 3, 4, 9)
    found = _search(batch, noise_scale=1.0, seed=3)
    assert torch.equal(found, reference.durations(*batch, added=check_added(batch.scores, None, 1.0, 1.0, 3)))
    with pytest.raises(ValueError, match=r"'hopper' adds neither bias nor noise; use one of \['cpu', 'ref"):
        _search(batch, noise_scale=1.0, backend="hopper")


def test_compiles_without_graph_breaks() -> None:
    batch = random_batch(6, 4, 7, 20, skips=True)
    bias = _bias(batch)

    @functools.partial(torch.compile, fullgraph=True, backend="eager")
    def durations(scores, text, speech, skippable, bias, scale, seed):
        return mas.search(
            scores, text, speech, skippable=skippable, bias=bias, noise_scale=scale * scores.std(), seed=seed
        )

    for step in range(3):
        scale = 0.5 - 0.1 * step
        expected = _search(batch, bias=bias, noise_scale=scale * batch.scores.std(), seed=step)
        assert torch.equal(durations(*batch, bias, scale, step), expected)
    added = (bias, torch.ones(4), torch.ones(4), torch.tensor([5]))
    torch.library.opcheck(torch.ops.mas.search, (*batch, "search BTS", "", True, *added))


# What only a GPU can show.


@pytest.fixture(scope="session")
def gpu() -> str:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    return "cuda"


@pytest.mark.gpu
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("shape", [(16, 128, 512), (5, 333, 1777), (3, 1000, 1001), (64, 1, 3000)])
def test_a_gpu_adds_what_the_cpu_does(gpu: str, shape: tuple[int, int, int], skips: bool) -> None:
    """Without `backend`, so that on Hopper the search goes to Triton by itself."""
    batch = random_batch(11, *shape, skips=skips)
    for options in _options(batch, 11):
        expected = _search(batch, backend="cpu", **options)
        there = {k: v.to(gpu) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
        assert torch.equal(_search(batch.to(gpu), **there).cpu(), expected), options.keys()
        turned = batch.to(gpu)._replace(scores=batch.scores.mT.contiguous().to(gpu))
        if "bias" in there:
            there["bias"] = there["bias"].mT.contiguous()
        assert torch.equal(_search(turned, layout="BST", **there).cpu(), expected), options.keys()


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_nothing_waits_for_the_gpu_and_no_matrix_is_copied(gpu: str) -> None:
    batch = random_batch(12, 8, 512, 2048).to(gpu)
    bias = torch.randn_like(batch.scores)
    _search(batch, bias=bias, noise_scale=0.01 * batch.scores.std())
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    try:
        torch.cuda.set_sync_debug_mode("error")
        _search(batch, bias=bias, bias_scale=0.5, noise_scale=0.01 * batch.scores.std(), seed=3)
        _search(batch, noise_scale=0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.max_memory_allocated() - before < batch.scores.nbytes / 4  # std has some of its own


@pytest.mark.gpu
def test_a_cuda_graph_takes_new_seeds_and_scales(gpu: str) -> None:
    batch = random_batch(13, 8, 100, 300).to(gpu)
    seed, scale = torch.tensor([1], device=gpu), torch.tensor(1.0, device=gpu)
    _search(batch, noise_scale=scale, seed=seed)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        durations = _search(batch, noise_scale=scale, seed=seed)
    for step in range(3):
        seed.fill_(step)
        scale.fill_(1.0 - 0.3 * step)
        graph.replay()
        expected = _search(batch.to("cpu"), noise_scale=scale.cpu(), seed=step)
        assert torch.equal(durations.cpu(), expected)
