"""Pictures and pages."""

import numpy as np
import pytest

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.plot import plot_alignment, save_picture

RATE_HZ = 16000


def alignment(edges=(0, 0.2, 0.3, 0.5, 0.6), id="u"):
    return Alignment.from_boundaries(
        id, ["sil", "$a_{", "b", "sil"], [-1, 0, 0, -1], ["$cash$"], edges, 0.6, scores=[0.1, 0.2, 0.9, 0.4]
    )


def lines(axes):
    return sorted({round(float(line.get_xdata()[0]), 6) for line in axes.lines})


def test_the_picture_shows_words_phones_scores_and_reference(tmp_path):
    audio = np.random.default_rng(0).normal(size=int(0.6 * RATE_HZ)).astype(np.float32)
    figure = plot_alignment(alignment(), audio, RATE_HZ, reference=alignment((0, 0.21, 0.31, 0.49, 0.6)))
    words, _, phones, scores = figure.axes
    assert [t.get_text() for t in words.texts] == [r"\$cash\$"]
    assert [t.get_text() for t in phones.texts] == ["sil", r"\$a_{", "b", "sil"]
    assert [bar.get_height() for bar in scores.patches] == [0.1, 0.2, 0.9, 0.4]
    assert lines(words) == [0.21, 0.49]
    assert lines(phones) == [0, 0.21, 0.31, 0.49, 0.6]
    save_picture(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_sound_lies_under_its_own_time():
    audio = np.zeros(int(0.6 * RATE_HZ), np.float32)
    audio[int(0.3 * RATE_HZ)] = 1.0
    figure = plot_alignment(alignment(), audio, RATE_HZ)
    image = figure.axes[1].images[0]
    left, right, _, _ = image.get_extent()
    loudest = image.get_array().sum(0)
    columns = np.flatnonzero(loudest > loudest.min() + 1)
    middle_s = left + (columns.mean() + 0.5) * (right - left) / len(loudest)
    assert middle_s == pytest.approx(0.3, abs=0.0026)


def test_audio_of_another_length_is_refused():
    with pytest.raises(AlignerError, match="u: audio of shape"):
        plot_alignment(alignment(), np.zeros(RATE_HZ, np.float32), RATE_HZ)
