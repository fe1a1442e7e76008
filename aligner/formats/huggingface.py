"""Hugging Face `datasets`: a folder of audio with its metadata."""

import json
import os

from aligner.alignment import Alignment, Interval
from aligner.formats.tar_member import is_in_tar
from aligner.formats.writer import NotExportable, Writer

_DIGITS = 6


class HuggingFace(Writer):
    """`metadata.jsonl` for `load_dataset("audiofolder")`: words and phonemes as lists of label, start, end.

    `file_name` is the recording's path from this folder, for it to be found by: export to the folder of the
    recordings, or one above. Where they lie elsewhere it is the file's own name: copy them here.
    """

    lists = ("metadata.jsonl",)

    def begin(self) -> None:
        self._list = self.list_file("metadata.jsonl")

    def write(self, alignment: Alignment, name: str) -> None:
        row = {
            "file_name": self._file_name(alignment, name),
            "id": alignment.id,
            "text": alignment.text or " ".join(word.symbol for word in alignment.words),
            "speaker": alignment.speaker,
            "duration": round(alignment.duration_s, _DIGITS),
            "score": alignment.score,
            "words": _entries(alignment.words),
            "phonemes": _entries(alignment.tokens),
        }
        self._list.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def _file_name(self, alignment: Alignment, name: str) -> str:
        """The path of a recording from the folder; `datasets` takes none that leads out of it."""
        if not alignment.audio:
            return f"{name}.wav"
        if is_in_tar(alignment.audio):
            raise NotExportable(
                f"{alignment.id}: its recording lies in a tar ({alignment.audio}), where `datasets` cannot "
                "read it by that name; unpack it first"
            )
        path = os.path.relpath(os.path.abspath(alignment.audio), os.path.abspath(self.folder.root))
        inside = path.split(os.sep)[0] != os.pardir
        return path.replace(os.sep, "/") if inside else os.path.basename(alignment.audio)


def _entries(intervals: tuple[Interval, ...]) -> list[dict[str, str | float]]:
    return [
        {"label": i.symbol, "start": round(i.start_s, _DIGITS), "end": round(i.end_s, _DIGITS)}
        for i in intervals
    ]
