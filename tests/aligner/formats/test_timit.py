"""TIMIT's files and phones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aligner.alignment import Interval
from aligner.errors import AlignerError
from aligner.formats import read_timit
from aligner.formats.timit import merge_phones, reference_files, spoken_text


def test_timit_times_are_samples_at_16_khz(tmp_path: Path) -> None:
    (tmp_path / "sa1.PHN").write_text("0 1600 h#\n1600 4000 sh\n4000 8000 h#\n")
    one = read_timit(tmp_path / "sa1.PHN", "sa1")
    assert [(t.symbol, t.start_s, t.end_s) for t in one.tokens] == [
        ("h#", 0.0, 0.1), ("sh", 0.1, 0.25), ("h#", 0.25, 0.5)
    ]  # fmt: skip
    assert one.words == ()


def test_overlapping_times_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "u.phn").write_text("0 1600 a\n800 4000 b\n")
    with pytest.raises(AlignerError, match="'b' at 0.050-0.250 s overlaps"):
        read_timit(tmp_path / "u.phn", "u")


def test_timit_closures_join_their_bursts() -> None:
    labels = ["h#", "bcl", "b", "dcl", "jh", "tcl", "kcl", "k", "gcl", "q", "pau", "epi", "tcl", "dh", "h#"]
    merged = merge_phones(tuple(Interval(label, i, i + 1) for i, label in enumerate(labels)))
    assert [phone.symbol for phone in merged] == [
        "sil",
        "b",
        "jh",
        "t",
        "k",
        "g",
        "q",
        "sil",
        "t",
        "dh",
        "sil",
    ]
    assert [phone.start_s for phone in merged] == [0, 1, 3, 5, 6, 8, 9, 10, 12, 13, 14]
    assert all(a.end_s == b.start_s for a, b in zip(merged, merged[1:], strict=False))


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_files_beside_a_recording_in_either_case(tmp_path: Path, spelled: Callable[[str], str]) -> None:
    audio = tmp_path / "sa1.wav"
    assert reference_files(audio) == ()
    words = tmp_path / f"sa1{spelled('.wrd')}"
    words.write_text("1600 4000 she\n")
    assert reference_files(audio) == (words,)
    phones = tmp_path / f"sa1{spelled('.phn')}"
    phones.write_text("0 1600 h#\n1600 3200 sh\n3200 4000 iy\n4000 8000 h#\n")
    assert reference_files(audio) == (phones, words)
    by_phones, by_words = (read_timit(file, "sa1") for file in reference_files(audio))
    assert by_phones == by_words
    assert [token.word for token in by_phones.tokens] == [-1, 0, 0, -1]


def test_spoken_text_has_no_sample_numbers() -> None:
    assert spoken_text("0 46797 She had your dark suit.") == "She had your dark suit."
    assert spoken_text("1920 was a good year") == "1920 was a good year"
    assert spoken_text("She had 2 3 suits") == "She had 2 3 suits"


def times(*symbols: str) -> tuple[Interval, ...]:
    """Phones of a second each."""
    return tuple(Interval(symbol, float(t), float(t + 1)) for t, symbol in enumerate(symbols))


@pytest.mark.parametrize(
    ("phones", "merged"),
    [
        (("h#", "pau", "t"), [("sil", 0, 2), ("t", 2, 3)]),
        (("tcl", "t", "tcl", "ch"), [("t", 0, 2), ("ch", 2, 4)]),
        (("kcl", "t"), [("k", 0, 1), ("t", 1, 2)]),  # not released
        (("dcl", "dcl", "jh"), [("d", 0, 1), ("jh", 1, 3)]),
        (("t", "t"), [("t", 0, 1), ("t", 1, 2)]),  # a closure of its own would stand before the second
        (("q", "epi", "ʃ"), [("q", 0, 1), ("sil", 1, 2), ("ʃ", 2, 3)]),
    ],
)
def test_closures_join_their_bursts_and_silences_each_other(
    phones: tuple[str, ...], merged: list[tuple[str, float, float]]
) -> None:
    assert [(p.symbol, p.start_s, p.end_s) for p in merge_phones(times(*phones))] == merged
