"""`mas.forward_sum`: its contract, whatever the backend."""

import re

import pytest
import torch
from hypothesis import given, settings
from search_cases import Batch, batches, random_batch

import mas
from mas.backends import reference_forward

INFINITY = float("inf")


def _sum(batch: Batch, **options) -> torch.Tensor:
    scores, text_lengths, speech_lengths, skippable = batch
    return mas.forward_sum(scores, text_lengths, speech_lengths, skippable=skippable, **options)


def _gradient(batch: Batch, weights: torch.Tensor, **options) -> torch.Tensor:
    scores = batch.scores.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(_sum(batch._replace(scores=scores), **options), scores, weights)
    return gradient


@settings(max_examples=100, deadline=None)
@given(batches())
def test_equals_the_definition(batch: Batch) -> None:
    weights = torch.linspace(-1, 2, len(batch.scores))
    expected = torch.zeros_like(batch.scores)
    reference_forward.add_gradient(expected, weights, *batch)
    before = batch.scores.clone()
    for layout in ("BTS", "BST"):
        turned = batch._replace(scores=batch.scores.mT.contiguous()) if layout == "BST" else batch
        torch.testing.assert_close(
            _sum(turned, layout=layout), reference_forward.log_sums(*batch), rtol=1e-6, atol=2e-6
        )
        gradient = _gradient(turned, weights, layout=layout)
        gradient = gradient.mT if layout == "BST" else gradient
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(batch.scores, before)


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_gradcheck(backend: str, skips: bool) -> None:
    batch = random_batch(4, 4, 5, 11, skips=skips)
    scores = batch.scores.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: _sum(batch._replace(scores=x), backend=backend), scores)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_posteriors_of_a_frame_sum_to_one(backend: str) -> None:
    batch = random_batch(1, 8, 12, 60, skips=True)
    gradient = _gradient(batch, torch.ones(8), backend=backend)
    inside = torch.arange(60) < batch.speech_lengths[:, None]
    torch.testing.assert_close(gradient.sum(1), inside.float(), rtol=0, atol=1e-5)
    assert not gradient[torch.arange(12) >= batch.text_lengths[:, None]].any()


def test_a_sharp_matrix_gives_the_search() -> None:
    batch = random_batch(2, 6, 9, 40)
    sharp = batch._replace(scores=10_000 * batch.scores)
    durations = mas.search(*batch[:3])
    torch.testing.assert_close(
        _gradient(sharp, torch.ones(6)), mas.dense_path(durations, 40), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("size", [1e-30, 30.0, 3_000.0, 1e5, 1e9, 1e30])
def test_no_size_of_scores_underflows(size: float) -> None:
    batch = random_batch(3, 6, 30, 120, skips=True)
    batch = batch._replace(scores=size * batch.scores)
    expected = reference_forward.log_sums(*batch)
    assert expected.isfinite().all()
    torch.testing.assert_close(_sum(batch), expected, rtol=3e-6, atol=1e-5)
    gamma = torch.zeros_like(batch.scores)
    reference_forward.add_gradient(gamma, torch.ones(6), *batch)
    torch.testing.assert_close(_gradient(batch, torch.ones(6)), gamma, rtol=1e-4, atol=1e-5)


def test_no_length_underflows() -> None:
    scores = 20 * torch.randn(1, 40, 20_000, generator=torch.Generator().manual_seed(0))
    batch = Batch(scores, torch.tensor([40]), torch.tensor([20_000]), None)
    exact = batch._replace(scores=scores.double())
    torch.testing.assert_close(_sum(batch).double(), _sum(exact), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        _gradient(batch, torch.ones(1)).double(), _gradient(exact, torch.ones(1)), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_half_types_are_computed_in_float32(backend: str, dtype: torch.dtype) -> None:
    batch = random_batch(5, 4, 20, 90)
    half = batch._replace(scores=batch.scores.to(dtype))
    whole = half._replace(scores=half.scores.float())
    assert _sum(half).dtype == torch.float32
    assert torch.equal(_sum(half, backend=backend), _sum(whole, backend=backend))
    gradient = _gradient(half, torch.ones(4), backend=backend)
    assert gradient.dtype == dtype
    assert torch.equal(gradient, _gradient(whole, torch.ones(4), backend=backend).to(dtype))


def test_any_strides() -> None:
    batch = random_batch(6, 5, 9, 40, skips=True)
    expected, gradient = _sum(batch), _gradient(batch, torch.ones(5))
    room = torch.full((11, 20, 82), float("nan"))
    views = [
        room.clone()[1:6, 1:10, 1:41],
        room.clone()[1::2, 1:19:2, 1:81:2],
        torch.empty(40, 9, 5).permute(2, 1, 0),
    ]
    for view in views:
        own = batch._replace(scores=view.copy_(batch.scores))
        assert torch.equal(_sum(own), expected)
        assert torch.equal(_gradient(own, torch.ones(5)), gradient)
    one = batch._replace(scores=batch.scores[:1].expand(5, -1, -1))
    same = one._replace(scores=one.scores.contiguous())
    assert torch.equal(_sum(one), _sum(same))
    assert torch.equal(_gradient(one, torch.ones(5)), _gradient(same, torch.ones(5)))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_padding_is_not_looked_at(backend: str) -> None:
    batch = random_batch(7, 9, 8, 30)
    expected, gradient = _sum(batch, backend=backend), _gradient(batch, torch.ones(9), backend=backend)
    outside = torch.arange(8)[:, None] >= batch.text_lengths[:, None, None]
    outside = outside | (torch.arange(30) >= batch.speech_lengths[:, None, None])
    for poison in (float("nan"), INFINITY):
        poisoned = batch._replace(scores=batch.scores.masked_fill(outside, poison))
        assert torch.equal(_sum(poisoned, backend=backend), expected)
        assert torch.equal(_gradient(poisoned, torch.ones(9), backend=backend), gradient)


@pytest.mark.parametrize(
    ("change", "message", "value"),
    [
        ({"text_lengths": [3, 7, 0]}, "item 2: text length 0 is not within", -INFINITY),
        ({"speech_lengths": [20, 21, 9]}, "item 1: speech length 21 is not within", -INFINITY),
        ({"speech_lengths": [20, 6, 9]}, "item 1: 7 tokens cannot share 6 frames", -INFINITY),
        ({"at": (2, 0, 0), "score": float("nan")}, "item 2: scores hold NaN", float("nan")),
        ({"at": (0, 1, 4), "score": INFINITY}, "item 0: scores hold +inf", float("nan")),
        ({"at": (0, 0, 0), "score": -INFINITY}, "item 0: the best path's score is not finite", -INFINITY),
        ({"skippable": [0, 1]}, "item 1: two neighbouring tokens are skippable", -INFINITY),
    ],
)
def test_items_without_a_path_are_named(change: dict, message: str, value: float) -> None:
    scores = torch.randn(3, 7, 20, generator=torch.Generator().manual_seed(0))
    if "at" in change:
        scores[change["at"]] = change["score"]
    skippable = None
    if "skippable" in change:
        skippable = torch.zeros(3, 7, dtype=torch.bool)
        skippable[1, change["skippable"]] = True
    text = torch.tensor(change.get("text_lengths", [3, 7, 2]))
    speech = torch.tensor(change.get("speech_lengths", [20, 19, 9]))
    batch = Batch(scores, text, speech, skippable)
    named = int(re.search(r"item (\d)", message).group(1))  # type: ignore[union-attr]
    for backend in ("cpu", "reference"):
        with pytest.raises(ValueError, match=re.escape(message)):
            _sum(batch, backend=backend)
        found = _sum(batch, backend=backend, check=False)
        assert torch.equal(found[named].isnan(), torch.tensor(value != value))
        assert value != value or found[named] == value
        gradient = _gradient(batch, torch.ones(3), backend=backend, check=False)
        for b in range(3):
            if b != named:
                assert found[b].isfinite()
                torch.testing.assert_close(gradient[b].sum(), speech[b].float(), rtol=1e-4, atol=0)
        own = gradient[named, : text[named], : speech[named]]
        assert own.isnan().all() if value != value else not own.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": torch.zeros(2, 7)}, "scores have shape (2, 7)"),
        ({"scores": torch.zeros(2, 7, 20, dtype=torch.int64)}, "scores are torch.int64"),
        ({"text_lengths": torch.tensor([7])}, "text_lengths has shape (1,)"),
        ({"skippable": torch.zeros(2, 8, dtype=torch.bool)}, "skippable has shape (2, 8)"),
        ({"layout": "TBS"}, "layout 'TBS'"),
        ({"backend": "hopper"}, "backend 'hopper' has no forward sum on cpu"),
        ({"scores": torch.zeros(2, 20, 7)}, 'pass layout="BST"'),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    right = {
        "scores": torch.zeros(2, 7, 20),
        "text_lengths": torch.tensor([7, 7]),
        "speech_lengths": torch.tensor([20, 20]),
    }
    with pytest.raises(ValueError, match=re.escape(message)):
        mas.forward_sum(**(right | arguments))
    with pytest.raises(TypeError, match="scores: a torch.Tensor is needed, not list"):
        mas.forward_sum(**(right | {"scores": [1.0]}))  # type: ignore[arg-type]


def test_empty_batches() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    scores = torch.zeros(0, 3, 6, requires_grad=True)
    log_sums = mas.forward_sum(scores, none, none)
    assert log_sums.shape == (0,)
    log_sums.sum().backward()
    assert scores.grad is not None
    assert scores.grad.shape == (0, 3, 6)
    with pytest.raises(ValueError, match="speech length 1 is not within the scores' 1 to 0 frames"):
        mas.forward_sum(torch.zeros(1, 3, 0), torch.tensor([1]), torch.tensor([1]))


def test_a_second_derivative_is_refused() -> None:
    batch = random_batch(8, 2, 5, 12)
    scores = batch.scores.requires_grad_()
    (gradient,) = torch.autograd.grad(_sum(batch._replace(scores=scores)).sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="mas: forward sums can be differentiated once"):
        gradient.square().sum().backward()


def test_compiles_without_graph_breaks() -> None:
    batch = random_batch(9, 4, 7, 20, skips=True)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def loss(scores, text, speech, skippable):
        return -(mas.forward_sum(2 * scores, text, speech, skippable=skippable) / text).mean()

    scores = batch.scores.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(scores, *batch[1:]), scores)
    doubled = batch._replace(scores=2 * batch.scores.detach())
    expected = _gradient(doubled, -2 / batch.text_lengths / 4)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("layout", ["BTS", "BST"])
def test_the_operations_are_what_they_say(layout: str) -> None:
    scores, text, speech, skippable = random_batch(10, 4, 7, 20, skips=True)
    if layout == "BST":
        scores = scores.mT.contiguous().mT
    arguments = (scores.requires_grad_(), text, speech, skippable, f"search {layout}", "", True)
    torch.library.opcheck(torch.ops.mas.forward_sum, arguments)
    torch.library.opcheck(
        torch.ops.mas.forward_sum_gradient, (torch.ones(4), scores.detach(), text, speech, skippable, "")
    )
