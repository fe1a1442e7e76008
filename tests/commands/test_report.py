"""`aligner report`: which utterances, with which sound, beside what; and what it refuses."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from made_alignments import example

from aligner.alignment import Alignment
from aligner.cli import main
from aligner.corpus.prepared import load_utterances
from aligner.formats import export, write_alignments


@pytest.fixture(scope="module")
def manifest(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exact times of the corpus, with scores that fall from one utterance to the next."""
    path = tmp_path_factory.mktemp("aligned") / "alignments.jsonl.gz"
    scored = [replace(own, score=1 - 0.01 * n) for n, own in enumerate(references(tiny_corpus))]
    write_alignments(path, scored)
    return path


def references(corpus: Path) -> list[Alignment]:
    return [u.reference for u in load_utterances(corpus) if u.reference is not None]


def report(*arguments: object) -> int:
    return main([str(word) for word in ["report", *arguments]])


def index(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "index.js").read_text().removeprefix("Report.index(")[:-3])
    return found


def ids(out: Path) -> list[str]:
    return [row[0] for row in index(out)["rows"]]


def utterance(out: Path, number: int) -> dict[str, Any]:
    text = (out / "data" / f"{number}.js").read_text()
    found: dict[str, Any] = json.loads(text.removeprefix(f"Report.receive({number}, ")[:-3])
    return found


def shifted(alignment: Alignment, by_s: float) -> Alignment:
    """All inner boundaries later."""
    edges_s = [t.start_s + by_s * (t.start_s > 0) for t in alignment.tokens]
    return Alignment.from_boundaries(
        alignment.id, [t.symbol for t in alignment.tokens], [t.word for t in alignment.tokens],
        [w.symbol for w in alignment.words], [*edges_s, alignment.duration_s], alignment.duration_s,
    )  # fmt: skip


def test_everything_is_shown_with_its_sound(tiny_corpus: Path, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert report(manifest, "--audio", tiny_corpus, "--out", out) == 0
    utterances = load_utterances(tiny_corpus)
    assert ids(out) == [u.id for u in utterances]
    for number, own in list(enumerate(utterances))[:3]:
        sound = utterance(out, number)["sound"]
        heard, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(sound["flac"])), dtype="float32")
        written, _ = soundfile.read(own.audio, dtype="float32")
        assert rate_hz == sound["rate_hz"] == own.audio_rate_hz
        assert heard == pytest.approx(written, abs=1e-4)
        peaks = np.frombuffer(base64.b64decode(sound["peaks"]), np.int8)
        assert len(peaks) == 2 * round(own.duration_s * 500)
        assert np.abs(peaks).max() == 127
        assert sound["strips"][0]["start_s"] == pytest.approx(-0.0025)
        assert sound["strips"][-1]["end_s"] == pytest.approx(own.duration_s, abs=0.0026)
    figures = index(out)["figures"]
    assert figures["utterances"] == len(utterances)
    assert sum(row[1] for row in figures["phone_lengths"]) == figures["phones"]
    assert figures["errors"] is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "3"], ["u00", "u01", "u02"]),
        (["--worst", "2"], ["u19", "u18"]),
        (["--worst", "5", "--limit", "1"], ["u19"]),
        (["--ids", "u07", "u03"], ["u03", "u07"]),
    ],
)
def test_which_utterances(
    tiny_corpus: Path, manifest: Path, tmp_path: Path, options: list[str], expected: list[str]
) -> None:
    out = tmp_path / "report"
    assert report(manifest, "--audio", tiny_corpus, "--out", out, *options) == 0
    assert ids(out) == expected
    assert index(out)["figures"]["utterances"] == 20
    assert sorted(path.name for path in (out / "data").iterdir()) == [f"{n}.js" for n in range(len(expected))]


def test_the_largest_errors_are_the_worst(tiny_corpus: Path, manifest: Path, tmp_path: Path) -> None:
    moves_s = {"u04": 0.03, "u11": 0.05}
    known = [shifted(own, moves_s.get(own.id, 0.001)) for own in references(tiny_corpus)[:18]]
    write_alignments(tmp_path / "reference.jsonl.gz", known)
    out = tmp_path / "report"
    options = ["--reference", tmp_path / "reference.jsonl.gz", "--worst", 2, "--out", out]
    assert report(manifest, "--audio", tiny_corpus, *options) == 0
    assert ids(out) == ["u11", "u04"]
    assert index(out)["rows"][0][5:7] == pytest.approx([50, 50], abs=0.1)
    assert index(out)["figures"]["errors"]["utterances"] == 18
    assert [t[0] for t in utterance(out, 0)["reference"]["tokens"]] == [
        t[0] for t in utterance(out, 0)["alignment"]["tokens"]
    ]


def test_the_most_different_utterances_of_two_runs_come_first(
    tiny_corpus: Path, manifest: Path, tmp_path: Path
) -> None:
    moves_s = {"u04": 0.02, "u11": 0.04}
    write_alignments(
        tmp_path / "other.jsonl.gz",
        [shifted(own, moves_s.get(own.id, 0.0)) for own in references(tiny_corpus)[1:]],
    )
    out = tmp_path / "report"
    options = ["--against", tmp_path / "other.jsonl.gz", "--out", out]
    assert report(manifest, "--audio", tiny_corpus, *options) == 0
    assert ids(out)[:2] == ["u11", "u04"]
    assert ids(out)[-1] == "u00"  # the other run has none
    assert index(out)["rows"][0][7:9] == pytest.approx([40, 40], abs=0.1)
    assert utterance(out, 0)["other"]["words"]
    assert utterance(out, 19)["other"] is None
    assert index(out)["figures"]["differences"]["utterances"] == 19


def test_what_was_refused_and_what_looks_wrong_is_said(
    tiny_corpus: Path, manifest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "aligned"
    folder.mkdir()
    (folder / "alignments.jsonl.gz").write_bytes(manifest.read_bytes())
    (folder / "failed.tsv").write_text('id\treason\nx\tno audio\ny\t"quotes\n')
    (folder / "suspects.tsv").write_text("id\twhat\nu03\tphone 'a' 2.0 s\n")
    out = tmp_path / "report"
    assert report(folder, "--audio", tiny_corpus, "--out", out, "--limit", 4) == 0
    assert index(out)["refused"] == {"count": 2, "listed": [["x", "no audio"], ["y", '"quotes']]}
    assert index(out)["rows"][3][9] == "phone 'a' 2.0 s"
    assert index(out)["suspicious"] == 1


def test_textgrids_find_their_sound_by_name(tiny_corpus: Path, tmp_path: Path) -> None:
    export(references(tiny_corpus)[:3], {"textgrid": tmp_path / "grids"})
    out = tmp_path / "report"
    assert report(tmp_path / "grids", "--audio", tiny_corpus / "audio", "--out", out) == 0
    assert all(utterance(out, number)["sound"] for number in range(3))


def test_two_sounds_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for speaker, length in (("anna", 8000), ("bert", 16000)):
        (tmp_path / "wavs" / speaker).mkdir(parents=True)
        soundfile.write(tmp_path / "wavs" / speaker / "a1.wav", np.zeros(length), 16000)
    made = [
        Alignment.from_boundaries(id, ["sil"], [-1], [], [0, length_s], length_s)
        for id, length_s in (("anna-a1", 0.5), ("bert/a1", 1.0), ("a1", 1.0))
    ]
    write_alignments(tmp_path / "a.jsonl.gz", made)
    out = tmp_path / "report"
    assert report(tmp_path / "a.jsonl.gz", "--audio", tmp_path / "wavs", "--out", out) == 0
    found = dict(zip(ids(out), (utterance(out, number) for number in range(3)), strict=True))
    assert found["anna-a1"]["sound"]
    assert found["bert/a1"]["sound"]
    assert found["a1"]["sound"] is None  # it may be either


def test_a_part_of_a_recording_is_heard_where_it_is(tmp_path: Path) -> None:
    """A manifest of cuts from a long stereo file."""
    samples = np.stack([np.linspace(-0.5, 0.5, 32000), np.full(32000, 0.25)], 1)
    soundfile.write(tmp_path / "chapter.wav", samples, 16000)
    cut = {
        "id": "part", "start": 0.5, "duration": 1.0, "channel": 0, "type": "MonoCut",
        "recording": {
            "id": "chapter",
            "sources": [{"type": "file", "channels": [0, 1], "source": str(tmp_path / "chapter.wav")}],
            "sampling_rate": 16000, "num_samples": 32000, "duration": 2.0, "channel_ids": [0, 1],
        },
        "supervisions": [{
            "id": "part", "recording_id": "chapter", "start": 0.0, "duration": 1.0, "text": "a",
            "alignment": {"word": [["a", 0.5, 1.0, None]], "phone": [["a", 0.5, 1.0, None]]},
        }],
    }  # fmt: skip
    (tmp_path / "a.jsonl").write_text(json.dumps(cut) + "\n")
    assert report(tmp_path / "a.jsonl", "--out", tmp_path / "report") == 0
    sound = utterance(tmp_path / "report", 0)["sound"]
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(sound["flac"])))
    assert heard == pytest.approx(samples[8000:24000, 0], abs=1e-4)


def test_a_recording_that_cannot_be_had_costs_only_the_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(1600), 16000)
    (tmp_path / "noise.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16000)
    made = [
        replace(example(n, id=str(name)), audio=str(tmp_path / name) if name else "")
        for n, name in enumerate(["missing.wav", "short.wav", "noise.wav", "nothing.wav", ""])
    ]
    write_alignments(tmp_path / "a.jsonl.gz", [replace(own, id=own.id or "none") for own in made])
    out = tmp_path / "report"
    assert report(tmp_path / "a.jsonl.gz", "--out", out) == 0
    assert len(ids(out)) == index(out)["silent"]["count"] == 5
    reasons = {id: utterance(out, number)["no_sound"] for number, id in enumerate(ids(out))}
    assert reasons["short.wav"].startswith("its recording is 0.10 s long, the alignment ")
    assert "name the corpus or the folder with --audio" in reasons["none"]
    assert capsys.readouterr().err.count("without sound: ") == 5


def test_a_silent_recording_and_a_very_short_one_are_drawn(tmp_path: Path) -> None:
    made = []
    for id, n_samples in (("silence", 16000), ("short", 40)):
        soundfile.write(tmp_path / f"{id}.wav", np.zeros(n_samples), 16000)
        length_s = n_samples / 16000
        made.append(Alignment.from_boundaries(id, ["sil"], [-1], [], [0, length_s], length_s))
    write_alignments(tmp_path / "a.jsonl.gz", made)
    out = tmp_path / "report"
    assert report(tmp_path / "a.jsonl.gz", "--audio", tmp_path, "--out", out) == 0
    assert all(utterance(out, number)["sound"] for number in range(2))


def test_a_report_is_written_anew_and_nothing_of_somebody_else(
    tiny_corpus: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    assert report(manifest, "--audio", tiny_corpus, "--limit", 4, "--out", out) == 0
    assert report(manifest, "--audio", tiny_corpus, "--limit", 2, "--out", out) == 0
    assert sorted(path.name for path in (out / "data").iterdir()) == ["0.js", "1.js"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert report(manifest, "--audio", tiny_corpus, "--out", tmp_path / "mine") == 1
    assert "holds something else, such as thesis.txt" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ids", "u00", "nobody"], "nobody: no such utterance in these alignments"),
        (["--audio", "nowhere"], "nowhere: no such folder"),
        (["--reference", "nowhere"], "nowhere"),
        (["--reference", "OTHER"], "nothing in it can be compared with"),
        (["--against", "OTHER"], "nothing in it can be compared with"),
        (["--tier", "words"], "--tier words: say words=NAME or phones=NAME"),
    ],
)
def test_wrong_arguments_are_one_line(
    manifest: Path, tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_alignments(tmp_path / "other.jsonl.gz", [example(id="somebody else's")])
    options = [str(tmp_path / "other.jsonl.gz") if word == "OTHER" else word for word in options]
    assert report(manifest, "--out", tmp_path / "report", *options) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "report").exists()
