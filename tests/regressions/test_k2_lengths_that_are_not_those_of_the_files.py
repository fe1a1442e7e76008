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


@pytest.mark.parametrize("end", ["end", "End", "end_s", "end_time", "stop"])
def test_an_end_beside_a_start_is_read(tmp_path: Path, end: str) -> None:
    """Whisper, ELAN and Audacity list where a part ends: it was not read, and every part had the rest."""
    lines = [f"wav,start,{end},text", "a.wav,0.25,0.75,hello", "b.wav,0.5,,there"]
    found = prepare(write_list(tmp_path / "l.csv", lines, ["a.wav", "b.wav"]))
    parts = {id: (one.start_s, one.duration_s) for id, one in found.utterances.items()}
    assert parts == {"a": (0.25, 0.5), "b": (0.5, 0.5)}


def test_an_end_is_read_by_its_name_in_columns_and_json(tmp_path: Path) -> None:
    path = write_list(tmp_path / "l.txt", ["a.wav|0.25|0.75|hello"], ["a.wav"])
    assert prepare(path, "--columns", "wav,start,end,text").utterances["a"].duration_s == 0.5
    path = write_list(
        tmp_path / "m.jsonl", ['{"audio": "a.wav", "start": 0.25, "end": 0.75, "text": "hello"}']
    )
    assert prepare(path).utterances["a"].duration_s == 0.5


@pytest.mark.parametrize(
    ("header", "times", "reason"),
    [
        ("start,end", "0.5,0.5", "no part of a recording"),
        ("start,end", "0.5,0.25", "no part of a recording"),
        ("start,end", "0.5,nan", "no part of a recording"),
        ("start,end", "0.5,0:01", "its end '0:01' is no number"),
        ("start,end", ",0.5", "its start is empty"),
        ("speaker,end", "x,0.5", "an end, and no start"),
        ("start,end,duration", "0.25,0.5,0.75", "not its duration"),
    ],
)
def test_an_end_that_says_no_part_is_refused_alone(
    tmp_path: Path, header: str, times: str, reason: str
) -> None:
    good = {"start,end": "0,0.5", "speaker,end": "x,", "start,end,duration": "0,0.5,0.5"}[header]
    lines = [f"wav,{header},text", f"a.wav,{good},hello", f"b.wav,{times},there"]
    found = prepare(write_list(tmp_path / "l.csv", lines, ["a.wav", "b.wav"]))
    assert set(found.utterances) == {"a"}
    assert reason in found.refused["b"]
