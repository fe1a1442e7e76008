"""Alignments of Stylish-TTS."""

import json
import struct
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, Interval
from aligner.formats.tts import DurationWriter
from aligner.formats.writer import NotExportable
from aligner.text.transcript import PAUSE

_EDGE = "$"
# Its dataloader.py: recordings are padded on both sides to one of these numbers of frames.
_BIN_FRAMES, _PADDING_FRAMES = 20, 40


class Stylish(DurationWriter):
    """`alignment.safetensors` for Stylish-TTS: `{id}.wav` to float32 `[1, T + 2]`, frames of each character.

    Its text is a string of phonemes, of which each character is a token, with a `$` before and after. The
    frames are of the recording as its `dataloader.py` pads it: to 60, 80, 100, ... frames, half on each side,
    so the `$` take the padding, and a pause at either end.
    """

    lists = ("alignment.safetensors",)
    shows_added_pauses = True

    def begin(self) -> None:
        self._durations: dict[str, NDArray[np.float32]] = {}

    def write(self, alignment: Alignment, name: str) -> None:
        grid = self.grid
        samples = grid.sample_count(alignment.duration_s)
        bins = samples // grid.hop_samples // _BIN_FRAMES
        if not bins:
            raise NotExportable(
                f"{alignment.id}: Stylish-TTS refuses what is shorter than {_BIN_FRAMES} frames"
            )
        frames = bins * _BIN_FRAMES + _PADDING_FRAMES
        before_s = (frames * grid.hop_samples - samples) // 2 / grid.sample_rate_hz
        edged = _with_edges(alignment, before_s, frames * grid.hop_samples / grid.sample_rate_hz)
        durations = edged.durations_on(grid, frames, self.settings.pauses_to)
        self._durations[f"{name}.wav"] = durations.astype(np.float32)[None]

    def finish(self) -> None:
        with self.folder.file(*self.lists) as file:
            file.write(_safetensors_header(self._durations))
            for values in self._durations.values():
                file.write(values.astype("<f4").tobytes())


def _with_edges(alignment: Alignment, before_s: float, duration_s: float) -> Alignment:
    """The alignment within the padded recording, its first and last token the `$` of the consumer."""
    own = [
        replace(token, start_s=token.start_s + before_s, end_s=token.end_s + before_s)
        for token in alignment.tokens
    ]
    while own and (own[0].added or own[0].symbol == PAUSE):
        del own[0]
    while own and (own[-1].added or own[-1].symbol == PAUSE):
        del own[-1]
    if not own:
        raise NotExportable(f"{alignment.id}: has no phones or other tokens to give frames to")
    first, last = Interval(_EDGE, 0.0, own[0].start_s), Interval(_EDGE, own[-1].end_s, duration_s)
    return replace(alignment, tokens=(first, *own, last), words=(), duration_s=duration_s)


def _safetensors_header(tensors: dict[str, NDArray[np.float32]]) -> bytes:
    """What a file of safetensors has before the values: the length of a JSON text, and that text.

    Source: the format's own description, github.com/huggingface/safetensors, "Format".
    """
    end, entries = 0, {}
    for name, values in tensors.items():
        start, end = end, end + 4 * values.size
        entries[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)  # so that the values are aligned
    return struct.pack("<Q", len(text)) + text
