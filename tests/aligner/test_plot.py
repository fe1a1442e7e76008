"""Pictures of alignments and of features."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.frontends import Energy, Mel
from aligner.plot import (
    log_mel_db,
    plot_alignment,
    plot_durations,
    plot_features,
    plot_likelihoods,
    save_picture,
)
from aligner.search import SpokenLikelihoods

RATE_HZ = 16000


def alignment(edges: Sequence[float] = (0, 0.2, 0.3, 0.5, 0.6), id: str = "u") -> Alignment:
    return Alignment.from_boundaries(
        id, ["sil", "$a_{", "b", "sil"], [-1, 0, 0, -1], ["$cash$"], edges, 0.6, scores=[0.1, 0.2, 0.9, 0.4]
    )


def lines(axes: Axes) -> list[float]:
    return sorted({round(float(np.asarray(line.get_xdata())[0]), 6) for line in axes.lines})


def test_the_picture_shows_words_phones_scores_and_reference(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).normal(size=int(0.6 * RATE_HZ)).astype(np.float32)
    figure = plot_alignment(alignment(), audio, RATE_HZ, reference=alignment((0, 0.21, 0.31, 0.49, 0.6)))
    words, _, phones, scores = figure.axes
    assert [t.get_text() for t in words.texts] == [r"\$cash\$"]
    assert [t.get_text() for t in phones.texts] == ["sil", r"\$a_{", "b", "sil"]
    assert [bar.get_height() for bar in scores.containers[0]] == [0.1, 0.2, 0.9, 0.4]
    assert lines(words) == [0.21, 0.49]
    assert lines(phones) == [0, 0.21, 0.31, 0.49, 0.6]
    save_picture(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_sound_lies_under_its_own_time() -> None:
    audio = np.zeros(int(0.6 * RATE_HZ), np.float32)
    audio[int(0.3 * RATE_HZ)] = 1.0
    figure = plot_alignment(alignment(), audio, RATE_HZ)
    image = figure.axes[1].images[0]
    left, right, _, _ = image.get_extent()
    loudest = np.asarray(image.get_array()).sum(0)
    columns = np.flatnonzero(loudest > loudest.min() + 1)
    middle_s = left + (columns.mean() + 0.5) * (right - left) / len(loudest)
    assert middle_s == pytest.approx(0.3, abs=0.0026)


def test_audio_of_another_length_is_refused() -> None:
    with pytest.raises(AlignerError, match="u: audio of shape"):
        plot_alignment(alignment(), np.zeros(RATE_HZ, np.float32), RATE_HZ)


def test_features_show_seconds_and_channel_names() -> None:
    mel = Mel("tacotron2")
    features = mel(torch.randn(1, 22050), torch.tensor([22050]))[0][0]
    axes = plot_features({"mel": mel}, {"mel": features}, "x.wav").axes[0]
    assert axes.get_xlabel() == "seconds"
    assert axes.images[0].get_extent()[:2] == pytest.approx([-128 / 22050, (86 + 0.5) * 256 / 22050])
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == mel.channel_names[0]
    assert labels[-1] == mel.channel_names[-1]
    np.testing.assert_array_equal(axes.images[0].get_array(), features.T)


def test_a_frontend_of_one_channel_is_a_line_over_the_centres() -> None:
    mel, energy = Mel("tacotron2"), Energy(22050, 256, frame_rule="center")
    features = {"mel": torch.randn(87, mel.channels), "energy": torch.randn(87, 1)}
    figure = plot_features({"mel": mel, "energy": energy}, features, "x.wav")
    top, bottom, *_ = figure.axes
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("mel", "energy")
    times_s, values = map(np.asarray, bottom.lines[0].get_data())
    assert times_s[:2] == pytest.approx([0, 256 / 22050])
    np.testing.assert_array_equal(values, features["energy"][:, 0])


def test_the_log_mel_of_a_long_recording_is_that_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made a part at a time, and nobody sees where the parts meet."""
    audio = np.random.default_rng(0).normal(0, 0.1, 40000).astype(np.float32)
    whole, grid = log_mel_db(audio, RATE_HZ)
    monkeypatch.setattr("aligner.plot._MEL_PART_FRAMES", 37)
    in_parts, _ = log_mel_db(audio, RATE_HZ)
    assert whole.shape == (80, grid.frame_count(len(audio)))
    assert in_parts == pytest.approx(whole, abs=1e-3)


def test_of_a_long_recording_the_first_minute_is_shown() -> None:
    edges = np.arange(0, 90.1, 0.5)
    symbols, words = ["a"] * (len(edges) - 1), list(range(len(edges) - 1))
    long = Alignment.from_boundaries("long", symbols, words, ["w"] * len(words), edges, 90.0)
    figure = plot_alignment(long, np.zeros(90 * RATE_HZ, np.float32), RATE_HZ, reference=long)
    assert figure.get_suptitle() == "long: the first 60 of 90 s"
    assert figure.axes[3].get_xlim() == (0, 60)
    assert [len(axes.texts) for axes in figure.axes[:3]] == [120, 0, 120]


def likelihoods(n_frames: int = 12) -> SpokenLikelihoods:
    """Two states of `$a_{` and one of a pause, a third of the frames each."""
    durations = np.full(3, n_frames // 3)
    matrix = np.full((3, n_frames), -9.0, np.float32)
    matrix[np.repeat(np.arange(3), durations), np.arange(n_frames)] = -2.0
    matrix += np.arange(n_frames, dtype=np.float32)  # some frames are likely in any state
    return SpokenLikelihoods(matrix, durations, np.array([0, 0, 1]), ("$a_{", "sil"))


def test_the_matrix_shows_the_path_over_its_likelihoods() -> None:
    axes = plot_likelihoods(likelihoods(), "u$_{").axes[0]
    assert axes.get_title() == "u$_{"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$a_{", "sil"]
    assert axes.get_yticks().tolist() == [1.0, 2.5]  # the middle of two states, and of one
    shown = np.asarray(axes.images[0].get_array())
    assert shown.max(0).tolist() == [0.0] * 12
    path = axes.patches[-1].get_data()  # the stairs
    assert path.edges.tolist() == [0, 4, 8, 12]
    for row, (start, end) in enumerate(((0, 4), (4, 8), (8, 12))):
        assert path.values[row] == row + 0.5  # in the middle of the row that is likely there
        assert (shown[row, start:end] == 0).all()


def test_of_a_long_matrix_the_first_frames_are_shown() -> None:
    axes = plot_likelihoods(likelihoods(12), "u", most_frames=6).axes[0]
    assert axes.get_title() == "u: the first 6 of 12 frames"
    assert np.asarray(axes.images[0].get_array()).shape == (2, 6)
    assert axes.patches[-1].get_data().edges.tolist() == [0, 4, 6]


def test_durations_stand_beside_the_usual_ones() -> None:
    figure = plot_durations(alignment(), {"b": [0.1, 0.1, 0.1], "$a_{": [0.2]}, "u")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.containers[0]] == pytest.approx([200, 100, 200, 100])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["sil", "$a_{", "b", "sil"]
    (median,) = axes.lines  # of b alone: one of a kind says nothing
    assert [float(value[0]) for value in median.get_data()] == pytest.approx([2, 100])


@pytest.mark.parametrize(("name", "begin"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_pictures_are_of_three_kinds_and_the_same_each_time(tmp_path: Path, name: str, begin: bytes) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        save_picture(plot_durations(alignment(), {}, "u"), tmp_path / folder / name)
    assert (tmp_path / "one" / name).read_bytes().startswith(begin)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("name", ["a.jpg", "a", "png"])
def test_other_kinds_of_pictures_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AlignerError, match="pictures are png, svg, pdf"):
        save_picture(plot_durations(alignment(), {}, "u"), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_bands_around_boundaries_are_their_spreads() -> None:
    spreads_s = ((0.0, 0.0), (0.2, 0.01), (0.3, 0.004), (0.5, 0.02), (0.6, 0.0))
    audio = np.zeros(int(0.6 * RATE_HZ), np.float32)
    pictures = [
        plot_alignment(own, audio, RATE_HZ)
        for own in (alignment(), replace(alignment(), spreads_s=spreads_s))
    ]
    without, found = (figure.axes[2].patches for figure in pictures)
    bands = [(band.get_x(), band.get_width()) for band in found[len(without) :]]
    assert bands == [
        (pytest.approx(time_s - spread_s), pytest.approx(2 * spread_s)) for time_s, spread_s in spreads_s
    ]
