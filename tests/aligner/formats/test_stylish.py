"""Stylish-TTS's alignments, by its own reading rule."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from made_alignments import alignments, property_test, safetensors, write

from aligner.alignment import Alignment, FrameGrid
from aligner.formats import export

HOP, RATE_HZ = 300, 24000


def padded_frames(duration_s: float) -> int:
    """dataloader.py: get_frame_count(get_time_bin(samples, hop))."""
    samples = FrameGrid(HOP, RATE_HZ).sample_count(duration_s)
    return ((samples // HOP - 20) // 20) * 20 + 20 + 40


@property_test
@given(alignments())
def test_stylish_reads_frames_of_its_padded_audio(tmp_path: Path, one: Alignment) -> None:
    """dataloader.py puts a 0 before and after the text, and copies [:1, :text_size] of the alignment."""
    spoken = [
        token for token in one.tokens if token.symbol != "sil" or token not in (one.tokens[0], one.tokens[-1])
    ]
    if one.duration_s < 0.26 or len(spoken) > 30:
        (result,) = export([one], {"stylish": tmp_path / "short"}).values()
        return
    (alignment,) = safetensors(write(one, "stylish", tmp_path) / "alignment.safetensors").values()
    assert alignment.shape == (1, len(spoken) + 2)
    assert alignment.sum() == padded_frames(one.duration_s)
    assert alignment.min() >= 1
    samples = FrameGrid(HOP, RATE_HZ).sample_count(one.duration_s)
    before_s = (padded_frames(one.duration_s) * HOP - samples) // 2 / RATE_HZ
    if all(token.end_s - token.start_s > 2 * HOP / RATE_HZ for token in spoken):
        ends_s = np.cumsum(alignment[0])[1:-1] * HOP / RATE_HZ - before_s
        assert np.abs(ends_s - [token.end_s for token in spoken]).max() <= 0.5 * HOP / RATE_HZ + 1e-6


def test_pauses_at_the_ends_are_the_edges_and_others_are_a_neighbours(tmp_path: Path) -> None:
    """The consumer's string "ab!" has three characters, and so five entries, whatever pauses we found."""
    one = Alignment.from_boundaries(
        "u", ["sil", "a", "sil", "b", "!", "sil"], [-1, 0, -1, 1, -1, -1], ["a", "b"],
        [0, 0.2, 0.4, 0.5, 0.7, 0.8, 1.0], 1.0, added=[True, False, True, False, False, True],
    )  # fmt: skip
    write(one, "stylish", tmp_path)
    (frames,) = safetensors(tmp_path / "alignment.safetensors")["u.wav"]
    padding = (120 - 80) / 2
    assert frames.tolist() == [padding + 16, 24, 16, 8, padding + 16]


def test_what_is_too_short_is_refused(tmp_path: Path) -> None:
    one = Alignment.from_boundaries("u", ["a"], [0], ["a"], [0, 0.2], 0.2)
    (result,) = export([one], {"stylish": tmp_path}).values()
    assert result.refused == ["u: Stylish-TTS refuses what is shorter than 20 frames"]
    assert pytest.approx(padded_frames(0.25)) == 60
