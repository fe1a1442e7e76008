"""K2: a list's lengths of whole files are compared with them; a wrong one cuts nothing and costs nothing."""

import json
from pathlib import Path

import pytest
from regressions.prepared_corpora import TEXTS, prepare, write_list


@pytest.mark.parametrize(
    ("listed", "wrong"),
    [
        ("1.0", False),
        ("1.1", False),  # MP3's fill, or a rounding
        ("2", False),  # rounded up to whole seconds
        ("", False),
        ("1.3", True),
        ("0.5", True),
        ("8000", True),  # samples
        ("0", True),
        ("-1", True),
        ("1:02", True),
        ("nan", True),
        ("1e30", True),
    ],
)
def test_a_wrong_length_is_a_suspicion(tmp_path: Path, listed: str, wrong: bool) -> None:
    lines = ["wav,text,duration", f"0.wav,{TEXTS[0]},{listed}", f"1.wav,{TEXTS[1]},1.0"]
    found = prepare(write_list(tmp_path / "list.csv", lines, ["0.wav", "1.wav"]))
    assert found.status == 0
    assert set(found.utterances) == {"0", "1"}
    assert {utterance.duration_s for utterance in found.utterances.values()} == {1.0}
    assert ("do not have the length that the list gives (0:" in found.said) == wrong
    suspects = (tmp_path / "list.csv-prepared" / "suspects.tsv").read_text()
    assert suspects.count("\n0\t") == wrong


def test_a_wrong_length_in_a_manifest_is_a_suspicion(tmp_path: Path) -> None:
    rows = [{"audio_filepath": f"{n}.wav", "duration": 3.2, "text": TEXTS[n]} for n in range(3)]
    path = write_list(tmp_path / "m.jsonl", map(json.dumps, rows), [f"{n}.wav" for n in range(3)])
    found = prepare(path)
    assert len(found.utterances) == 3
    assert "3 files do not have the length" in found.said


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    rows = [{"audio_filepath": "0.wav", "offset": 0.5, "duration": d, "text": TEXTS[0]} for d in (0.4, 1.0)]
    rows[1]["offset"] = 0.4
    found = prepare(write_list(tmp_path / "m.jsonl", map(json.dumps, rows), ["0.wav"]))
    assert len(found.utterances) == len(found.refused) == 1


@pytest.mark.parametrize("listed", ["1.0004", "2"])
def test_the_rounding_of_a_list_is_not_worth_a_note(tmp_path: Path, listed: str) -> None:
    lines = ["wav,text,duration", f"0.wav,{TEXTS[0]},{listed}", f"1.wav,{TEXTS[1]},1.0"]
    found = prepare(write_list(tmp_path / "list.csv", lines, ["0.wav", "1.wav"]))
    assert "shorter than listed" not in found.said
