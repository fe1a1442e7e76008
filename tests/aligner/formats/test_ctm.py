"""CTM, written here and by Kaldi."""

from pathlib import Path

import pytest
from made_alignments import write

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import read, read_ctm


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
    with pytest.raises(AlignerError, match="bad.ctm:1: u: not"):
        list(read_ctm(tmp_path / "bad.ctm"))


@pytest.mark.parametrize("name", ["words.ctm", "my_words.ctm", "exp.wrd.ctm", "WORDS.CTM"])
def test_a_ctm_of_words_is_words_alone_or_in_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("a 1 0.10 0.30 hello\na 1 0.40 0.20 you\n")
    for path in (tmp_path, tmp_path / name):
        (one,) = read(path)
        assert [word.symbol for word in one.words] == ["hello", "you"]
        assert not one.tokens


def test_any_name_of_a_ctm_is_found_and_of_phones_unless_it_says_words(tmp_path: Path) -> None:
    (tmp_path / "my.ctm").write_text("a 1 0.10 0.30 AH0\n")
    assert [token.symbol for token in next(iter(read(tmp_path))).tokens] == ["sil", "AH0"]
    (tmp_path / "words.ctm").write_text("a 1 0.10 0.30 uh\nb 1 0.10 0.30 oh\n")
    assert [[word.symbol for word in one.words] for one in read(tmp_path)] == [["uh"], ["oh"]]
    (tmp_path / "other.ctm").write_text("a 1 0.10 0.30 AH0\n")
    with pytest.raises(AlignerError, match=r"several CTM files \(my.ctm, other.ctm\)"):
        read(tmp_path)


def test_a_broken_line_of_a_ctm_is_named_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "words.ctm").write_text(";; comment\na 1 0.1 0.2 x\n\nb 1 x 0.2 x\n")
    with pytest.raises(AlignerError, match=r"words\.ctm:4: b: not `utterance channel"):
        list(read(tmp_path))
