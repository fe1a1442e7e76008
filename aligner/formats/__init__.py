"""Alignments in files: one file for each family of formats, readers and writers side by side."""

from aligner.formats.ctm import read_ctm
from aligner.formats.export import WRITERS, Exported, check_outputs, export
from aligner.formats.lookup import AlignmentLookup, NoMatch
from aligner.formats.manifest import (
    MANIFEST,
    AlignmentWriter,
    DamagedManifest,
    from_cut,
    from_cut_data,
    read_alignments,
    to_cut,
    write_alignments,
)
from aligner.formats.read import read
from aligner.formats.textgrid import read_textgrid
from aligner.formats.timit import read_timit
from aligner.formats.tts import PRESETS
from aligner.formats.writer import ExportSettings, NotExportable

__all__ = [
    "MANIFEST",
    "PRESETS",
    "WRITERS",
    "AlignmentLookup",
    "AlignmentWriter",
    "DamagedManifest",
    "ExportSettings",
    "Exported",
    "NoMatch",
    "NotExportable",
    "check_outputs",
    "export",
    "from_cut",
    "from_cut_data",
    "read",
    "read_alignments",
    "read_ctm",
    "read_textgrid",
    "read_timit",
    "to_cut",
    "write_alignments",
]
