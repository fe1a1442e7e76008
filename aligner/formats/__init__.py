"""Alignments in other programs' formats: one small writer per consumer, and readers."""

from aligner.formats.manifest import (
    MANIFEST,
    AlignmentWriter,
    from_cut,
    read_alignments,
    to_cut,
    write_alignments,
)
from aligner.formats.read import read, read_ctm, read_textgrid, read_timit
from aligner.formats.write import PRESETS, WRITERS, ExportSettings, export

__all__ = [
    "MANIFEST",
    "PRESETS",
    "WRITERS",
    "AlignmentWriter",
    "ExportSettings",
    "export",
    "from_cut",
    "read",
    "read_alignments",
    "read_ctm",
    "read_textgrid",
    "read_timit",
    "to_cut",
    "write_alignments",
]
