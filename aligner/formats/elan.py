"""ELAN, the annotation tool of the Max Planck Institute for Psycholinguistics."""

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from aligner.alignment import Alignment
from aligner.formats.tar_member import is_in_tar
from aligner.formats.whole_units import Whole, in_whole_units
from aligner.formats.writer import NotExportable, Writer, label

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE = "default-lt"
# The format wants a date; the same alignments are to give the same bytes.
_DATE = "1970-01-01T00:00:00+00:00"


class Elan(Writer):
    """`{id}.eaf`: ELAN's tiers `words` and `phones`, in ms, with the recording if it is known.

    Version 3.0 of the format. Pauses are annotations among the phones; between words there is none.
    """

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.eaf",)]

    def write(self, alignment: Alignment, name: str) -> None:
        phones, words = in_whole_units(alignment, 1000, words_alone=True)
        _check_characters(alignment.id, [alignment.speaker, *(symbol for symbol, _, _ in (*phones, *words))])
        root = ElementTree.Element(
            "ANNOTATION_DOCUMENT",
            {
                "AUTHOR": "",
                "DATE": _DATE,
                "FORMAT": "3.0",
                "VERSION": "3.0",
                "xmlns:xsi": _INSTANCE,
                "xsi:noNamespaceSchemaLocation": _SCHEMA,
            },
        )
        header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
        if alignment.audio and not is_in_tar(alignment.audio):
            is_url = "://" in alignment.audio
            url = alignment.audio if is_url else Path(os.path.abspath(alignment.audio)).as_uri()
            kind = "audio/x-wav" if url.lower().endswith(".wav") else "unknown"
            ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", {"MEDIA_URL": url, "MIME_TYPE": kind})
        tiers = {"words": words, "phones": phones}
        slots = _add_times(
            root, [time_ms for entries in tiers.values() for _, *edge in entries for time_ms in edge]
        )
        for tier, entries in tiers.items():
            _add_tier(root, tier, entries, slots, alignment.speaker)
        ElementTree.SubElement(
            root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true"}
        )
        (path,) = self.paths(alignment, name)
        with self.folder.file(*path) as file:
            file.write(ElementTree.tostring(root, "UTF-8", xml_declaration=True) + b"\n")


def _add_times(root: ElementTree.Element, times_ms: list[int]) -> Iterator[str]:
    """Add a slot for each time, in the order of time; gives their names in the order of `times_ms`."""
    order = sorted(range(len(times_ms)), key=times_ms.__getitem__)
    names = [""] * len(times_ms)
    element = ElementTree.SubElement(root, "TIME_ORDER")
    for number, place in enumerate(order, 1):
        names[place] = f"ts{number}"
        slot = {"TIME_SLOT_ID": names[place], "TIME_VALUE": str(times_ms[place])}
        ElementTree.SubElement(element, "TIME_SLOT", slot)
    return iter(names)


def _add_tier(
    root: ElementTree.Element, tier: str, entries: list[Whole], slots: Iterator[str], speaker: str
) -> None:
    participant = {"PARTICIPANT": speaker} if speaker else {}
    settings = {"TIER_ID": tier, "LINGUISTIC_TYPE_REF": _TYPE, **participant}
    element = ElementTree.SubElement(root, "TIER", settings)
    for number, (symbol, _, _) in enumerate(entries, 1):
        times = {"TIME_SLOT_REF1": next(slots), "TIME_SLOT_REF2": next(slots)}
        annotation = ElementTree.SubElement(
            ElementTree.SubElement(element, "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {"ANNOTATION_ID": f"{tier[0]}{number}", **times},
        )
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = label(symbol)


def _check_characters(id: str, texts: list[str]) -> None:
    """Refuse what XML 1.0 cannot hold: no escape makes a control character legal there."""
    for text in texts:
        if bad := next((c for c in label(text) if not _is_xml(ord(c))), None):
            raise NotExportable(f"{id}: {text!r} has a character that XML cannot hold ({bad!r}); rename it")


def _is_xml(point: int) -> bool:
    return 0x20 <= point <= 0xD7FF or 0xE000 <= point <= 0xFFFD or point >= 0x10000
