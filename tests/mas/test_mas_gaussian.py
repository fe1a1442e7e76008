"""Gaussian log-likelihood and the search over it."""

import pytest
import torch
from search_cases import random_batch

import mas


def _priors(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(3, 5, 4, generator=generator, dtype=dtype)
    log_scale = 0.3 * torch.randn(3, 5, 4, generator=generator, dtype=dtype)
    speech = torch.randn(3, 17, 4, generator=generator, dtype=dtype)
    return mean, log_scale, speech


_TEXT, _SPEECH = torch.tensor([5, 3, 1]), torch.tensor([17, 16, 2])


def test_log_likelihood_is_that_of_the_normal_distribution() -> None:
    mean, log_scale, speech = _priors()
    for scale in (log_scale, None):
        std = torch.ones_like(mean) if scale is None else scale.exp()
        normal = torch.distributions.Normal(mean[:, :, None], std[:, :, None])
        expected = normal.log_prob(speech[:, None]).sum(3)
        torch.testing.assert_close(mas.log_likelihood(mean, scale, speech), expected, rtol=1e-12, atol=1e-12)


def test_unit_variance_is_a_log_scale_of_zero() -> None:
    mean, log_scale, speech = _priors()
    zero = mas.log_likelihood(mean, torch.zeros_like(log_scale), speech)
    torch.testing.assert_close(mas.log_likelihood(mean, None, speech), zero, rtol=1e-12, atol=1e-12)


def test_gradients() -> None:
    mean, log_scale, speech = (t[:1, :3].requires_grad_() for t in _priors())
    assert torch.autograd.gradcheck(mas.log_likelihood, (mean, log_scale, speech))
    assert torch.autograd.gradcheck(lambda m, z: mas.log_likelihood(m, None, z), (mean, speech))


def test_half_types_and_autocast_are_computed_in_float32() -> None:
    mean, log_scale, speech = (t.bfloat16() for t in _priors())
    expected = mas.log_likelihood(mean.float(), log_scale.float(), speech.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mas.log_likelihood(mean, log_scale, speech), expected)


@pytest.mark.parametrize("unit_variance", [False, True])
def test_search_is_likelihood_then_search(unit_variance: bool) -> None:
    mean, log_scale, speech = _priors(torch.float32)
    scale = None if unit_variance else log_scale
    skippable = torch.tensor([[True, False, True, False, True]]).expand(3, -1)
    scores = mas.log_likelihood(mean, scale, speech)
    for skips in (None, skippable):
        expected = mas.search(scores, _TEXT, _SPEECH, skippable=skips)
        found = mas.gaussian_search(mean, scale, speech, _TEXT, _SPEECH, skippable=skips)
        assert isinstance(found, torch.Tensor)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("unit_variance", [False, True])
def test_scores_are_those_along_the_path(unit_variance: bool) -> None:
    mean, log_scale, speech = _priors(torch.float32)
    scale = None if unit_variance else log_scale
    skippable = torch.tensor([[False, True, False, True, False]]).expand(3, -1)
    found = mas.gaussian_search(mean, scale, speech, _TEXT, _SPEECH, skippable=skippable, return_scores=True)
    assert isinstance(found, mas.GaussianAlignment)
    path = mas.dense_path(found.durations, 17)
    on_path = path * mas.log_likelihood(mean, scale, speech)
    torch.testing.assert_close(found.score, on_path.sum((1, 2)), rtol=1e-5, atol=1e-5)
    means = on_path.sum(2) / found.durations.clamp(min=1)
    torch.testing.assert_close(found.token_scores, means, rtol=1e-5, atol=1e-5)


def test_finds_the_tokens_that_spoke() -> None:
    batch = random_batch(8, 6, 12, 60)
    mean = 3 * torch.randn(6, 12, 16, generator=torch.Generator().manual_seed(1))
    true = mas.search(*batch[:3])
    token = (true.cumsum(1)[:, None, :] <= torch.arange(60)[:, None]).sum(2).clamp(max=11)
    speech = mean.gather(1, token[:, :, None].expand(-1, -1, 16))
    assert torch.equal(mas.gaussian_search(mean, None, speech, *batch[1:3]), true)


def test_errors() -> None:
    mean, log_scale, speech = _priors(torch.float32)
    with pytest.raises(ValueError, match=r"mean has shape \(3, 5, 4\), speech \(3, 4, 17\)"):
        mas.log_likelihood(mean, log_scale, speech.mT)
    with pytest.raises(ValueError, match="log_scale has shape"):
        mas.log_likelihood(mean, log_scale[:, :4], speech)
    with pytest.raises(ValueError, match="precision 'half'"):
        mas.gaussian_search(mean, None, speech, _TEXT, _SPEECH, precision="half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="item 2: 5 tokens cannot share 2 frames"):
        mas.gaussian_search(mean, None, speech, torch.tensor([5, 3, 5]), _SPEECH)
    mean[1] = float("nan")
    with pytest.raises(ValueError, match="1 of 3 items cannot be aligned: item 1: scores hold NaN"):
        mas.gaussian_search(mean, None, speech, _TEXT, _SPEECH)
    found = mas.gaussian_search(mean, None, speech, _TEXT, _SPEECH, check=False, return_scores=True)
    assert isinstance(found, mas.GaussianAlignment)
    assert found.durations[1].tolist() == [-1] * 5
    assert found.score[1] == 0
    assert found.durations[[0, 2]].sum(1).tolist() == [17, 2]


def test_compiles_without_graph_breaks() -> None:
    mean, log_scale, speech = _priors(torch.float32)
    compiled = torch.compile(mas.gaussian_search, fullgraph=True, backend="eager")
    expected = mas.gaussian_search(mean, log_scale, speech, _TEXT, _SPEECH)
    assert torch.equal(compiled(mean, log_scale, speech, _TEXT, _SPEECH), expected)


@pytest.mark.parametrize("unit_variance", [False, True])
def test_the_likelihood_along_the_path_has_the_gradient_of_the_matrix(unit_variance: bool) -> None:
    tensors = [t.requires_grad_() for t in _priors()]
    mean, log_scale, speech = tensors
    scale = None if unit_variance else log_scale
    found = mas.gaussian_likelihood(mean, scale, speech, _TEXT, _SPEECH)
    path = mas.dense_path(found.durations, 17, dtype=torch.float64)
    along = mas.log_likelihood(mean, scale, speech) * path
    expected = along.sum((1, 2)), along.sum(2) / found.durations.clamp(min=1)
    used = [t for t in (mean, scale, speech) if t is not None]
    for own, right in zip(found[1:], expected, strict=True):
        torch.testing.assert_close(own, right, rtol=1e-10, atol=1e-10)
        weights = torch.randn_like(right)
        gradients = torch.autograd.grad(own, used, weights, retain_graph=True)
        for gradient, other in zip(
            gradients, torch.autograd.grad(right, used, weights, retain_graph=True), strict=True
        ):
            torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-9)


def test_gradcheck_of_the_likelihood_along_the_path() -> None:
    tensors = tuple(t[:2].requires_grad_() for t in _priors())

    def scores(mean, log_scale, speech):
        return mas.gaussian_likelihood(mean, log_scale, speech, _TEXT[:2], _SPEECH[:2])[1:]

    assert torch.autograd.gradcheck(scores, tensors)


def test_padding_gives_no_gradient_whatever_it_holds() -> None:
    mean, log_scale, speech = _priors(torch.float32)
    speech[torch.arange(17) >= _SPEECH[:, None]] = float("nan")
    for t in (mean, log_scale, speech):
        t.requires_grad_()
    mas.gaussian_likelihood(mean, log_scale, speech, _TEXT, _SPEECH).score.sum().backward()
    for t, lengths in ((mean, _TEXT), (log_scale, _TEXT), (speech, _SPEECH)):
        assert t.grad is not None
        assert t.grad.isfinite().all()
        assert not t.grad[torch.arange(t.shape[1]) >= lengths[:, None]].any()


def test_groups_of_items_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from mas import gaussian

    mean, log_scale, speech = _priors(torch.float32)
    expected = mas.gaussian_search(mean, log_scale, speech, _TEXT, _SPEECH)
    for size in (1, 4 * 5 * 17 * 2, 1 << 20):
        monkeypatch.setattr(gaussian, "_MEMORY_BYTES", size)
        found = mas.gaussian_search(mean, log_scale, speech, _TEXT, _SPEECH)
        assert isinstance(found, torch.Tensor)
        assert isinstance(expected, torch.Tensor)
        assert torch.equal(found, expected)
