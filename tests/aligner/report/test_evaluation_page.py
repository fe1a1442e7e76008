"""The report of an evaluation: its rows and its page."""

from pathlib import Path

import pytest
from made_alignments import example

from aligner.evaluate import evaluate
from aligner.formats import AlignmentLookup, write_alignments
from aligner.report import FIGURES, LEGEND, evaluation_page, figure_rows


@pytest.fixture
def summary(tmp_path: Path) -> dict:
    """Two utterances compared with themselves, one without a reference."""
    both = [example(1, id="u1", speaker="anna"), example(2, id="u2", speaker="<b>")]
    write_alignments(tmp_path / "reference.jsonl.gz", both)
    return evaluate([*both, example(3, id="u<3>")], AlignmentLookup(tmp_path / "reference.jsonl.gz"))


def test_rows_are_words_and_phones_of_all_then_of_each_speaker(summary: dict) -> None:
    summary["words"] |= {"start_bias_ms": -2.25, "end_bias_ms": 10.0}
    rows = list(figure_rows(summary))
    assert [row[0] for row in rows] == [
        "words", "phones", "words <b>", "phones <b>", "words anna", "phones anna"
    ]  # fmt: skip
    assert {len(row) for row in rows} == {1 + len(FIGURES)}
    words = dict(zip(FIGURES, rows[0][1:], strict=True))
    assert (words["n"], words["mean_ms"], words["within_20ms"]) == ("24", "0.0", "100.0")
    assert (words["bias"], words["skipped"]) == ("-2.2/+10.0", "0")


def test_rows_show_the_figures_asked_for(summary: dict) -> None:
    assert next(figure_rows(summary, ["mean_ms", "n"])) == ["words", "0.0", "24"]


def test_a_single_speaker_has_no_rows_of_its_own(tmp_path: Path) -> None:
    write_alignments(tmp_path / "reference.jsonl.gz", [example()])
    summary = evaluate([example()], AlignmentLookup(tmp_path / "reference.jsonl.gz"))
    assert [row[0] for row in figure_rows(summary)] == ["words", "phones"]


def test_figures_of_nothing_are_dashes(summary: dict) -> None:
    summary["words"] |= {"mean_ms": None, "start_bias_ms": None, "end_bias_ms": None}
    assert next(figure_rows(summary, ["mean_ms", "bias"])) == ["words", "-", "-"]


def test_the_page_escapes_names(summary: dict, tmp_path: Path) -> None:
    evaluation_page(summary, tmp_path / "page.html", "a & b")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>a &amp; b</title>" in page
    assert "2 utterances compared, 1 not." in page
    assert "words &lt;b&gt;" in page
    assert "u&lt;3&gt;" in page
    assert "<b>" not in page
    assert LEGEND.replace(">", "&gt;") in page
