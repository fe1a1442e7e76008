"""ELAN's files, by the reading rule of pympi."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import pytest
from hypothesis import given
from made_alignments import NONSENSE, PHONES, alignments, example, fewest_s, property_test, write

from aligner.alignment import Alignment
from aligner.formats import export


def tiers(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    """Elan.py, parse_eaf: slots by their names, annotations by the names of their slots."""
    root = ElementTree.parse(path).getroot()
    assert root.attrib["VERSION"] in ("3.0", "2.8", "2.7")
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    types = {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.iter("LINGUISTIC_TYPE")}
    found, ids = {}, []
    for tier in root.iter("TIER"):
        assert tier.attrib["LINGUISTIC_TYPE_REF"] in types
        found[tier.attrib["TIER_ID"]] = [
            (slots[own.attrib["TIME_SLOT_REF1"]], slots[own.attrib["TIME_SLOT_REF2"]], own[0].text or "")
            for own in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        ids += [own.attrib["ANNOTATION_ID"] for own in tier.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids)
    assert len(slots) == 2 * len(ids)
    return found


@property_test
@given(alignments(symbols=PHONES + NONSENSE))
def test_pympi_reads_every_phone_and_word(tmp_path: Path, one: Alignment) -> None:
    if one.duration_s < fewest_s(one):
        return
    found = tiers(write(one, "elan", tmp_path) / f"{one.id}.eaf")
    assert [text for _, _, text in found["phones"]] == [token.symbol for token in one.tokens]
    assert [text for _, _, text in found["words"]] == [word.symbol for word in one.words]
    assert all(end > start for entries in found.values() for start, end, _ in entries)


def test_the_recording_is_found_by_its_address(tmp_path: Path) -> None:
    one = example(speaker='A & "B" <c>')
    recording = tmp_path / "a b" / "ü#1.wav"
    write(replace(one, audio=str(recording)), "elan", tmp_path)
    root = ElementTree.parse(tmp_path / f"{one.id}.eaf").getroot()
    (media,) = root.iter("MEDIA_DESCRIPTOR")
    assert unquote(urlparse(media.attrib["MEDIA_URL"]).path) == str(recording)
    assert {tier.attrib["PARTICIPANT"] for tier in root.iter("TIER")} == {one.speaker}


@pytest.mark.parametrize("symbol", ["a\x00", "\x1b[1m", "\ufffe", "b\ud83d"])
def test_what_xml_cannot_hold_is_refused_alone(tmp_path: Path, symbol: str) -> None:
    odd = Alignment.from_boundaries("odd", [symbol], [0], ["w"], [0, 1], 1.0)
    (result,) = export([odd, example()], {"elan": tmp_path}).values()
    assert result.utterances == 1
    assert "odd: " in result.refused[0]
    assert "XML cannot hold" in result.refused[0]
