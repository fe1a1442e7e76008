"""TextGrids, written here and by others."""

from pathlib import Path

import pytest
from hypothesis import given
from made_alignments import NONSENSE, PHONES, alignments, property_test, write

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import (
    read,
    read_textgrid,
)

MFA = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.0
<exists>
2
"IntervalTier"
"anna - words"
0
1.0
3
0
0.2
""
0.2
0.6
"hi"
0.6
1.0
""
"IntervalTier"
"anna - phones"
0
1.0
4
0
0.2
""
0.2
0.4
"HH"
0.4
0.6
"AY1"
0.6
1.0
"spn"
"""


@property_test
@given(alignments(symbols=PHONES + NONSENSE))
def test_textgrid_tiers_tile_the_recording_and_no_phone_is_empty(tmp_path: Path, one: Alignment) -> None:
    write(one, "textgrid", tmp_path)
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(tmp_path / f"{one.id}.TextGrid"), includeEmptyIntervals=True)
    assert grid.tierNames == ("words", "phones")
    for name in grid.tierNames:
        entries = grid.getTier(name).entries
        assert entries[0].start == 0
        assert entries[-1].end == pytest.approx(one.duration_s, abs=1e-9)
        assert all(a.end == b.start for a, b in zip(entries, entries[1:], strict=False))
        labels = [entry.label for entry in entries if name == "phones" or entry.label]
        assert labels == [i.symbol for i in (one.tokens if name == "phones" else one.words)]


def test_mfa_folders_are_read_by_speaker(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "u1.TextGrid").write_text(MFA.replace("<exists>", "<exists>"))
    (one,) = read(tmp_path)
    assert (one.id, one.speaker) == ("u1", "anna")
    assert [(t.symbol, t.word) for t in one.tokens] == [("sil", -1), ("HH", 0), ("AY1", 0), ("spn", -1)]
    assert [(w.symbol, w.start_s, w.end_s) for w in one.words] == [("hi", 0.2, 0.6)]


def test_textgrids_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "u.TextGrid"
    path.write_text(MFA.replace("anna - words", "ORT").replace("anna - phones", "MAU"))
    with pytest.raises(AlignerError, match="no tier of words or phones"):
        read_textgrid(path, "u")
    assert read_textgrid(path, "u", words_tier="ORT", phones_tier="MAU").words[0].symbol == "hi"
    with pytest.raises(AlignerError, match="no tier 'KAN'"):
        read_textgrid(path, "u", words_tier="KAN")
    path.write_text("nothing of the kind")
    with pytest.raises(AlignerError, match="u.TextGrid"):
        read_textgrid(path, "u")
