"""`mas.compat.forced_align` against torchaudio's, and against trying every path."""

import itertools
import random
import re

import pytest
import torch
from torch import Tensor
from torchaudio.functional import forced_align as torchaudios
from torchaudio.functional import merge_tokens

from mas.compat import forced_align

pytestmark = pytest.mark.filterwarnings("ignore:torchaudio.functional:UserWarning")


def _case(seed: int, ties: bool = False) -> tuple[Tensor, Tensor, int]:
    """Log-probabilities `[1, S, V]`, targets `[1, L]` that often repeat a label, and the blank."""
    rng = random.Random(seed)
    V, S = rng.randint(2, 7), rng.choice([1, 2, rng.randint(3, 40)])
    blank = rng.randrange(V)
    others = [label for label in range(V) if label != blank]
    targets = [rng.choice(others) for _ in range(rng.randint(1, min(S, 12)))]
    draw = torch.Generator().manual_seed(seed)
    if ties:
        log_probs = torch.randint(-2, 1, (1, S, V), generator=draw).float()
    else:
        log_probs = torch.randn(1, S, V, generator=draw).log_softmax(2)
    return log_probs, torch.tensor([targets], dtype=rng.choice([torch.int32, torch.int64])), blank


def test_paths_are_torchaudios() -> None:
    refused = 0
    for seed in range(300):
        log_probs, targets, blank = _case(seed)
        try:
            paths, scores = torchaudios(log_probs, targets, blank=blank)
        except RuntimeError:
            refused += 1
            with pytest.raises(ValueError, match="item 0: .* cannot share"):
                forced_align(log_probs, targets, blank=blank)
            continue
        for backend in ("cpu", "reference"):
            found = forced_align(log_probs, targets, blank=blank, backend=backend)
            assert torch.equal(found[0], paths), seed
            assert found[0].dtype == paths.dtype, seed
            assert torch.equal(found[1], scores), seed
            assert found[1].dtype == scores.dtype, seed
    assert 10 < refused < 150


def _batch(ties: bool = False) -> tuple[list[tuple[Tensor, Tensor, int]], tuple[Tensor, ...]]:
    """Single items, and the same as one batch whose padding no path may look at."""
    items: list[tuple[Tensor, Tensor, int]] = []
    for seed in itertools.count():
        log_probs, targets, _ = _case(seed, ties)
        repeats = int((targets[:, 1:] == targets[:, :-1]).sum())
        if (targets == 0).any() or log_probs.shape[1] < targets.shape[1] + repeats:
            continue
        items.append((log_probs, targets.long(), 0))
        if len(items) == 24:
            break
    frames = torch.tensor([item[0].shape[1] for item in items])
    labels = torch.tensor([item[1].shape[1] for item in items])
    log_probs = torch.full((len(items), int(frames.max()), 7), torch.nan)
    targets = torch.full((len(items), int(labels.max())), -1)
    for b, (own, target, _) in enumerate(items):
        log_probs[b, : own.shape[1], : own.shape[2]] = own[0]
        targets[b, : target.shape[1]] = target[0]
    return items, (log_probs, targets, frames, labels)


@pytest.mark.parametrize("padding", [-1, 0, 3])
def test_a_batch_is_its_items(padding: int) -> None:
    items, (log_probs, targets, frames, labels) = _batch()
    targets[targets == -1] = padding  # may be the blank, or the same as the last label
    paths, scores = forced_align(log_probs, targets, frames, labels.tolist())
    for b, (own, target, blank) in enumerate(items):
        path, score = torchaudios(own, target, blank=blank)
        n = own.shape[1]
        assert torch.equal(paths[b, :n], path[0])
        assert torch.equal(scores[b, :n], score[0])
        assert not paths[b, n:].any()
        assert not scores[b, n:].any()
        assert merge_tokens(paths[b], scores[b]) == merge_tokens(path[0], score[0])


def test_on_ties_no_other_path_is_better() -> None:
    theirs_is_worse = 0
    for seed in range(300):
        log_probs, targets, blank = _case(seed, ties=True)
        if log_probs.shape[1] > 7:
            continue
        try:
            paths, scores = forced_align(log_probs, targets, blank=blank)
        except ValueError:
            continue
        S, V = log_probs.shape[1:]
        best = max(
            sum(log_probs[0, j, v].item() for j, v in enumerate(path))
            for path in itertools.product(
                range(V) if V**S < 3000 else {blank, *targets[0].tolist()}, repeat=S
            )
            if [v for v, _ in itertools.groupby(path) if v != blank] == targets[0].tolist()
        )
        assert scores.sum() == best
        assert [v for v, _ in itertools.groupby(paths[0].tolist()) if v != blank] == targets[0].tolist()
        theirs_is_worse += bool(torchaudios(log_probs, targets, blank=blank)[1].sum() < best)
    # torchaudio 2.11 steps back as if the path had stayed, where move and skip are equal and above stay
    assert theirs_is_worse or "2.11" not in torch.__version__


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_add_up_in_float32(dtype: torch.dtype) -> None:
    _, (log_probs, targets, frames, labels) = _batch()
    log_probs = log_probs.to(dtype)
    paths, scores = forced_align(log_probs, targets, frames, labels)
    expected = forced_align(log_probs.float(), targets, frames, labels)
    assert scores.dtype == dtype
    assert torch.equal(paths, expected[0])
    assert torch.equal(scores.float(), expected[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [3, 0, 1]}, "1 of 3 items cannot be aligned: item 1: its target is empty"),
        ({"labels": [3, 4, 1]}, "item 1: target length 4 is not within the targets' 1 to 3 labels"),
        ({"frames": [9, 9, 10]}, "item 2: input length 10 is not within log_probs' 1 to 9 frames"),
        ({"frames": [9, 0, 9]}, "item 1: input length 0 is not within"),
        ({"targets": (1, 1, 0)}, "item 1: target 0 at place 1 is the blank, 0"),
        ({"targets": (2, 0, 5)}, "item 2: target 5 at place 0 is none of the labels 0 to 4"),
        ({"targets": (0, 2, -1)}, "item 0: target -1 at place 2 is none of the labels 0 to 4"),
        ({"frames": [2, 9, 9]}, "item 0: 3 labels cannot share 2 frames"),
        ({"frames": [9, 4, 9]}, "item 1: 3 labels and 2 blanks between equal ones cannot share 4 frames"),
        ({"score": (2, 4, 0, torch.nan)}, "item 2: scores hold NaN"),
        ({"score": (0, 4, 0, torch.inf)}, "item 0: scores hold +inf"),
        ({"score": (1, 0, slice(None), -torch.inf)}, "item 1: the best path's score is not finite"),
    ],
)
def test_items_without_a_path_are_named(change: dict, message: str) -> None:
    log_probs = torch.randn(3, 9, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, 2, 3], [4, 4, 4], [2, 2, 1]])
    frames, labels = change.get("frames", [9, 9, 9]), change.get("labels", [3, 3, 3])
    if "targets" in change:
        b, i, label = change["targets"]
        targets[b, i] = label
    if "score" in change:
        b, j, v, score = change["score"]
        log_probs[b, j, v] = score
    with pytest.raises(ValueError, match=re.escape(message)):
        forced_align(log_probs, targets, frames, labels)
    paths, scores = forced_align(log_probs, targets, frames, labels, check=False)
    named = int(re.search(r"item (\d)", message).group(1))  # type: ignore[union-attr]
    assert (paths[named] == -1).all()
    assert (scores[named] == -torch.inf).all()
    others = [b for b in range(3) if b != named]
    assert (paths[others] >= 0).all()
    assert scores[others].isfinite().all()


def test_empty_batches_and_targets() -> None:
    paths, scores = forced_align(torch.zeros(0, 5, 3), torch.zeros(0, 2, dtype=torch.int64))
    assert paths.shape == scores.shape == (0, 5)
    with pytest.raises(ValueError, match="item 0: its target is empty"):
        forced_align(torch.zeros(1, 5, 3), torch.zeros(1, 0, dtype=torch.int64))
    with pytest.raises(ValueError, match="input length 0 is not within"):
        forced_align(torch.zeros(1, 0, 3), torch.ones(1, 1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"log_probs": torch.zeros(9, 5)}, "log_probs have shape (9, 5)"),
        ({"log_probs": torch.zeros(1, 9, 5).long()}, "log_probs are torch.int64"),
        ({"targets": torch.ones(2, 3).long()}, "targets have shape (2, 3)"),
        ({"targets": torch.ones(3).long()}, "targets have shape (3,)"),
        ({"targets": torch.ones(1, 3)}, "targets are torch.float32"),
        ({"blank": 5}, "blank 5 is none of the 5 labels"),
        ({"blank": -1}, "blank -1 is none of the 5 labels"),
        ({"input_lengths": torch.tensor([9, 9])}, "input_lengths has shape (2,)"),
        ({"target_lengths": [3.5]}, "target_lengths is torch.float32"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    right = {"log_probs": torch.zeros(1, 9, 5), "targets": torch.ones(1, 3, dtype=torch.int64)}
    with pytest.raises(ValueError, match=re.escape(message)):
        forced_align(**(right | arguments))


def test_scores_have_a_gradient_and_nothing_is_written_to() -> None:
    log_probs, targets, blank = _case(8)
    log_probs.requires_grad_()
    before = log_probs.detach().clone()
    paths, scores = forced_align(log_probs, targets, blank=blank)
    scores.sum().backward()
    one_hot = torch.nn.functional.one_hot(paths.long(), log_probs.shape[2]).float()
    assert log_probs.grad is not None
    assert torch.equal(log_probs.grad, one_hot)
    assert torch.equal(log_probs.detach(), before)


def test_compiles_without_graph_breaks() -> None:
    _, (log_probs, targets, frames, labels) = _batch()
    compiled = torch.compile(forced_align, fullgraph=True, backend="eager")
    for found, expected in zip(
        compiled(log_probs, targets, frames, labels),
        forced_align(log_probs, targets, frames, labels),
        strict=True,
    ):
        assert torch.equal(found, expected)
    torch.library.opcheck(torch.ops.mas.forced_align, (log_probs, targets, frames, labels, 0, "", True))


@pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")
def test_triton_finds_the_same_paths(triton_device: str) -> None:
    _, batch = _batch(ties=True)
    expected = forced_align(*batch)
    found = forced_align(*(t.to(triton_device) for t in batch), backend="triton")
    assert torch.equal(found[0].cpu(), expected[0])
    assert torch.equal(found[1].cpu(), expected[1])


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_finds_the_cpus_paths_and_waits_for_nothing_unless_it_checks(dtype: torch.dtype) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    draw = torch.Generator().manual_seed(0)
    log_probs = torch.randn(16, 700, 29, generator=draw).log_softmax(2).to(dtype)
    targets = torch.randint(1, 29, (16, 150), generator=draw)
    frames, labels = torch.linspace(700, 400, 16).long(), torch.linspace(150, 1, 16).long()
    expected = forced_align(log_probs, targets, frames, labels)
    there = [t.cuda() for t in (log_probs, targets, frames, labels)]
    for backend in (None, "triton"):
        found = forced_align(*there, backend=backend)  # type: ignore[arg-type]
        assert torch.equal(found[0].cpu(), expected[0])
        assert torch.equal(found[1].cpu(), expected[1])
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        forced_align(*there, check=False)  # type: ignore[arg-type]
    finally:
        torch.cuda.set_sync_debug_mode("default")
