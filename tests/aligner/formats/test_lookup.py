"""Alignments by utterance id."""

from pathlib import Path

import pytest
from made_alignments import example, write_timit

from aligner.alignment import Interval
from aligner.errors import AlignerError
from aligner.formats import AlignmentLookup, NoMatch, write_alignments


def reason(lookup: AlignmentLookup, id: str) -> str:
    with pytest.raises(NoMatch) as error:
        lookup.find(id)
    return str(error.value)


def test_timit_files_are_found_by_the_end_of_their_path(tmp_path: Path) -> None:
    for name in ("dr1-anna0/sa1.phn", "dr1-bert0/sa1.phn", "dr1-bert0/si2.phn", "plain.phn"):
        write_timit(tmp_path, name)
    lookup = AlignmentLookup(tmp_path)
    found = lookup.find("dr1-anna0-sa1")
    assert [(w.symbol, w.start_s, w.end_s) for w in found.words] == [("she", 0.1, 0.3)]
    assert found.tokens[1] == Interval("sh", 0.1, 0.2, None, 0)
    assert found.speaker == "dr1-anna0"
    assert AlignmentLookup(tmp_path).find("BERT0_SI2").id == "BERT0_SI2"
    assert AlignmentLookup(tmp_path).find("si2").speaker == "dr1-bert0"
    assert reason(lookup, "sa1") == "several references end in this id"
    assert reason(lookup, "i2") == "no reference"


def test_a_folder_deeper_down_has_the_ends_of_the_ids(tmp_path: Path) -> None:
    write_timit(tmp_path, "dr1-bert0/si2.phn")
    assert AlignmentLookup(tmp_path / "dr1-bert0").find("dr1-bert0-si2").words[0].symbol == "she"


def test_one_reference_serves_one_utterance(tmp_path: Path) -> None:
    write_timit(tmp_path, "1.phn")
    lookup = AlignmentLookup(tmp_path)
    assert lookup.find("a-1") == lookup.find("a-1")
    assert reason(lookup, "b-1") == "its reference belongs to a-1"


def test_what_nobody_asked_for_is_unused(tmp_path: Path) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id=id) for id in ("u1", "u2")])
    lookup = AlignmentLookup(tmp_path / "a.jsonl.gz")
    assert lookup.find("U1").id == "u1"
    assert reason(lookup, "u3") == "no reference"
    assert lookup.unused() == ["u2"]


def test_a_file_that_cannot_be_read_is_no_match(tmp_path: Path) -> None:
    (tmp_path / "bad.phn").write_text("0 16oo h#\n")
    assert "reference cannot be read:" in reason(AlignmentLookup(tmp_path), "bad")
    assert "bad.phn:1: not `start end label`" in reason(AlignmentLookup(tmp_path), "bad")


def test_a_manifest_without_times_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "u", "type": "MonoCut", "duration": 1.0, "supervisions": []}\n')
    with pytest.raises(AlignerError, match="no cut of it has reference times"):
        AlignmentLookup(tmp_path / "a.jsonl")
    with pytest.raises(AlignerError, match="no such file"):
        AlignmentLookup(tmp_path / "none")


def test_alignments_in_memory_are_looked_up_without_reading(tmp_path: Path) -> None:
    lookup = AlignmentLookup(tmp_path / "none", alignments=[example(id="anna-u1")])
    assert lookup.find("u1").id == "anna-u1"
    assert lookup.path == tmp_path / "none"
