"""What the evidence is made of, and the line through it."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from aligner.confidence import _logistic, _probability, utterance_evidence
from aligner.text.transcript import Tokens


def tokens(*symbols):
    return Tokens(symbols, tuple(range(len(symbols))), (False,) * len(symbols))


def test_a_word_passed_over_as_a_pause_makes_the_worst_stretch():
    said = tokens("sil", "a", "b", "sil", "c", "sil")
    durations = np.array([20, 10, 10, 30, 10, 20])
    quiet = utterance_evidence(np.array([0.0, -0.5, -0.5, 0.0, -0.5, 0.0]), said, durations)
    spoken = utterance_evidence(np.array([0.0, -0.5, -0.5, -6.0, -0.5, 0.0]), said, durations)
    assert quiet == pytest.approx([-0.5, -0.5, -0.5])
    assert spoken == pytest.approx([-0.5, -6.0, -0.5])


def test_a_pause_that_nobody_made_counts_for_nothing():
    said = tokens("a", "sil", "b", "c", "d")
    evidence = utterance_evidence(
        np.array([-1.0, 0.0, -2.0, -3.0, -4.0]), said, np.array([15, 0, 30, 30, 15])
    )
    assert evidence == pytest.approx([-2.5, -4.0, -3.0])


def test_more_evidence_never_means_less_confidence():
    generator = np.random.default_rng(0)
    fitting, other = generator.normal(0, 1, (200, 2)), generator.normal(0, 1, (200, 2))
    other[:, 0] -= 2  # tells them apart
    other[:, 1] += 1  # the wrong way round
    line = torch.from_numpy(_logistic(fitting, other))
    assert line[0] > 1
    assert line[1] == 0
    assert (_probability(fitting, line) > 0.5).mean() > 0.8 > 0.2 > (_probability(other, line) > 0.5).mean()


def test_areas_and_bins_of_the_script(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    confidence = importlib.import_module("confidence")
    assert confidence._area(np.array([0.9, 0.8, 0.3]), np.array([0.1, 0.3])) == pytest.approx(5.5 / 6)
    scores = np.linspace(0, 1, 40)
    rows = confidence._bins(scores, scores > 0.5)
    assert [row["right"] for row in rows] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert [row["n"] for row in rows] == [4] * 10
    assert rows[0]["score"] == pytest.approx(scores[:4].mean())
