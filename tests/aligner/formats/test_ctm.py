"""CTM, written here and by Kaldi."""

from pathlib import Path

import pytest
from made_alignments import write

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import (
    read_ctm,
)


def test_ctm_lines(tmp_path: Path) -> None:
    one = Alignment.from_boundaries("u", ["a", "b"], [0, 0], ["ab"], [0, 0.5, 1.25], 1.25, scores=[0.5, 0.25])
    write(one, "ctm", tmp_path)
    assert (tmp_path / "phones.ctm").read_text() == (
        "u 1 0.000000000 0.500000000 a 0.5000\nu 1 0.500000000 0.750000000 b 0.2500\n"
    )
    assert (tmp_path / "words.ctm").read_text().startswith("u 1 0.000000000 1.250000000 ab 0.3500")


def test_kaldi_ctm_with_gaps_and_rounding(tmp_path: Path) -> None:
    (tmp_path / "x.ctm").write_text(
        ";; a comment\nu 1 0.10 0.20 AH\nu 1 0.30 0.101 B 0.9\nu 1 0.40 0.10 D\nv 1 0 1 Z\n"
    )
    u, v = read_ctm(tmp_path / "x.ctm")
    assert [(t.symbol, t.start_s, t.end_s) for t in u.tokens] == [
        ("sil", 0, 0.1), ("AH", 0.1, pytest.approx(0.3)), ("B", pytest.approx(0.3), 0.4), ("D", 0.4, 0.5)
    ]  # fmt: skip
    assert v.id == "v"
    (tmp_path / "bad.ctm").write_text("u 1 zero 1 Z\n")
    with pytest.raises(AlignerError, match="bad.ctm: u: not"):
        list(read_ctm(tmp_path / "bad.ctm"))
