"""The learning-rate schedule against its published formula; the growth of the warm start."""

import pytest
import torch

from aligner.training.gradient import growth, noam


def test_equals_the_formula_with_glow_tts_settings() -> None:
    hidden, warmup_steps = 192, 4000
    peak = (hidden * warmup_steps) ** -0.5
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = noam(optimizer, warmup_steps)
    rates = []
    for _ in range(9000):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    formula = [hidden**-0.5 * min(step**-0.5, step * warmup_steps**-1.5) for step in range(1, 9001)]
    assert rates == pytest.approx(formula, rel=1e-12)
    assert max(rates) == rates[warmup_steps - 1] == pytest.approx(1.141e-3, rel=1e-3)


def test_warm_up_must_have_a_step() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(ValueError, match="at least 1"):
        noam(optimizer, 0)


@pytest.mark.parametrize(
    ("gaussians", "epochs", "expected"),
    [(4, 10, {4: 2, 6: 4}), (6, 10, {4: 2, 5: 4, 6: 6}), (1, 10, {}), (4, 1, {1: 4}), (3, 4, {1: 2, 2: 3})],
)
def test_gaussians_double_over_the_warm_start(gaussians: int, epochs: int, expected: dict[int, int]) -> None:
    assert growth(gaussians, max(1, int(0.4 * epochs)), epochs) == expected
