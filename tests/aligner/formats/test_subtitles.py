"""Audacity's labels and subtitles."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from made_alignments import NONSENSE, PHONES, alignments, property_test, write

from aligner.alignment import Alignment


def test_audacity_labels_and_subtitles(tmp_path: Path) -> None:
    one = Alignment.from_boundaries(
        "u", ["sil", "b", "c"], [-1, 0, 1], ["<b>", "c"], [0, 3661.5, 3661.75, 3662], 3662.0
    )
    for format in ("audacity", "srt", "vtt"):
        write(one, format, tmp_path)
    assert (tmp_path / "u.words.txt").read_text() == (
        "3661.500000\t3661.750000\t<b>\n3661.750000\t3662.000000\tc\n"
    )
    assert (tmp_path / "u.phones.txt").read_text().splitlines()[0] == "0.000000\t3661.500000\tsil"
    assert (tmp_path / "u.srt").read_text() == (
        "1\n01:01:01,500 --> 01:01:01,750\n<b>\n\n2\n01:01:01,750 --> 01:01:02,000\nc\n\n"
    )
    assert (tmp_path / "u.vtt").read_text() == (
        "WEBVTT\n\n01:01:01.500 --> 01:01:01.750\n&lt;b&gt;\n\n01:01:01.750 --> 01:01:02.000\nc\n\n"
    )


@property_test
@given(alignments(symbols=PHONES + NONSENSE))
def test_labels_and_subtitles_hold_every_word_in_order(tmp_path: Path, one: Alignment) -> None:
    for format in ("audacity", "srt", "vtt"):
        write(one, format, tmp_path)
    for level, intervals in (("words", one.words), ("phones", one.tokens)):
        labels = [line.split("\t") for line in (tmp_path / f"{one.id}.{level}.txt").read_text().splitlines()]
        assert [label for _, _, label in labels] == [i.symbol for i in intervals]
        assert [(float(start), float(end)) for start, end, _ in labels] == [
            pytest.approx((i.start_s, i.end_s), abs=1e-6) for i in intervals
        ]
    clock = r"(\d\d):(\d\d):(\d\d)[.,](\d{3})"
    for suffix in ("srt", "vtt"):
        cues = re.findall(rf"{clock} --> {clock}\n(.+)\n\n", (tmp_path / f"{one.id}.{suffix}").read_text())
        assert [cue[-1] for cue in cues] == [word.symbol for word in one.words]
        for cue, word in zip(cues, one.words, strict=True):
            h, m, s, ms, *end, _ = map(float, (*cue[:-1], 0))
            assert 3600 * h + 60 * m + s + ms / 1000 == pytest.approx(word.start_s, abs=5.1e-4)
            assert 3600 * end[0] + 60 * end[1] + end[2] + end[3] / 1000 == pytest.approx(
                word.end_s, abs=5.1e-4
            )
