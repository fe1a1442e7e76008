"""Forward sums, posteriors and boundaries over states' emissions: their contract, whatever the backend."""

import re

import pytest
import torch
from forward_cases import by_every_path
from hypothesis import given, settings
from hypothesis import strategies as st
from state_cases import StateBatch, random_state_batch, state_batches

import mas

BOTH = pytest.mark.parametrize("backend", ["cpu", "reference"])


def _call(function, batch: StateBatch, **options):
    *tensors, starts, skippable = batch
    return function(*tensors, starts=starts, skippable=skippable, **options)


def _gradient(batch: StateBatch, weights: torch.Tensor, **options) -> torch.Tensor:
    emissions = batch.emissions.detach().requires_grad_()
    log_sums = _call(mas.forward_sum_states, batch._replace(emissions=emissions), **options)
    (gradient,) = torch.autograd.grad(log_sums, emissions, weights)
    return gradient


@settings(max_examples=100, deadline=None)
@given(state_batches(max_tokens=5, max_frames=8))
def test_equals_every_path(batch: StateBatch) -> None:
    scores, tokens, frames, skippable = batch.scores()
    found = {backend: _call(mas.boundary_moments, batch, backend=backend) for backend in ("cpu", "reference")}
    posteriors = torch.zeros_like(batch.emissions)
    for b in range(len(scores)):
        T, S = int(tokens[b]), int(frames[b])
        may_skip = torch.zeros(T, dtype=torch.bool) if skippable is None else skippable[b, :T]
        log_sum, gamma, mean, spread = by_every_path(scores[b, :T, :S].double(), may_skip)
        for backend, (log_sums, means, spreads) in found.items():
            exact = backend == "reference"
            torch.testing.assert_close(log_sums[b], log_sum, rtol=1e-6, atol=2e-6)
            torch.testing.assert_close(means[b, :T], mean, rtol=1e-6, atol=1e-12 if exact else 1e-5)
            torch.testing.assert_close(spreads[b, :T], spread, rtol=1e-5, atol=1e-3)
            assert not means[b, T:].any()
            assert not spreads[b, T:].any()
        rows = posteriors[b] if batch.starts is None else posteriors[int(batch.starts[b]) :]
        rows[:S].index_add_(1, batch.states[b, :T], gamma.T.float())
    for backend in ("cpu", "reference"):
        own = _call(mas.state_posteriors, batch, backend=backend)
        torch.testing.assert_close(own, posteriors, rtol=1e-5, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(state_batches(), st.sampled_from([1.0, 0.1, 2.5]))
def test_equals_the_forward_sum_over_gathered_scores(batch: StateBatch, scale: float) -> None:
    scores, *rest, skippable = batch.scores()
    expected = mas.forward_sum(scale * scores, *rest, skippable=skippable, backend="reference")
    for backend in ("cpu", "reference"):
        found = _call(mas.forward_sum_states, batch, scale=scale, backend=backend)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=2e-6)


@BOTH
@pytest.mark.parametrize("packed", [False, True])
def test_gradcheck(packed: bool, backend: str) -> None:
    batch = random_state_batch(3, 4, 5, 11, 3, packed=packed, skips=True)

    def log_sums(emissions: torch.Tensor) -> torch.Tensor:
        return _call(mas.forward_sum_states, batch._replace(emissions=emissions), scale=0.3, backend=backend)

    assert torch.autograd.gradcheck(log_sums, batch.emissions.double().requires_grad_())


@BOTH
def test_the_gradient_is_the_scale_times_the_posteriors(backend: str) -> None:
    batch = random_state_batch(4, 6, 9, 40, 5, packed=True, skips=True)
    gradient = _gradient(batch, torch.ones(6), scale=0.1, backend=backend)
    posteriors = _call(mas.state_posteriors, batch, scale=0.1, backend=backend)
    torch.testing.assert_close(gradient, 0.1 * posteriors)
    assert not posteriors.requires_grad


def test_expected_durations_add_up_to_the_occupancy_of_states() -> None:
    batch = random_state_batch(5, 6, 9, 40, 5, skips=True)
    durations = _call(mas.boundary_moments, batch).mean.diff(prepend=torch.zeros(6, 1).double())
    spoken = torch.arange(9) < batch.text_lengths[:, None]
    occupancy = torch.zeros(5).double().index_add_(0, batch.states[spoken], durations[spoken])
    posteriors = _call(mas.state_posteriors, batch)
    torch.testing.assert_close(occupancy.float(), posteriors.sum((0, 1)), rtol=1e-5, atol=1e-5)


def test_sharp_emissions_give_the_search() -> None:
    batch = random_state_batch(6, 6, 9, 60, 5, packed=True)
    batch = batch._replace(states=(torch.arange(9) % 5).expand(6, -1))  # no two alike side by side: no ties
    hard = batch.search().cumsum(1).double()
    moments = _call(mas.boundary_moments, batch, scale=1e4)
    spoken = torch.arange(9) < batch.text_lengths[:, None]
    torch.testing.assert_close(moments.mean[spoken], hard[spoken], rtol=0, atol=1e-3)
    assert moments.spread.max() < 0.05


@pytest.mark.parametrize("skips", [False, True])
def test_a_long_item_is_as_exact_as_in_float64(skips: bool) -> None:
    batch = random_state_batch(7, 1, 2_000, 6_000, 40, skips=skips)
    batch = batch._replace(text_lengths=torch.tensor([2_000]), speech_lengths=torch.tensor([6_000]))
    moments = _call(mas.boundary_moments, batch)
    exact = _call(mas.boundary_moments, batch._replace(emissions=batch.emissions.double()))
    torch.testing.assert_close(moments.log_sum, exact.log_sum, rtol=1e-7, atol=0)
    torch.testing.assert_close(moments.mean, exact.mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(moments.spread, exact.spread, rtol=1e-3, atol=1e-2)
    assert moments.mean[0, -1] == 6_000


@BOTH
def test_cells_no_path_can_visit_are_not_looked_at(backend: str) -> None:
    from mas.backends.reference import visitable

    emissions = torch.randn(1, 7, 4, generator=torch.Generator().manual_seed(0))
    poisoned = emissions.masked_fill(~visitable(torch.zeros(4, dtype=torch.bool), 7).T, float("nan"))
    arguments = torch.arange(4)[None], torch.tensor([4]), torch.tensor([7])
    for function in (mas.forward_sum_states, mas.state_posteriors):
        expected = function(emissions, *arguments, backend=backend)
        assert torch.equal(function(poisoned, *arguments, backend=backend), expected)


@BOTH
@pytest.mark.parametrize("packed", [False, True])
def test_any_strides_and_integers(packed: bool, backend: str) -> None:
    batch = random_state_batch(8, 5, 7, 20, 4, packed=packed, skips=True)
    expected = _call(mas.boundary_moments, batch, backend=backend)
    gradient = _gradient(batch, torch.ones(5), backend=backend)
    shape = batch.emissions.shape
    turned = torch.empty(shape[::-1]).permute(*range(len(shape))[::-1]).copy_(batch.emissions)
    wide = torch.full([3 * n for n in shape], float("nan"))
    spread = wide[tuple(slice(1, None, 3) for _ in shape)].copy_(batch.emissions)
    short = batch._replace(**{name: getattr(batch, name).int() for name in ("states", "text_lengths")})
    for own in (batch._replace(emissions=turned), batch._replace(emissions=spread), short):
        for found, right in zip(_call(mas.boundary_moments, own, backend=backend), expected, strict=True):
            assert torch.equal(found, right)
        assert torch.equal(_gradient(own, torch.ones(5), backend=backend), gradient)


@BOTH
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_lengths": [3, 8, 2]}, "item 1: text length 8 is not within the states' 1 to 7 tokens"),
        ({"speech_lengths": [20, 6, 9]}, "item 1: 7 tokens cannot share 6 frames"),
        ({"starts": [0, 40, 51], "speech_lengths": [20, 19, 9]}, "item 2: start 51 and speech length 9 are"),
        ({"states": (1, 6, 5)}, "item 1: state 5 of token 6 is no column of the emissions (0 to 4)"),
        ({"at": (2, 1, 4), "score": float("nan")}, "1 of 3 items cannot be aligned: item 2: scores hold NaN"),
        ({"at": (0, 0), "score": float("-inf")}, "item 0: the best path's score is not finite"),
        ({"most_frames": 19}, "item 0: speech length 20 is more than most_frames, 19"),
    ],
)
def test_items_without_a_path_are_named(backend: str, change: dict, message: str) -> None:
    emissions = torch.randn(3, 20, 5, generator=torch.Generator().manual_seed(0))
    states = torch.tensor([4, 0, 4, 2, 3, 4, 1]).repeat(3, 1)
    text = torch.tensor(change.get("text_lengths", [3, 7, 2]))
    speech = torch.tensor(change.get("speech_lengths", [20, 19, 9]))
    options = {"backend": backend, "most_frames": change.get("most_frames")}
    if "at" in change:
        emissions[change["at"]] = change["score"]
    if "states" in change:
        b, i, state = change["states"]
        states[b, i] = state
    if "starts" in change:
        emissions, options["starts"] = emissions.reshape(60, 5)[:59], torch.tensor(change["starts"])
    named = int(re.search(r"item (\d)", message).group(1))  # type: ignore[union-attr]
    arguments = emissions, states, text, speech
    for function in (mas.forward_sum_states, mas.state_posteriors, mas.boundary_moments):
        with pytest.raises(ValueError, match=re.escape(message)):
            function(*arguments, **options)
    log_sum, mean, spread = mas.boundary_moments(*arguments, **options, check=False)
    assert not log_sum[named].isfinite()
    assert mean[named, : text[named]].isnan().all()
    others = [b for b in range(3) if b != named]
    assert log_sum[others].isfinite().all()
    torch.testing.assert_close(mean[others, text[others] - 1], speech[others].double(), rtol=1e-6, atol=0)
    assert spread[others].isfinite().all()


def test_wrong_arguments() -> None:
    states, length = torch.zeros(2, 7, dtype=torch.int64), torch.tensor([7, 7])
    for function in (mas.forward_sum_states, mas.state_posteriors, mas.boundary_moments):
        with pytest.raises(ValueError, match=r"packed emissions \[F, M\] need starts"):
            function(torch.zeros(20, 4), states, length, length)
        with pytest.raises(TypeError, match="emissions: a torch.Tensor is needed"):
            function([1.0], states, length, length)
        with pytest.raises(ValueError, match="backend 'fortran' has no forward sum on cpu"):
            function(torch.zeros(2, 20, 4), states, length, length, backend="fortran")


def test_empty_batches() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert mas.forward_sum_states(torch.zeros(0, 6, 2), none.view(0, 3), none, none).shape == (0,)
    moments = mas.boundary_moments(torch.zeros(6, 2), none.view(0, 3), none, none, starts=none)
    assert [t.shape for t in moments] == [(0,), (0, 3), (0, 3)]
    posteriors = mas.state_posteriors(torch.zeros(6, 2), none.view(0, 3), none, none, starts=none)
    assert torch.equal(posteriors, torch.zeros(6, 2))


def test_a_second_derivative_is_refused() -> None:
    batch = random_state_batch(9, 2, 5, 12, 3)
    emissions = batch.emissions.requires_grad_()
    log_sums = _call(mas.forward_sum_states, batch._replace(emissions=emissions))
    (gradient,) = torch.autograd.grad(log_sums.sum(), emissions, create_graph=True)
    with pytest.raises(RuntimeError, match="mas: forward sums can be differentiated once"):
        gradient.square().sum().backward()


def test_compiles_without_graph_breaks() -> None:
    batch = random_state_batch(10, 4, 7, 20, 5, packed=True, skips=True)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def loss(emissions, states, text, speech, starts, skippable):
        return mas.forward_sum_states(
            2 * emissions, states, text, speech, starts=starts, skippable=skippable, scale=0.1
        ).sum()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def means(emissions, states, text, speech, starts, skippable):
        return mas.boundary_moments(
            emissions, states, text, speech, starts=starts, skippable=skippable, scale=0.2
        ).mean

    emissions = batch.emissions.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(emissions, *batch[1:]), emissions)
    plain = batch._replace(emissions=batch.emissions.detach())
    torch.testing.assert_close(gradient, _gradient(plain, torch.ones(4), scale=0.2))
    assert torch.equal(means(*plain), _call(mas.boundary_moments, plain, scale=0.2).mean)


@pytest.mark.parametrize("packed", [False, True])
def test_the_operations_are_what_they_say(packed: bool) -> None:
    emissions, states, text, speech, starts, skippable = random_state_batch(
        8, 4, 7, 20, 5, packed=packed, skips=True
    )
    arguments = (emissions.requires_grad_(), states, starts, text, speech, 25, skippable, 0.1, "")
    torch.library.opcheck(torch.ops.mas.forward_sum_states, (*arguments, True))
    plain = (emissions.detach(), *arguments[1:])
    torch.library.opcheck(torch.ops.mas.boundary_moments, (*plain, True))
    torch.library.opcheck(torch.ops.mas.forward_sum_states_gradient, (torch.ones(4), *plain))


def test_the_definition_and_the_cpu_agree_on_anything() -> None:
    for seed in range(12):
        T, S, M = 1 + seed % 9, 1 + 2 * seed % 23, 1 + seed % 5
        batch = random_state_batch(
            seed, 20, T, S, M, packed=seed % 2 == 1, skips=seed % 3 > 0, odd_values=True
        )
        found = _call(mas.forward_sum_states, batch, check=False)
        expected = _call(mas.forward_sum_states, batch, check=False, backend="reference")
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
        weights = torch.linspace(-1, 1, 20)
        gradient = _gradient(batch, weights, check=False)
        right = _gradient(batch, weights, check=False, backend="reference")
        torch.testing.assert_close(gradient, right, rtol=1e-4, atol=1e-5, equal_nan=True)
