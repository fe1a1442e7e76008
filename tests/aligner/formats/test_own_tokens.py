"""Pauses that we found among a program's own tokens have no entry in any format that the program counts."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_alignments import safetensors, write

from aligner.alignment import Alignment

OWN = ["h", "i", "!", "b", "i"]


def given() -> Alignment:
    """ "hi! bi" with pauses of ours before it, after "!" and behind it."""
    symbols = ["sil", "h", "i", "!", "sil", "b", "i", "sil"]
    added = [symbol == "sil" for symbol in symbols]
    edges_s = [0.1 * place for place in range(len(symbols) + 1)]
    owners = [-1, 0, 0, -1, -1, 1, 1, -1]
    return Alignment.from_boundaries("u", symbols, owners, ["hi", "bi"], edges_s, edges_s[-1], added=added)


def rows(folder: Path) -> dict[str, str]:
    with open(folder / "transcriptions.csv", encoding="utf8") as file:
        (row,) = csv.DictReader(file)
    return row


def of_elan(folder: Path) -> list[str]:
    (tier,) = (t for t in ElementTree.parse(folder / "u.eaf").iter("TIER") if t.attrib["TIER_ID"] == "phones")
    return [value.text or "" for value in tier.iter("ANNOTATION_VALUE")]


READ: dict[str, Callable[[Path], list[str]]] = {
    "diffsinger": lambda folder: rows(folder)["ph_seq"].replace("SP", "!").split(),
    "elan": of_elan,
    "htk": lambda folder: [line.split()[2] for line in (folder / "u.lab").read_text().splitlines()],
    "huggingface": lambda folder: [
        entry["label"] for entry in json.loads((folder / "metadata.jsonl").read_text())["phonemes"]
    ],
}


@pytest.mark.parametrize("format", READ)
@pytest.mark.parametrize("pauses_to", ["previous", "next", "nearest"])
def test_there_is_one_entry_for_each_of_the_programs_tokens(
    tmp_path: Path, format: str, pauses_to: str
) -> None:
    write(given(), format, tmp_path, pauses_to=pauses_to)
    assert READ[format](tmp_path) == OWN


def test_stylish_has_two_more_for_its_edges(tmp_path: Path) -> None:
    (frames,) = safetensors(write(given(), "stylish", tmp_path) / "alignment.safetensors")["u.wav"]
    assert len(frames) == len(OWN) + 2
