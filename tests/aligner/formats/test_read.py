"""Formats there and back, and which reader reads what."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_alignments import NONSENSE, PHONES, alignments, property_test, same, write

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import (
    read,
)


@property_test
@given(alignments(symbols=PHONES + NONSENSE), st.sampled_from(["json", "lhotse", "textgrid", "ctm"]))
def test_what_is_written_can_be_read_back(tmp_path: Path, one: Alignment, format: str) -> None:
    for stale in tmp_path.rglob("*.*"):
        stale.unlink()
    write(one, format, tmp_path)
    (back,) = read(tmp_path)
    same(one, back, scores=format != "textgrid", symbols=format != "ctm")  # no white space in a CTM label
    assert back.id == one.id
    if format in ("json", "lhotse"):
        assert back == one if format == "json" else (back.text, back.audio) == (one.text, one.audio)


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="holds no lhotse manifest"):
        list(read(tmp_path))
    with pytest.raises(AlignerError, match="no such file"):
        list(read(tmp_path / "none"))
    (tmp_path / "x.json").write_text('{"id": 3')
    with pytest.raises(AlignerError, match="x.json: cannot be read"):
        list(read(tmp_path))
