"""What commands print and write."""

from pathlib import Path

import pytest

from aligner.commands.output import print_failures, print_record, print_table, progress, write_tsv


def test_a_table_file_has_one_line_a_row_whatever_the_fields_hold(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    write_tsv(path, ("id", "reason"), [("u1", "two\nlines\tand  a tab"), ("u2", 3)])
    assert path.read_text() == "id\treason\nu1\ttwo lines and a tab\nu2\t3\n"


def test_long_lists_of_failures_end_with_the_file_that_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    print_failures("refused", [f"u{n}: no audio" for n in range(12)], Path("refused.txt"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "refused: u0: no audio"
    assert lines[-1] == "... 12 in all: refused.txt"
    print_failures("refused", ["u0: no audio"], Path("refused.txt"))
    assert capsys.readouterr().err == "refused: u0: no audio\n"


def test_square_brackets_in_tables_are_text_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_record("words", [("guessed", "dog [d ɔ ɡ]")])
    print_table(["id", "n"], [("[u1]", "2")], figures=True)
    printed = capsys.readouterr().out
    assert "[d ɔ ɡ]" in printed
    assert "[u1]" in printed


def test_progress_passes_the_items_on_and_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
