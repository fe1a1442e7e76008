"""The export command: options, several formats at once, what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_alignments import example, files
from tiny_corpus import write_tiny_corpus

from aligner import cli
from aligner.alignment import Alignment
from aligner.formats import WRITERS, write_alignments


@pytest.fixture
def aligned(tmp_path: Path) -> Path:
    crowded = Alignment.from_boundaries("crowded", ["B"] * 8, [0] * 8, ["b"], np.linspace(0, 0.02, 9), 0.02)
    write_alignments(tmp_path / "aligned" / "alignments.jsonl.gz", [example(), crowded])
    return tmp_path / "aligned"


def run(*argv: object) -> int:
    return cli.main(["export", *map(str, argv)])


def test_one_format_goes_into_the_folder_itself(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(aligned, "--format", "ctm", "--out", tmp_path / "o", "--json") == 0
    assert files(tmp_path / "o") == ["phones.ctm", "words.ctm"]
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["formats"]["ctm"] == {"utterances": 2, "files": 2, "refused": []}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_all_formats_go_into_folders_of_their_own(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    out = tmp_path / "o"
    (tmp_path / "LJ001-0001.wav").touch()
    stated = ["--hop", 256, "--sample-rate", 22050, "--frame-rule", "same", "--wavs", tmp_path]
    assert run(aligned, "--format", "all", "--out", out, "--jobs", jobs, *stated, "--json") == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(WRITERS)
    captured = capsys.readouterr()
    formats = json.loads(captured.out.splitlines()[-1])["formats"]
    assert list(formats) == list(WRITERS)
    assert formats["npy"]["utterances"] == 1
    assert "refused by npy: crowded: 8 tokens do not fit 1 frames" in captured.err
    assert "crowded" in (out / "npy" / "refused.txt").read_text()
    samples = round(example().duration_s * 22050)
    assert np.load(out / "npy" / "durations" / "LJ001-0001.npy").sum() == samples // 256


def test_presets_are_grids(aligned: Path, tmp_path: Path) -> None:
    assert run(aligned, "--format", "npy", "--preset", "nemo", "--out", tmp_path / "o") == 0
    samples = round(example().duration_s * 22050)
    assert np.load(tmp_path / "o/durations/LJ001-0001.npy").sum() == samples // 256


def test_the_speaker_is_called_what_the_consumer_calls_it(tmp_path: Path) -> None:
    """Its folder of recordings is looked for under that name; a corpus may have called it anything else."""
    write_alignments(tmp_path / "a.jsonl.gz", [example(speaker="LJSpeech-1.1"), example(id="u2")])
    options = ["--format", "fastspeech2", "textgrid", "json", "--speaker", "LJSpeech"]
    assert run(tmp_path / "a.jsonl.gz", *options, "--out", tmp_path / "o") == 0
    assert json.loads((tmp_path / "o/fastspeech2/speakers.json").read_text()) == {"LJSpeech": 0}
    assert (tmp_path / "o/fastspeech2/TextGrid/LJSpeech/LJ001-0001.TextGrid").exists()
    assert (tmp_path / "o/textgrid/LJSpeech/u2.TextGrid").exists()
    assert json.loads((tmp_path / "o/json/LJ001-0001.json").read_text())["speaker"] == "LJSpeech"


def test_tokens_are_renamed_checked_and_interspersed(aligned: Path, tmp_path: Path) -> None:
    tokens = [t.symbol.replace("sil", "PAUSE") for t in example().tokens]
    (tmp_path / "names").write_text("sil PAUSE\n")
    expected = " ".join(["_"] + [s for token in tokens for s in (token, "_")])
    (tmp_path / "tokens").write_text(f"LJ001-0001|{expected}\n")
    options = ["--rename", tmp_path / "names", "--check-tokens", tmp_path / "tokens", "--blanks"]
    assert run(aligned, "--format", "matcha", "--out", tmp_path / "o", *options) == 0
    assert (tmp_path / "o/tokens.txt").read_text() == f"LJ001-0001|{expected}\n"
    assert "crowded: not among the tokens" in (tmp_path / "o/refused.txt").read_text()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--format", "npy"], "say --hop, --sample-rate and --frame-rule"),
        (["--format", "npy", "--hop", "256"], "go together"),
        (["--format", "npy", "--hop", "256", "--preset", "vits"], "either --preset or"),
        (["--format", "npy", "--hop", "0", "--sample-rate", "1", "--frame-rule", "same"], "greater than 0"),
        (["--format", "matcha", "--strict"], "1 utterances could not be written"),
        (["--format", "matcha", "--rename", "nowhere"], "nowhere: No such file"),
        (["--format", "fastspeech2", "--validation-share", "1"], "below 1"),
    ],
)
def test_failures_say_what_to_do(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert run(aligned, *options, "--out", tmp_path / "o") == 1
    assert complaint in capsys.readouterr().err


def test_nothing_written_is_a_failure(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tokens").write_text("someone|else\n")
    options = ["--preset", "vits", "--check-tokens", tmp_path / "tokens"]
    assert run(aligned, "--format", "npy", *options, "--out", tmp_path / "o") == 1
    assert "2 utterances could not be written" in capsys.readouterr().err


def test_unknown_formats_are_refused(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(aligned, "--format", "praat", "--out", tmp_path)
    assert stopped.value.code == 2


def test_a_manifest_can_be_exported_onto_itself(aligned: Path) -> None:
    before = (aligned / "alignments.jsonl.gz").read_bytes()
    assert run(aligned, "--format", "lhotse", "--out", aligned) == 0
    assert (aligned / "alignments.jsonl.gz").read_bytes() == before


@pytest.mark.parametrize("blanks", ["aligned", "exported"])
def test_a_programs_own_tokens_come_out_one_entry_each(tmp_path: Path, blanks: str) -> None:
    """Its token sequence in, its durations out; blanks are aligned as tokens, or put in by the export."""
    utterances = write_tiny_corpus(tmp_path / "tiny", 6)
    lines, expected = [], {}
    for utterance in utterances:
        symbols = [token.symbol.replace("sil", "▁") for token in utterance.reference.tokens]
        expected[utterance.id] = ["_", *(s for symbol in symbols for s in (symbol, "_"))]
        written = expected[utterance.id] if blanks == "aligned" else symbols
        lines.append(f"audio/{utterance.id}.wav|{' '.join(written)}\n")
    (tmp_path / "filelist").write_text("".join(lines))
    (tmp_path / "tokens").write_text("".join(f"{id}|{' '.join(own)}\n" for id, own in expected.items()))

    def run(*argv: object) -> None:
        assert cli.main([str(word) for word in argv]) == 0

    reader = ["--phonemizer", "tokens", "--pause-symbols", "▁", "--blank-symbols", "_"]
    root = ["--audio-root", tmp_path / "tiny"]
    run("prepare", tmp_path / "filelist", *reader, *root, "--out", tmp_path / "prepared")
    run("fit", "--config", "smoke", "--data", tmp_path / "prepared", "--out", tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    run("align", "--checkpoint", checkpoint, "--data", tmp_path / "prepared", "--out", tmp_path / "aligned")
    more = ["--blanks"] if blanks == "exported" else []
    options = ["--preset", "vits", "--check-tokens", tmp_path / "tokens", "--strict", *more]
    run("export", tmp_path / "aligned", "--format", "npy", *options, "--out", tmp_path / "o")
    for utterance in utterances:
        durations = np.load(tmp_path / "o" / "durations" / f"{utterance.id}.npy")
        assert len(durations) == len(expected[utterance.id])
        assert durations.min() >= 1
        assert durations.sum() == round(utterance.duration_s * 22050) // 256
        if blanks == "exported":  # where the tokens are is what the tiny corpus was built from
            starts_s = np.cumsum(durations)[:-2:2] * 256 / 22050
            known_s = np.array([token.start_s for token in utterance.reference.tokens])
            assert np.median(np.abs(starts_s - known_s)) < 0.03


@pytest.mark.parametrize("format", ["matcha", "stylish"])
def test_a_format_of_a_programs_own_tokens_says_so(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    assert run(aligned, "--format", format, "--out", tmp_path / "o") == 0
    assert f"{format}: it wants a duration for each" in capsys.readouterr().err
