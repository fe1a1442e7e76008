"""Visemes, by the reading rules of what shows them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from made_alignments import alignments, example, fewest_s, property_test, write

from aligner.alignment import Alignment
from aligner.formats import export
from aligner.formats.tts import ARPABET

OCULUS = {"sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U"}


def spoken(*symbols: str, lengths_s: float = 0.1) -> Alignment:
    edges_s = [index * lengths_s for index in range(len(symbols) + 1)]
    owners = [0 if symbol != "sil" else -1 for symbol in symbols]
    return Alignment.from_boundaries("u", symbols, owners, ["w"], edges_s, edges_s[-1], audio="/a/u.wav")


def read(one: Alignment, format: str, folder: Path) -> dict[str, Any]:
    return json.loads((write(one, format, folder) / f"{one.id}.json").read_text())


@property_test
@given(alignments())
def test_rhubarbs_cues_cover_the_recording(tmp_path: Path, one: Alignment) -> None:
    """rhubarb-lipsync for Blender and others: float(start), value among A to H and X, in order of time."""
    if one.duration_s < fewest_s(one):
        return
    data = read(one, "rhubarb", tmp_path)
    cues = data["mouthCues"]
    assert cues[0]["start"] == 0
    assert cues[-1]["end"] == data["metadata"]["duration"] == round(one.duration_s, 3)
    assert all(cue["value"] in "ABCDEFGHX" and cue["end"] > cue["start"] for cue in cues)
    for before, after in zip(cues, cues[1:], strict=False):
        assert before["end"] == after["start"]
        assert before["value"] != after["value"]


@property_test
@given(alignments())
def test_talkinghead_reads_lists_of_one_length(tmp_path: Path, one: Alignment) -> None:
    """speakAudio: words[i] at wtimes[i] for wdurations[i]; viseme_ + visemes[i] at vtimes[i]; in ms."""
    if one.duration_s < fewest_s(one):
        return
    data = read(one, "oculus", tmp_path)
    assert len(data["visemes"]) == len(data["vtimes"]) == len(data["vdurations"])
    assert set(data["visemes"]) <= OCULUS
    assert data["words"] == [word.symbol for word in one.words]
    for start, length, word in zip(data["wtimes"], data["wdurations"], one.words, strict=True):
        assert abs(start - 1000 * word.start_s) <= len(one.tokens)
        assert length > 0
    assert sum(data["vdurations"]) == round(1000 * one.duration_s)


@pytest.mark.parametrize(
    ("symbols", "shapes", "visemes"),
    [
        (("sil", "M", "AA1", "sil"), "XADX", "sil PP aa sil"),
        (("sil", "m", "ɑː", "sil"), "XADX", "sil PP aa sil"),
        (("F", "AA1", "L"), "GDH", "FF aa nn"),
        (("OY1",), "EB", "O I"),
        (("CH", "IY1", "Z"), "B", "CH I SS"),
        (("UW1", "T", "UW1"), "F", "U DD U"),  # what suits the sound before it stays
        (("t͡ʃ", "ʤ"), "B", "CH"),
        (("TH", "V"), "BG", "TH FF"),
    ],
)
def test_shapes_of_sounds(tmp_path: Path, symbols: tuple[str, ...], shapes: str, visemes: str) -> None:
    cues = read(spoken(*symbols), "rhubarb", tmp_path / "r")["mouthCues"]
    assert "".join(cue["value"] for cue in cues) == shapes
    assert read(spoken(*symbols), "oculus", tmp_path / "o")["visemes"] == visemes.split()


def test_a_diphthong_turns_after_three_fifths(tmp_path: Path) -> None:
    data = read(spoken("AY1", lengths_s=0.2), "oculus", tmp_path)
    assert (data["visemes"], data["vtimes"], data["vdurations"]) == (["aa", "I"], [0, 120], [120, 80])


@pytest.mark.parametrize("format", ["rhubarb", "oculus"])
def test_every_phone_of_arpabet_has_a_shape_and_unknown_ones_are_named(tmp_path: Path, format: str) -> None:
    write(spoken(*sorted(ARPABET)), format, tmp_path / "all")
    (result,) = export([spoken("б"), example()], {format: tmp_path / "some"}).values()
    assert result.utterances == 1
    assert "u: no shape of the mouth is known of 'б'" in result.refused[0]
