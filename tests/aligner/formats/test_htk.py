"""HTK's labels, by the reading rule of nnmnkwii."""

from pathlib import Path

from hypothesis import given
from made_alignments import NONSENSE, PHONES, alignments, property_test, write

from aligner.alignment import Alignment


@property_test
@given(alignments(symbols=PHONES + NONSENSE))
def test_nnmnkwii_reads_a_label_for_each_token(tmp_path: Path, one: Alignment) -> None:
    """io/hts.py: split at white space, three columns, whole numbers; append: each begins where the last ends,
    and ends later than it begins."""
    lines = (write(one, "htk", tmp_path) / f"{one.id}.lab").read_text().splitlines()
    columns = [line.split() for line in lines]
    assert all(len(own) == 3 and not own[0].startswith("#") for own in columns)
    starts, ends = ([int(own[column]) for own in columns] for column in (0, 1))
    assert all(end > start for start, end in zip(starts, ends, strict=True))
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == round(one.duration_s * 1e7)
    assert [label for _, _, label in columns] == [token.symbol.replace(" ", "_") for token in one.tokens]
    for start, token in zip(starts, one.tokens, strict=True):
        assert abs(start / 1e7 - token.start_s) < 1e-6
