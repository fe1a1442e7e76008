"""`aligner plot`: which utterance, what of it, and what is said where that cannot be."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_alignments import example

from aligner import cli
from aligner.corpus.prepared import load_utterances
from aligner.formats import export, write_alignments


def run(*argv: object) -> int:
    return cli.main(["plot", *map(str, argv)])


@pytest.fixture(scope="module")
def aligned(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The known times of the tiny corpus, as alignments that say where the recordings are."""
    folder = tmp_path_factory.mktemp("aligned")
    own = [replace(u.reference, audio=str(u.audio)) for u in load_utterances(tiny_corpus) if u.reference]
    write_alignments(folder / "alignments.jsonl.gz", own)
    export(own, {"textgrid": folder / "textgrids"})
    return folder


@pytest.mark.parametrize("show", ["alignment", "durations"])
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_alignments_that_are_there(
    aligned: Path, tmp_path: Path, show: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / f"a.{suffix}"
    assert run("u03", "--alignments", aligned, "--show", show, "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "out": str(out), "utterance": "u03", "show": show,
    }  # fmt: skip
    assert out.stat().st_size > 1000


def test_a_recording_may_name_its_alignment(aligned: Path, tiny_corpus: Path, tmp_path: Path) -> None:
    (utterance,) = load_utterances(tiny_corpus, {"u03"})
    assert run(utterance.audio, "--alignments", aligned, "--out", tmp_path / "a.png") == 0


def test_textgrids_with_recordings_beside_and_a_reference(
    aligned: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    argv = ["u03", "--alignments", aligned / "textgrids", "--audio", tiny_corpus]
    assert run(*argv, "--reference", aligned / "textgrids", "--out", tmp_path / "a.png") == 0


@pytest.mark.parametrize("show", ["alignment", "matrix", "durations"])
def test_an_utterance_of_a_corpus_or_a_recording_is_aligned_now(
    checkpoint: Path, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("u03", "--checkpoint", checkpoint, "--data", tiny_corpus, "--show", show) == 0
    (utterance,) = load_utterances(tiny_corpus, {"u03"})
    argv = [utterance.audio, "--text", utterance.text, "--checkpoint", checkpoint, "--show", show]
    assert run(*argv, "--out", f"{show}.pdf") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{show}.pdf", f"u03-{show}.png"]


@pytest.mark.parametrize(
    ("argv", "status", "complaint"),
    [
        (["u03"], 2, "u03: name the --alignments that it is in, or a --checkpoint"),
        (["u03", "--alignments", "A", "--data", "D"], 2, "either --alignments, which are there, or"),
        (["u03", "--alignments", "A", "--show", "matrix"], 2, "alignments hold no likelihoods"),
        (["u03", "--alignments", "A", "--show", "durations", "--reference", "A"], 2, "is not drawn with"),
        (["u03", "--checkpoint", "C"], 2, "name either the corpus, --data, or AUDIO's own --text"),
        (["u03", "--checkpoint", "C", "--data", "D", "--text", "a"], 2, "name either the corpus"),
        (["u03.wav", "--checkpoint", "C", "--text", "a"], 1, "u03.wav: no such recording"),
        (["u3", "--alignments", "A"], 1, "u3: no such utterance that can be read in"),
        (["u3", "--checkpoint", "C", "--data", "D"], 1, "did you mean u"),
        (["u03", "--alignments", "A", "--out", "a.jpg"], 1, "a.jpg: pictures are png, svg, pdf"),
        (["u03", "--alignments", "A", "--audio", "nowhere"], 1, "nowhere: no such folder"),
        (["u03", "--alignments", "nowhere"], 1, "nowhere: no such file or folder"),
        (["u03", "--alignments", "A", "--reference", "other"], 1, "u03: no reference"),
        (["nobody", "--alignments", "other"], 1, "nobody: its recording is not known"),
        (["u03", "--checkpoint", "nowhere", "--data", "D"], 1, "nowhere: no such file"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    argv: list[str], status: int, complaint: str, aligned: Path, tiny_corpus: Path, checkpoint: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_alignments(tmp_path / "other", [replace(example(id="nobody"), audio="")])
    (tmp_path / "other").rename(tmp_path / "o.jsonl.gz")
    places = {"A": aligned, "D": tiny_corpus, "C": checkpoint, "other": tmp_path / "o.jsonl.gz"}
    assert run(*(places.get(word, word) for word in argv)) == status
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))


def test_letters_that_the_font_lacks_are_said(
    tmp_path: Path, aligned: Path, tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (utterance,) = load_utterances(tiny_corpus, {"u03"})
    assert utterance.reference is not None
    tokens = tuple(replace(token, symbol="你") for token in utterance.reference.tokens)
    write_alignments(tmp_path / "a.jsonl.gz", [replace(utterance.reference, tokens=tokens)])
    argv = ["u03", "--alignments", tmp_path / "a.jsonl.gz", "--show", "durations"]
    assert run(*argv, "--out", tmp_path / "a.png") == 0
    assert "note: matplotlib's font lacks some characters" in capsys.readouterr().err
