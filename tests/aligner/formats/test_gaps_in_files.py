"""Gaps in the formats that can hold them, and alignments with gaps in all others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_alignments import example, same, write

from aligner.alignment import Alignment, FrameGrid, Gap
from aligner.formats import WRITERS, read_alignments, read_textgrid, write_alignments
from aligner.formats.json_file import read_json
from aligner.text.transcript import GAP


def with_gaps() -> Alignment:
    one = example()
    pause = next(token for token in one.tokens[1:] if token.word < 0)
    tokens = tuple(replace(own, symbol=GAP) if own is pause else own for own in one.tokens)
    gaps = (Gap(pause.start_s, pause.end_s, ("not", "said")), Gap(one.duration_s, one.duration_s, ("so",)))
    return replace(one, tokens=tokens, gaps=gaps)


def test_the_manifest_holds_them(tmp_path: Path) -> None:
    one = with_gaps()
    write_alignments(tmp_path / "a.jsonl.gz", [one, example(id="clean")])
    back, clean = sorted(read_alignments(tmp_path / "a.jsonl.gz"), key=lambda own: own.id != one.id)
    assert back.gaps == one.gaps
    assert clean.gaps == ()


def test_json_holds_them_and_says_nothing_where_there_are_none(tmp_path: Path) -> None:
    one = with_gaps()
    write(one, "json", tmp_path / "gaps")
    assert read_json(tmp_path / "gaps" / f"{one.id}.json").gaps == one.gaps
    write(example(), "json", tmp_path)
    clean = tmp_path / f"{one.id}.json"
    assert "gaps" not in json.loads(clean.read_text(encoding="utf-8"))
    assert read_json(clean).gaps == ()


def textgrid(one: Alignment, root: Path) -> Alignment:
    """The alignment, written and read again."""
    write(one, "textgrid", root)
    return read_textgrid(root / f"{one.id}.TextGrid", one.id)


def test_a_textgrid_holds_those_where_something_is_said(tmp_path: Path) -> None:
    one = with_gaps()
    back = textgrid(one, tmp_path / "both")
    (gap,) = back.gaps
    assert (gap.start_s, gap.end_s) == pytest.approx((one.gaps[0].start_s, one.gaps[0].end_s))
    assert gap.unsaid == ("not", "said")
    same(one, back, scores=False)
    extra = replace(one, gaps=(replace(one.gaps[0], unsaid=()),))
    assert [gap.unsaid for gap in textgrid(extra, tmp_path / "extra").gaps] == [()]
    assert textgrid(example(), tmp_path / "clean").gaps == ()
    assert "gaps" not in (tmp_path / "clean" / f"{one.id}.TextGrid").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_takes_an_utterance_with_gaps_if_it_takes_it_without(name: str, tmp_path: Path) -> None:
    one = with_gaps()
    for number, own in enumerate((replace(one, gaps=()), one)):
        write(own, name, tmp_path / f"{number}", any_symbols=True, grid=FrameGrid(256, 22050))
