"""`aligner evaluate`: its two forms, and what cannot be combined. Figures: tests/aligner/test_evaluate.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_alignments import example
from tiny_corpus import save_tiny_corpus, write_tiny_corpus

from aligner.cli import main
from aligner.formats import MANIFEST, write_alignments
from aligner.training.lightning_cli import LAST, find_config, train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder, 8)
    return folder


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A checkpoint, and the mean phone error that training measured over the whole corpus."""
    out = tmp_path_factory.mktemp("run")
    summary = train([find_config("smoke")], ["--data.data_dir", str(corpus)], out)
    return out / LAST, summary["phones_error_ms"]


def evaluate(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


def test_a_checkpoint_is_measured_as_in_training(
    trained: tuple[Path, float], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, error_ms = trained
    page = tmp_path / "report.html"
    form = ["--checkpoint", checkpoint, "--data", corpus, "--device", "cpu"]
    assert evaluate(*form, "--html", page, "--json") == 0
    printed = capsys.readouterr().out
    assert "Boundary errors, 8 utterances" in printed
    figures = json.loads(printed.splitlines()[-1])
    assert figures["phones"]["mean_ms"] == pytest.approx(error_ms, abs=0.02)
    assert (figures["utterances"], figures["skipped"]) == (8, 0)
    assert "against the known times" in page.read_text()


def test_a_sample_is_spread_over_the_corpus(
    trained: tuple[Path, float], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = ["--checkpoint", trained[0], "--data", corpus, "--device", "cpu"]
    assert evaluate(*form, "--utterances", 4, "--json") == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["utterances"], figures["skipped"]) == (4, 0)
    assert {worst["id"] for worst in figures["worst"]} == {"u00", "u02", "u04", "u06"}


def test_without_known_times_there_is_nothing_to_measure(
    trained: tuple[Path, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    utterances = write_tiny_corpus(tmp_path, 2)
    save_tiny_corpus(tmp_path, [replace(u, reference=None) for u in utterances])
    assert evaluate("--checkpoint", trained[0], "--data", tmp_path) == 1
    assert "no utterance with known times" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "missing ALIGNMENTS and --reference; or --checkpoint and --data"),
        (["aligned"], 2, "missing --reference"),
        (["--reference", "timit"], 2, "missing ALIGNMENTS"),
        (["--checkpoint", "last.ckpt"], 2, "missing --data"),
        (["--data", "prepared"], 2, "missing --checkpoint"),
        (["aligned", "--checkpoint", "c", "--data", "d"], 2, "cannot combine ALIGNMENTS with --checkpoint"),
        (["--reference", "r", "--checkpoint", "c", "--data", "d"], 2, "cannot combine --reference with"),
        (["aligned", "--reference", "r", "--utterances", "3"], 2, "with --utterances"),
        (["--checkpoint", "c", "--data", "d", "--utterances", "0"], 1, "must be at least 1"),
        (["aligned", "--reference", "r", "--tier", "syllables=x"], 1, "say words=NAME or phones=NAME"),
    ],
)
def test_mixed_or_incomplete_arguments_are_refused(
    words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*words) == status
    assert message in capsys.readouterr().err


def test_a_missing_checkpoint_is_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--checkpoint", tmp_path / "none.ckpt", "--data", corpus) == 1
    assert "none.ckpt" in capsys.readouterr().err


@pytest.mark.parametrize("cut_off", ["ALIGNMENTS", "--reference"])
def test_a_manifest_that_ends_too_early_is_measured_and_is_an_error(
    cut_off: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [example(id=f"Anna+{n}") for n in range(4)]
    for name in ("ALIGNMENTS", "--reference"):
        write_alignments(tmp_path / name / MANIFEST, many)
    path = tmp_path / cut_off / MANIFEST
    path.write_bytes(path.read_bytes()[:-40])
    assert evaluate(tmp_path / "ALIGNMENTS", "--reference", tmp_path / "--reference") == 1
    printed = capsys.readouterr()
    assert "Boundary errors, 2 utterances" in printed.out
    assert "these figures are of a part only" in printed.err
    assert "such as Anna+2)" in printed.out  # the id, and not the key that it is matched by
