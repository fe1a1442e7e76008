"""The alignment prior against SciPy's beta-binomial distribution."""

import numpy as np
import pytest
import torch
from scipy.stats import betabinom

from aligner.training.diagonal_prior import beta_binomial_prior

LENGTHS = [(7, 31), (1, 5), (20, 20), (12, 1), (4, 400)]


@pytest.mark.parametrize("scaling", [0.05, 1.0, 3.5])
def test_equals_scipy(scaling: float) -> None:
    text_lengths, speech_lengths = torch.tensor(LENGTHS).T
    n_tokens, n_frames = 22, 405
    log_prior = beta_binomial_prior(text_lengths, speech_lengths, n_tokens, n_frames, scaling)
    expected = np.zeros((len(LENGTHS), n_tokens, n_frames))
    for item, (tokens, frames) in enumerate(LENGTHS):
        for i in range(1, frames + 1):
            distribution = betabinom(tokens - 1, scaling * i, scaling * (frames + 1 - i))
            expected[item, :tokens, i - 1] = distribution.logpmf(np.arange(tokens))
    assert log_prior.dtype == torch.float32
    np.testing.assert_allclose(log_prior.numpy(), expected, rtol=3e-7, atol=1e-6)


def test_long_utterances_sum_to_one() -> None:
    log_prior = beta_binomial_prior(torch.tensor([400]), torch.tensor([3000]), 400, 3000, scaling=1.0)
    torch.testing.assert_close(
        log_prior.double().exp().sum(1), torch.ones(1, 3000).double(), rtol=0, atol=1e-5
    )


def test_runs_along_the_diagonal() -> None:
    log_prior = beta_binomial_prior(torch.tensor([10]), torch.tensor([100]), 10, 100, scaling=1.0)
    best = log_prior[0].argmax(0)
    assert best[0] == 0
    assert best[-1] == 9
    assert (best.diff() >= 0).all()


def test_empty_utterances_have_no_prior() -> None:
    log_prior = beta_binomial_prior(torch.tensor([0, 2]), torch.tensor([4, 0]), 3, 4)
    assert not log_prior.any()


def test_scaling_must_be_positive() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        beta_binomial_prior(torch.tensor([2]), torch.tensor([4]), 2, 4, scaling=0.0)
