"""DiffSinger's transcriptions, by its own reading rules and those of MakeDiffSinger."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from made_alignments import alignments, example, files, property_test, write

from aligner.alignment import Alignment, is_pause
from aligner.errors import AlignerError
from aligner.formats import check_outputs, export


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf8") as file:
        return list(csv.DictReader(file))


@property_test
@given(alignments(count=2))
def test_diffsinger_reads_a_duration_for_each_phone(tmp_path: Path, many: list[Alignment]) -> None:
    """variance_binarizer.py: csv.DictReader; split(); as many ph_dur as ph_seq, none negative; the sum of
    ph_num is their number. Its frames are the rounded sums of ph_dur."""
    export(many, {"diffsinger": tmp_path / "d"})
    for row, one in zip(rows(tmp_path / "d/transcriptions.csv"), many, strict=True):
        assert row["name"] == one.id
        phones, durations = row["ph_seq"].split(), [float(length) for length in row["ph_dur"].split()]
        assert phones == ["SP" if is_pause(token.symbol) else token.symbol for token in one.tokens]
        assert len(durations) == len(phones) == sum(map(int, row["ph_num"].split()))
        assert min(durations) > 0
        at_s = 0.0
        for length, token in zip(durations, one.tokens, strict=True):
            at_s += length
            assert at_s == pytest.approx(token.end_s, abs=2e-6)


def ph_num(phones: list[str], consonants: set[str]) -> list[int]:
    """MakeDiffSinger's add_ph_num.py: from each phone that is no consonant to the next."""
    counts, i = [], 0
    while i < len(phones):
        j = i + 1
        while j < len(phones) and phones[j] in consonants:
            j += 1
        counts.append(j - i)
        i = j
    return counts


@property_test
@given(alignments())
def test_ph_num_is_that_of_add_ph_num(tmp_path: Path, one: Alignment) -> None:
    (row,) = rows(write(one, "diffsinger", tmp_path) / "transcriptions.csv")
    assert list(map(int, row["ph_num"].split())) == ph_num(row["ph_seq"].split(), {"B", "D", "Z", "NG"})


def test_each_speaker_has_a_folder(tmp_path: Path) -> None:
    many = [example(i, id=f"u{i}", speaker=speaker) for i, speaker in enumerate(("ann", "bob", "ann"))]
    export(many, {"diffsinger": tmp_path})
    assert files(tmp_path) == ["ann/transcriptions.csv", "bob/transcriptions.csv"]
    assert [row["name"] for row in rows(tmp_path / "ann/transcriptions.csv")] == ["u0", "u2"]


def test_unknown_phones_need_a_word(tmp_path: Path) -> None:
    one = Alignment.from_boundaries("u", ["AH0", "б"], [0, 0], ["b"], [0, 0.1, 0.2], 0.2)
    (result,) = export([one, example()], {"diffsinger": tmp_path / "a"}).values()
    assert "u: DiffSinger's ph_num asks which phones are vowels, and 'б'" in result.refused[0]
    assert [row["name"] for row in rows(tmp_path / "a/transcriptions.csv")] == ["LJ001-0001"]
    write(one, "diffsinger", tmp_path / "b", any_symbols=True)
    assert rows(tmp_path / "b/transcriptions.csv")[0]["ph_num"] == "1 1"
    write(one, "diffsinger", tmp_path / "c", symbols={"б": "B"})
    assert rows(tmp_path / "c/transcriptions.csv")[0]["ph_num"] == "2"


def test_somebody_elses_transcriptions_are_named_once(tmp_path: Path) -> None:
    (tmp_path / "transcriptions.csv").write_text("theirs")
    with pytest.raises(AlignerError, match="1 files are there already"):
        check_outputs([example(id="a"), example(id="b")], {"diffsinger": tmp_path})
