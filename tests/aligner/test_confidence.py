"""Goodness of pronunciation, the evidence made of it, and the line through it.

T text tokens, F packed frames, V symbols.
"""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stub_encoder import packed

from aligner.confidence import (
    Calibration,
    _logistic,
    _probability,
    goodness_of_pronunciation,
    utterance_evidence,
)
from aligner.text.packed import PackedTokens
from aligner.text.transcript import Tokens

FRAME_S = 0.010


def tokens(*symbols: str) -> Tokens:
    return Tokens(symbols, tuple(range(len(symbols))), (False,) * len(symbols))


def indexed(*rows: list[int]) -> PackedTokens:
    """Tokens with these indices in the vocabulary."""
    ids = np.concatenate(rows)
    lengths = np.array([len(row) for row in rows])
    return PackedTokens(("",) * len(rows), ids, np.zeros_like(ids, bool), np.zeros_like(ids), lengths)


def evidence_of(
    goodness: NDArray[np.float64], said: Tokens, durations: NDArray[np.int64], frame_s: float
) -> NDArray[np.float64]:
    """Of one utterance; it is the same within a batch."""
    before = tokens("sil", "x", "y", "sil")
    batch = packed(said, before, said, before)
    other = np.full(len(before), -3.0), np.full(len(before), 7)
    goodness, durations = (
        np.concatenate([own, among, own, among])
        for own, among in zip((goodness, durations), other, strict=True)
    )
    alone, _, among, _ = utterance_evidence(goodness, batch, durations, frame_s)
    assert among == pytest.approx(alone)
    return alone


def test_goodness_is_the_mean_log_posterior_of_the_symbol() -> None:
    """Two tokens, "b" (symbol 2) for two frames and "a" (symbol 1) for one."""
    posteriors = torch.tensor([[0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25]]).log()
    found = goodness_of_pronunciation(posteriors, np.array([0]), np.array([2, 1]), indexed([2, 1]))
    assert found == pytest.approx([(math.log(0.7) + math.log(0.1)) / 2, math.log(0.25)])


def test_goodness_of_a_batch_starts_at_each_first_frame() -> None:
    """A token without frames gets 0; frames outside all tokens are not looked at."""
    posteriors = -torch.arange(24.0).reshape(8, 3)
    said, durations = indexed([1, 0], [0, 2, 1]), np.array([2, 1, 0, 1, 2])
    found = goodness_of_pronunciation(posteriors, np.array([1, 5]), durations, said)
    assert found[:2] == pytest.approx([-(4 + 7) / 2, -9])
    assert found[2:] == pytest.approx([0, -17, -(19 + 22) / 2])


def test_phones_are_what_is_no_pause() -> None:
    assert packed(tokens("sil", "a", "sil", "spn")).is_phone.tolist() == [False, True, False, True]


def test_evidence_by_hand() -> None:
    said = tokens("sil", "a", "b", "c", "d", "sil")
    goodness = np.array([-9.0, -1.0, -2.0, -5.0, -4.0, 0.0])
    durations = np.array([2, 3, 2, 2, 4, 3])
    mean, stretch, worst = evidence_of(goodness, said, durations, frame_s=0.03)  # 5 frames are 150 ms
    assert mean == pytest.approx((-1 - 2 - 5 - 4) / 4)  # a phone counts once, however long it is
    assert stretch == pytest.approx((2 * -5 + 3 * -4) / 5)  # the pause's 2 frames with 3 of a are -21
    assert worst == pytest.approx((-2 - 5 - 4) / 3)
    assert evidence_of(goodness, said, durations, frame_s=0.075)[1] == -9  # 2 frames: the pause


def test_evidence_of_few_phones_and_frames() -> None:
    """A stretch is never longer than the utterance, and two phones are the three worst."""
    found = evidence_of(np.array([-1.0, -2.0]), tokens("a", "b"), np.array([1, 3]), FRAME_S)
    assert found == pytest.approx([-1.5, -7 / 4, -1.5])
    found = evidence_of(np.array([-7.0, 0.0]), tokens("sil", "a"), np.array([4, 0]), FRAME_S)
    assert found.tolist() == [0, 0, 0]  # nobody speaks


def test_a_word_passed_over_as_a_pause_makes_the_worst_stretch() -> None:
    said = tokens("sil", "a", "b", "sil", "c", "sil")
    durations = np.array([20, 10, 10, 30, 10, 20])
    quiet = evidence_of(np.array([0.0, -0.5, -0.5, 0.0, -0.5, 0.0]), said, durations, FRAME_S)
    spoken = evidence_of(np.array([0.0, -0.5, -0.5, -6.0, -0.5, 0.0]), said, durations, FRAME_S)
    assert quiet == pytest.approx([-0.5, -0.5, -0.5])
    assert spoken == pytest.approx([-0.5, -6.0, -0.5])


def test_a_pause_that_nobody_made_counts_for_nothing() -> None:
    said = tokens("a", "sil", "b", "c", "d")
    evidence = evidence_of(
        np.array([-1.0, 0.0, -2.0, -3.0, -4.0]), said, np.array([15, 0, 30, 30, 15]), FRAME_S
    )
    assert evidence == pytest.approx([-2.5, -4.0, -3.0])


def test_more_evidence_never_means_less_confidence() -> None:
    generator = np.random.default_rng(0)
    fitting, other = generator.normal(0, 1, (200, 2)), generator.normal(0, 1, (200, 2))
    other[:, 0] -= 2  # tells them apart
    other[:, 1] += 1  # the wrong way round
    line = torch.from_numpy(_logistic(fitting, other))
    assert line[0] > 1
    assert line[1] == 0
    assert (_probability(fitting, line) > 0.5).mean() > 0.8 > 0.2 > (_probability(other, line) > 0.5).mean()


def clouds(seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Goodness around -0.5 where the text is right, around -4 where it is wrong."""
    draw = np.random.default_rng(seed)
    return {
        "right_phones": draw.normal(-0.5, 0.4, 400),
        "wrong_phones": draw.normal(-4, 1, 200),
        "right_utterances": draw.normal((-0.5, -1, -1.5), 0.4, (50, 3)),
        "wrong_utterances": draw.normal((-3, -4, -5), 1, (150, 3)),
    }


def test_a_fit_separates_two_known_clouds() -> None:
    calibration, known = Calibration(), clouds()
    calibration.fit(**known)
    right = np.array(calibration.phone_scores(known["right_phones"]))
    wrong = np.array(calibration.phone_scores(known["wrong_phones"]))
    assert (right > 0.5).mean() > 0.97
    assert (wrong < 0.5).mean() > 0.97
    assert right.mean() > 0.95
    assert wrong.mean() < 0.05
    assert min(calibration.utterance_score(evidence) for evidence in known["right_utterances"]) > 0.8
    assert max(calibration.utterance_score(evidence) for evidence in known["wrong_utterances"]) < 0.4


@pytest.mark.parametrize("swapped", [False, True])
def test_probabilities_rise_with_goodness(swapped: bool) -> None:
    """They do not fall even where the clouds lie the wrong way round."""
    known = clouds()
    if swapped:
        known = {
            name.replace("right", "x").replace("wrong", "right").replace("x", "wrong"): values
            for name, values in known.items()
        }
    calibration = Calibration()
    calibration.fit(**known)
    assert (calibration.phone_weights[:-1] >= 0).all()
    assert (calibration.utterance_weights[:-1] >= 0).all()
    rising = calibration.phone_scores(np.linspace(-8, 0, 50))
    assert all(0 <= score <= 1 for score in rising)
    assert (np.diff(rising) >= 0).all()
    assert (rising[-1] > rising[0]) == (not swapped)
    for column in range(3):
        evidence = np.full((50, 3), -2.0)
        evidence[:, column] = np.linspace(-8, 0, 50)
        assert (np.diff([calibration.utterance_score(row) for row in evidence]) >= 0).all()


def test_both_clouds_weigh_alike_however_many_examples_they_have() -> None:
    draw = np.random.default_rng(0)
    right, wrong = draw.normal(-1, 0.5, 4000), draw.normal(-3, 0.5, 200)
    line = torch.from_numpy(_logistic(right[:, None], wrong[:, None]))
    assert _probability(np.array([[-2.0]]), line) == pytest.approx([0.5], abs=0.1)


def test_clouds_apart_do_not_make_weights_large() -> None:
    """Nothing else keeps them from infinity; the penalty's size is part of what a score means."""
    weight, offset = _logistic(np.array([[-1.0], [-1.2]]), np.array([[-5.0], [-4.8]]))
    assert weight == pytest.approx(2.46, abs=0.05)
    assert offset == pytest.approx(3 * weight, rel=1e-3)


def test_a_calibration_is_saved_with_its_weights() -> None:
    fitted, loaded = Calibration(), Calibration()
    fitted.fit(**clouds())
    assert loaded.phone_scores(np.array([-2.0])) != fitted.phone_scores(np.array([-2.0]))
    loaded.load_state_dict(fitted.state_dict())
    assert loaded.phone_scores(np.array([-2.0])) == fitted.phone_scores(np.array([-2.0]))
    assert loaded.utterance_score(np.full(3, -2.0)) == fitted.utterance_score(np.full(3, -2.0))


def test_areas_and_bins_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    confidence = importlib.import_module("confidence")
    assert confidence._area(np.array([0.9, 0.8, 0.3]), np.array([0.1, 0.3])) == pytest.approx(5.5 / 6)
    scores = np.linspace(0, 1, 40)
    rows = confidence._bins(scores, scores > 0.5)
    assert [row["right"] for row in rows] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert [row["n"] for row in rows] == [4] * 10
    assert rows[0]["score"] == pytest.approx(scores[:4].mean())


def test_a_goodness_beyond_all_bounds_is_no_confidence_and_no_warning() -> None:
    calibration = Calibration()
    assert calibration.phone_scores(np.array([-1e4])) == [0.0]
    assert calibration.utterance_score(np.full(3, -1e4)) == 0.0
