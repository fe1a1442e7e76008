"""`aligner demo`, smaller than people run it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligner.alignment import Alignment
from aligner.cli import main
from aligner.commands import demo
from aligner.corpus import synthetic
from aligner.errors import AlignerError

pytest.importorskip("espeakng_loader", reason="the demo needs the extra `espeak`")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a small demo and what it printed."""
    import contextlib
    import io

    out = tmp_path_factory.mktemp("demo") / "out"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main(["demo", "--out", str(out), "--utterances", "32", "--json"])
    assert status == 0
    return out, printed.getvalue()


def test_the_demo_says_what_it_did_and_how_right_it_was(finished: tuple[Path, str]) -> None:
    out, printed = finished
    summary = json.loads(printed.splitlines()[-1])
    assert summary.keys() == {"phone_error_ms", "uniform_error_ms", "seconds", "utterances", "out"}
    assert (summary["utterances"], summary["out"]) == (32, str(out))
    assert summary["phone_error_ms"] < 30  # of so few utterances; a whole demo is held to 15
    assert summary["uniform_error_ms"] > 70
    assert f"{summary['phone_error_ms']:.1f} ms mean error" in printed
    assert f"{summary['uniform_error_ms']:.1f} ms mean error" in printed
    assert "aligner fit --config ljspeech --data prepared" in printed


def test_the_demo_leaves_files(finished: tuple[Path, str]) -> None:
    out, _ = finished
    assert (out / "alignment.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(out.glob("aligned/npy/durations/*.npy"))) == 32
    assert len(list(out.glob("aligned/textgrid/**/*.TextGrid"))) == 32
    assert (out / "run" / "checkpoints" / "last.ckpt").is_file()


def test_a_demo_makes_room_for_itself_but_not_in_other_folders(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = finished
    demo._clear(out)
    assert not (out / "run").exists()
    (tmp_path / "aligned").mkdir()
    (tmp_path / "aligned" / "mine").touch()
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "not from an earlier demo" in capsys.readouterr().err
    assert (tmp_path / "aligned" / "mine").exists()


def test_a_demo_that_finds_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything but the alignment is done; what stands in for it is the uniform split."""
    import aligner.formats

    read = aligner.formats.read_alignments

    def figures(name: str, *arguments: str) -> dict[str, Any]:
        if name == "prepare":
            return real(name, *arguments)
        if name == "fit":
            return {"checkpoint": "none", "epochs": 0, "seconds": 0.0}
        if name == "align":
            uniform = [demo.uniform_split(a) for a in read(tmp_path / "out" / "prepared" / "cuts.jsonl.gz")]
            aligner.formats.write_alignments(tmp_path / "out" / "aligned" / aligner.formats.MANIFEST, uniform)
            return {}
        return real(name, *arguments)

    real = demo._command
    monkeypatch.setattr(demo, "_command", figures)
    monkeypatch.setattr(demo, "_draw_typical", lambda *_: "none")
    monkeypatch.setattr(demo, "_ENOUGH_UTTERANCES", 2)
    assert main(["demo", "--out", str(tmp_path / "out"), "--utterances", "2"]) == 1
    assert "not far better" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "voices", "speeds_wpm", "first_word"),
    [
        ([], synthetic.VOICES, synthetic.SPEEDS_WPM, "The"),
        (["--language", "de"], synthetic.GERMAN_VOICES, synthetic.SPEEDS_WPM, "Der"),
        (
            ["--voices", "en-us+m1", "en-us+m5", "--speeds", "100", "250"],
            ["en-us+m1", "en-us+m5"],
            [100, 250],
            "The",
        ),
    ],
)
def test_a_demo_speaks_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: list[str],
    voices: list[str],
    speeds_wpm: list[int],
    first_word: str,
) -> None:
    def stop(out: Path, utterances: int, *chosen: object, sentences: list[str]) -> None:
        assert (utterances, *chosen) == (7, voices, speeds_wpm)
        assert sentences[0].split()[0] == first_word
        raise AlignerError("enough")

    monkeypatch.setattr(synthetic, "synthesise_corpus", stop)
    assert main(["demo", "--out", str(tmp_path / "out"), "--utterances", "7", *options]) == 1


def test_a_uniform_split_gives_every_token_the_same() -> None:
    alignment = Alignment.from_boundaries(
        "u", ["sil", "a", "b", "sil"], [-1, 0, 0, -1], ["ab"], np.array([0, 0.1, 0.2, 0.9, 1.2]), 1.2
    )
    split = demo.uniform_split(alignment)
    assert [t.start_s for t in split.tokens] == pytest.approx([0, 0.3, 0.6, 0.9])
    assert [(w.symbol, w.start_s, w.end_s) for w in split.words] == [
        ("ab", pytest.approx(0.3), pytest.approx(0.9))
    ]


def test_too_few_sentences_tell_nothing_and_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"phone_error_ms": 60.0, "uniform_error_ms": 90.0}
    demo._judge({**figures, "utterances": 12})
    assert "12 sentences are too few to tell" in capsys.readouterr().err
    with pytest.raises(AlignerError, match="something is broken here"):
        demo._judge({**figures, "utterances": 60})
