"""Diagnostics, by the reading rule of those who filter by MFA's."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from made_alignments import example

from aligner.alignment import Alignment
from aligner.formats import export
from aligner.spread import probability_within

MFA = [
    *("file", "begin", "end", "speaker", "overall_log_likelihood", "speech_log_likelihood"),
    *("phone_duration_deviation", "snr"),
]


def rows(many: list[Alignment], folder: Path) -> list[dict[str, str]]:
    export(many, {"diagnostics": folder})
    with open(folder / "alignment_analysis.csv", encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def timed(id: str, *lengths_s: float, scores: list[float] | None = None) -> Alignment:
    edges_s = [sum(lengths_s[:i]) for i in range(len(lengths_s) + 1)]
    symbols, owners = ["sil", *["a"] * (len(lengths_s) - 1)], [-1, *[0] * (len(lengths_s) - 1)]
    return Alignment.from_boundaries(id, symbols, owners, ["w"], edges_s, edges_s[-1], scores=scores)


def test_mfas_columns_come_first(tmp_path: Path) -> None:
    found = rows([example(id="u", speaker="ann")], tmp_path)
    assert list(found[0])[: len(MFA)] == MFA
    assert (found[0]["file"], found[0]["speaker"], found[0]["begin"], found[0]["snr"]) == (
        "u",
        "ann",
        "0.0",
        "",
    )


def test_figures_are_worked_by_hand(tmp_path: Path) -> None:
    one = timed("one", 0.1, 0.1, 0.2, scores=[1.0, 0.5, 0.25])
    other = timed("other", 0.4, 0.1, 0.2, 0.9, scores=[1.0, 1.0, 1.0, 1.0])
    first, second = rows([one, other], tmp_path)
    assert float(first["speech_log_likelihood"]) == pytest.approx(5 / 3 * math.log(0.5), abs=1e-4)
    assert float(first["overall_log_likelihood"]) == pytest.approx(5 / 4 * math.log(0.5), abs=1e-4)
    lengths_s = [0.1, 0.2, 0.1, 0.2, 0.9]  # of "a": mean 0.3, pauses are not counted
    deviation_s = math.sqrt(sum((length - 0.3) ** 2 for length in lengths_s) / 4)
    assert float(first["phone_duration_deviation"]) == pytest.approx(0.15 / deviation_s, abs=1e-3)
    assert float(second["phone_duration_deviation"]) == pytest.approx(0.3 / deviation_s, abs=1e-3)
    assert (second["pause_s"], second["longest_phone_s"], second["phones"]) == ("0.4", "0.9", "3")


def test_what_is_not_known_is_empty(tmp_path: Path) -> None:
    no_scores = replace(timed("u", 0.1, 0.2), score=None)
    only_words = Alignment("w", 1.0, (), example().words[:1])
    first, second = rows([no_scores, only_words], tmp_path)
    for row in (first, second):
        assert row["overall_log_likelihood"] == row["phone_duration_deviation"] == row["score"] == ""
    assert (second["words"], second["lowest_word"]) == ("1", "word0")


def test_spreads_of_the_boundaries_inside_a_recording(tmp_path: Path) -> None:
    one = timed("one", 0.1, 0.1, 0.2)
    known = replace(one, spreads_s=((0.0, 0.0), (0.1, 0.02), (0.2, 0.01), (0.4, 0.0)))
    first, second = rows([one, replace(known, id="two")], tmp_path)
    assert (first["mean_spread_s"], first["within_20_ms"]) == ("", "")
    assert float(second["mean_spread_s"]) == pytest.approx(0.015)
    expected = (0.5 + float(probability_within(0.01, 0.02))) / 2
    assert float(second["within_20_ms"]) == pytest.approx(expected, abs=1e-4)
