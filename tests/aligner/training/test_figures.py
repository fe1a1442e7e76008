"""What an epoch counts beside the loss, and what TensorBoard shows of it."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aligner.corpus.prepared import load_utterances
from aligner.training.board import pictured, show_figures
from aligner.training.figures import LONGEST_FRAMES, EpochFigures
from aligner.training.lightning_cli import LAST, find_config, train

CPU = torch.device("cpu")


def board_of(run: Path) -> EventAccumulator:
    """What a run has for TensorBoard."""
    shown = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    return shown.Reload()


def test_durations_are_counted_by_symbol() -> None:
    figures = EpochFigures(3, CPU)
    figures.count(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 4, 4, 5000]))
    figures.count(torch.tensor([1]), torch.tensor([3]))
    assert figures.durations.nonzero().tolist() == [[0, 0], [1, 3], [1, 4], [2, LONGEST_FRAMES]]
    assert figures.durations[1, 4] == 2


def test_time_is_that_of_the_search_within_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: clock_s)
    figures = EpochFigures(1, CPU)
    assert figures.search_share() is None
    for _ in range(2):
        clock_s += 1.0  # loading
        with figures.step.running():
            clock_s += 3.0
            with figures.search.running():
                clock_s += 1.0
        figures.step_done(100)
    clock_s += 5.0  # validation
    assert figures.search_share() == 0.25
    assert figures.frames_a_second() == 200 / 10


@pytest.mark.gpu
def test_time_on_a_gpu_is_taken_without_waiting() -> None:
    figures = EpochFigures(1, torch.device("cuda"))
    factor = torch.randn(4000, 4000, device="cuda")
    factor @ factor  # the first loads cuBLAS
    with figures.step.running():
        factor @ factor
        with figures.search.running():
            for _ in range(3):
                factor @ factor
    share = figures.search_share()
    assert share is not None
    assert 0.5 < share < 1


def test_few_utterances_are_drawn_the_same_each_time_and_short_ones() -> None:
    sample: Any = [SimpleNamespace(id=f"u{i}", duration_s=s) for i, s in enumerate((9, 0.2, 3, 1.5, 3, 2))]
    assert pictured(sample) == pictured(sample[::-1]) == {"u3", "u5", "u2"}
    assert pictured(sample[1:2]) == {"u1"}
    assert pictured([]) == frozenset()


class Board:
    """TensorBoard's writer, as far as it is used here."""

    def __init__(self) -> None:
        self.histograms: dict[str, dict[str, Any]] = {}
        self.scalars: dict[str, float] = {}
        self.figures: dict[str, Any] = {}

    def add_histogram_raw(self, tag: str, **shown: Any) -> None:
        self.histograms[tag] = shown

    def add_scalar(self, tag: str, value: float, epoch: int) -> None:
        self.scalars[tag] = value

    def add_figure(self, tag: str, figure: Any, epoch: int) -> None:
        self.figures[tag] = figure


def test_histograms_are_in_milliseconds_and_of_what_was_spoken() -> None:
    figures, board = EpochFigures(3, CPU), Board()
    figures.count(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 4, 4, 7]))
    figures.occupancy = torch.tensor([90.0, 5.0, 6.0, 7.0, 8.0])
    show_figures(board, 3, figures, ("sil", "a", "b"), 0.01)
    assert list(board.histograms) == ["length_ms/a"]  # the pause was skipped, and b never came
    shown = board.histograms["length_ms/a"]
    assert (shown["min"], shown["max"], shown["num"], shown["sum"]) == (40, 70, 3, 150)
    assert shown["bucket_limits"] == pytest.approx([45, 55, 65, 75])
    assert shown["bucket_counts"] == [2, 0, 0, 1]
    assert shown["sum_squares"] == pytest.approx(2 * 40**2 + 70**2)
    assert board.scalars == {"occupancy/least": 5.0}
    axes = board.figures["occupancy/states"].axes[0]
    heights = sorted(
        (bar.get_x() + bar.get_width() / 2, bar.get_height()) for c in axes.containers for bar in c
    )
    assert [height for _, height in heights] == [90, 5, 6, 7, 8]
    assert np.allclose([x for x, _ in heights], [0, 0.8, 1.2, 1.8, 2.2])


def test_of_thousands_of_characters_the_frequent_are_shown() -> None:
    figures, board = EpochFigures(3000, CPU), Board()
    symbols = torch.arange(3000).repeat_interleave(torch.arange(3000) % 7 + 1)
    figures.count(symbols, torch.ones_like(symbols))
    figures.occupancy = torch.ones(3000)
    show_figures(board, 0, figures, [f"s{i}" for i in range(3000)], 0.01)
    assert len(board.histograms) == 100
    assert {shown["num"] for shown in board.histograms.values()} == {7}
    assert not board.figures


def test_a_run_shows_lengths_occupancy_speed_and_pictures(trained_run: Path, tiny_corpus: Path) -> None:
    shown = board_of(trained_run)
    tags = shown.Tags()
    assert {"frames_per_s", "search_share", "occupancy/least", "loss", "phones_error_ms"} <= set(
        tags["scalars"]
    )
    assert "learning_rate" not in tags["scalars"]
    assert len(shown.Scalars("frames_per_s")) == 6
    assert all(0 < event.value < 1 for event in shown.Scalars("search_share"))
    assert set(tags["histograms"]) == {f"length_ms/{symbol}" for symbol in ("sil", "a", "e", "m", "s", "t")}
    known = [u.reference for u in load_utterances(tiny_corpus) if u.reference is not None]
    spoken = sum(token.symbol == "a" for one in known for token in one.tokens)
    assert shown.Histograms("length_ms/a")[-1].histogram_value.num == spoken
    drawn = {tag.split("/")[1] for tag in tags["images"] if tag.startswith("alignment/")}
    assert len(drawn) == 3
    assert set(tags["images"]) == {
        *(f"alignment/{id}" for id in drawn), *(f"likelihoods/{id}" for id in drawn), "occupancy/states",
    }  # fmt: skip
    assert len(shown.Images(f"likelihoods/{min(drawn)}")) >= 3


def test_gradient_shows_the_learning_rate(tiny_corpus: Path, tmp_path: Path) -> None:
    glow = '{"hidden": 16, "layers": 1, "filter_channels": 16, "prenet_layers": 1}'
    train(
        [find_config("smoke")],
        [
            *("--data.data_dir", str(tiny_corpus), "--trainer.accelerator", "cpu"),
            *("--model.encoder.class_path", "aligner.encoders.GlowTTSEncoder"),
            *("--model.encoder.init_args", glow),
            *("--model.training.class_path", "aligner.training.Gradient"),
            *("--model.training.init_args.epochs", "2", "--model.training.init_args.warmup_steps", "4"),
        ],
        tmp_path,
    )
    assert (tmp_path / LAST).exists()
    shown = board_of(tmp_path)
    rates = [event.value for event in shown.Scalars("learning_rate")]
    assert rates[0] == pytest.approx(1e-3 / 4)  # of step 1, before the schedule moves on
    assert {"length_ms/a", "length_ms/t"} <= set(shown.Tags()["histograms"])
    assert all(0 < event.value < 1 for event in shown.Scalars("search_share"))
    assert "occupancy/states" not in shown.Tags()["images"]
