"""A folder for Hugging Face `datasets`, by the reading rule of its AudioFolder."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from made_alignments import NONSENSE, PHONES, alignments, example, property_test, write

from aligner.alignment import Alignment
from aligner.formats import export


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def found(folder: Path, name: str) -> Path:
    """folder_based_builder.py: a plain path within the folder, relative to metadata.jsonl."""
    assert "://" not in name
    path = os.path.normpath(name)
    assert not os.path.isabs(path)
    assert not path.startswith("..")
    return folder / path


@property_test
@given(alignments(symbols=PHONES + NONSENSE))
def test_words_and_phonemes_are_lists_of_label_start_end(tmp_path: Path, one: Alignment) -> None:
    (row,) = rows(write(one, "huggingface", tmp_path / "a"))
    found(tmp_path, row["file_name"])
    for column, intervals in (("words", one.words), ("phonemes", one.tokens)):
        assert [entry["label"] for entry in row[column]] == [own.symbol for own in intervals]
        assert all(list(entry) == ["label", "start", "end"] for entry in row[column])
        for entry, own in zip(row[column], intervals, strict=True):
            assert abs(entry["start"] - own.start_s) < 1e-6
            assert abs(entry["end"] - own.end_s) < 1e-6


def test_recordings_are_named_from_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "data" / "wavs" / "a.flac", tmp_path / "b.flac"
    many = [
        replace(example(id=id), audio=audio)
        for id, audio in (("a", str(inside)), ("b", str(outside)), ("c", ""))
    ]
    export(many, {"huggingface": tmp_path / "data"})
    assert [row["file_name"] for row in rows(tmp_path / "data")] == ["wavs/a.flac", "b.flac", "c.wav"]
    assert found(tmp_path / "data", "wavs/a.flac") == inside


def test_all_rows_have_the_same_columns(tmp_path: Path) -> None:
    """pyarrow infers types from the first rows: what may be missing is null, and never left out."""
    few = Alignment("few", 1.0, example().tokens, ())
    export([few, example()], {"huggingface": tmp_path})
    assert len({tuple(row) for row in rows(tmp_path)}) == 1
