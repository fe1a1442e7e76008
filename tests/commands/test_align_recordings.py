"""`aligner align` of recordings that are not prepared: as prepared and then aligned, in the same words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligner.aligner import Aligner
from aligner.cli import main
from aligner.corpus.prepared import load_info, load_utterances
from aligner.formats import MANIFEST, read

READING = ["--phonemizer", "characters", "--language", "en-us"]  # the tiny corpus', and so the checkpoint's


@pytest.fixture
def recordings(tiny_corpus: Path, tmp_path: Path) -> Path:
    """A folder of six recordings of the tiny corpus, each with its text beside it."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for utterance in load_utterances(tiny_corpus)[:6]:
        shutil.copy(str(utterance.audio), folder)
        (folder / f"{utterance.id}.txt").write_text(utterance.text)
    return folder


@pytest.fixture
def faulty(recordings: Path) -> Path:
    """The same with five that cannot be used."""
    samples, rate_hz = soundfile.read(recordings / "u00.wav")
    for name, text in {
        "mute": "tea",
        "number": "tea 1,5",
        "letters": "tea box",
        "none": "",
        "long": "tea " * 99,
    }.items():
        soundfile.write(recordings / f"{name}.wav", samples * (name != "mute"), rate_hz)
        (recordings / f"{name}.txt").write_text(text)
    (recordings / "torn.wav").write_bytes(b"RIFF")
    (recordings / "torn.txt").write_text("tea")
    return recordings


def align(checkpoint: Path, out: Path, *words: object) -> int:
    arguments = [*words, "--checkpoint", checkpoint, "--out", out, "--device", "cpu"]
    return main([str(word) for word in ["align", *arguments]])


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def times(out: Path) -> dict[str, list[tuple[str, float]]]:
    return {own.id: [(t.symbol, t.start_s) for t in own.tokens] for own in read(out)}


def test_it_is_as_if_they_had_been_prepared(
    faulty: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared, twice, once = tmp_path / "prepared", tmp_path / "twice", tmp_path / "once"
    vocabulary = ["--vocabulary", str(checkpoint)]
    assert main(["prepare", str(faulty), *READING, *vocabulary, "--out", str(prepared)]) == 0
    assert align(checkpoint, twice, "--data", prepared) == 0
    capsys.readouterr()
    assert align(checkpoint, once, faulty, "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (once / MANIFEST).read_bytes() == (twice / MANIFEST).read_bytes()
    for name in (
        "cuts.jsonl.gz",
        "refused.tsv",
        "references-refused.tsv",
        "out-of-lexicon.tsv",
        "suspects.tsv",
    ):
        assert (once / "recordings" / name).read_bytes() == (prepared / name).read_bytes()
    assert load_info(once / "recordings").reading.agrees(load_info(prepared).reading)
    refused = rows(prepared / "refused.tsv")
    assert {row[0] for row in refused} == {"mute", "number", "letters", "none", "long", "torn"}
    assert rows(once / "failed.tsv") == [[id, f"{why}: {detail}"] for id, why, detail, _ in sorted(refused)]
    assert (summary["utterances"], summary["aligned"], summary["failed"]) == (12, 6, 6)


def test_one_file_several_a_list_and_a_folder_are_aligned_alike(
    recordings: Path, checkpoint: Path, tmp_path: Path
) -> None:
    assert align(checkpoint, tmp_path / "folder", recordings) == 0
    sounds = sorted(recordings.glob("*.wav"))
    assert align(checkpoint, tmp_path / "files", *sounds) == 0
    assert align(checkpoint, tmp_path / "file", sounds[0]) == 0
    assert align(checkpoint, tmp_path / "all", *sorted(recordings.iterdir())) == 0  # as `recordings/*`
    lines = [f"{sound.name}|{sound.with_suffix('.txt').read_text()}\n" for sound in sounds]
    (recordings / "list.txt").write_text("".join(lines))
    assert align(checkpoint, tmp_path / "list", recordings / "list.txt") == 0
    found = times(tmp_path / "folder")
    assert len(found) == 6
    assert times(tmp_path / "files") == times(tmp_path / "all") == times(tmp_path / "list") == found
    assert times(tmp_path / "file") == {"u00": found["u00"]}


def test_of_several_files_those_without_text_cost_only_themselves(
    recordings: Path, checkpoint: Path, tmp_path: Path
) -> None:
    sounds = sorted(recordings.glob("*.wav"))
    sounds[0].with_suffix(".txt").unlink()
    assert align(checkpoint, tmp_path / "out", *sounds) == 0
    assert set(times(tmp_path / "out")) == {sound.stem for sound in sounds[1:]}
    ((id, why),) = rows(tmp_path / "out" / "failed.tsv")
    assert (id, why) == ("u00", "not readable as listed: no .txt or .lab beside it")


def test_a_run_again_ends_with_the_same_bytes_and_other_recordings_are_refused(
    recordings: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert align(checkpoint, out, recordings) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert align(checkpoint, out, recordings, "--format", "textgrid") == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    (recordings / "u01.txt").write_text("tea")
    assert align(checkpoint, out, recordings) == 1
    assert "holds alignments of other recordings or texts; choose another folder" in capsys.readouterr().err
    assert all(path.read_bytes() == content for path, content in before.items())


def test_the_texts_can_have_a_lexicon_of_their_own(
    recordings: Path, checkpoint: Path, tmp_path: Path
) -> None:
    lexicon = tmp_path / "own.tsv"
    lexicon.write_text("tea\te t a\n")
    (recordings / "u00.txt").write_text("tea same")
    assert align(checkpoint, tmp_path / "out", recordings / "u00.wav", "--lexicon", lexicon) == 0
    (symbols,) = ([t.symbol for t in own.tokens if t.word == 0] for own in read(tmp_path / "out"))
    assert symbols == ["e", "t", "a"]


def test_the_words_of_a_checkpoint_s_lexicon_stay_known(
    recordings: Path, checkpoint: Path, tmp_path: Path
) -> None:
    aligner = Aligner.load(checkpoint)
    aligner._plain_settings["text"] = {
        "phonemizer": "lexicon",
        "language": "und",
        "options": {"lexicon": ["tea\tt e a", "same\ts a m e"], "capitals": "words"},
    }
    aligner.save(tmp_path / "lexicon.ckpt")
    (recordings / "u00.txt").write_text("tea same")
    (tmp_path / "own.tsv").write_text("tea\te t a\n")
    words = [recordings / "u00.wav", "--lexicon", tmp_path / "own.tsv"]
    assert align(tmp_path / "lexicon.ckpt", tmp_path / "out", *words) == 0
    (own,) = read(tmp_path / "out")
    assert [t.symbol for t in own.tokens if t.word >= 0] == ["e", "t", "a", "s", "a", "m", "e"]
    assert load_info(tmp_path / "out" / "recordings").options["lexicon"] == ["tea\te t a", "same\ts a m e"]


@pytest.mark.parametrize(
    ("words", "status", "what"),
    [
        ([], 2, "say what to align: RECORDINGS, or --data"),
        (["FOLDER", "--data", "FOLDER"], 2, "cannot combine RECORDINGS with --data"),
        (["--data", "FOLDER", "--columns", "wav,text"], 2, "--columns is about RECORDINGS"),
        (["--data", "FOLDER", "--lexicon", "x"], 2, "--lexicon is about RECORDINGS"),
        (["FOLDER", "--shard", "1/2"], 2, "--shard needs --data"),
        (["nowhere.wav"], 1, "nowhere.wav: no such file or folder"),
        (["FOLDER/u00.wav", "nowhere.wav"], 1, "nowhere.wav: no such file or folder"),
        (["FOLDER/lonely.wav"], 1, "no .txt or .lab beside it; write what is said to lonely.txt"),
        (["FOLDER/u00.wav", "--columns", "wav,text"], 1, "is no list that has columns"),
        (["FOLDER", "--lexicon", "nowhere"], 1, "--lexicon nowhere"),
        (["FOLDER/u00.txt"], 1, "u00.txt"),
        (["FOLDER", "--format", "npy"], 1, "say --hop"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_leaves_nothing(
    words: list[str],
    status: int,
    what: str,
    recordings: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    soundfile.write(recordings / "lonely.wav", np.ones(9), 16000)
    assert (
        align(checkpoint, tmp_path / "out", *(w.replace("FOLDER", str(recordings)) for w in words)) == status
    )
    error = capsys.readouterr().err
    assert what in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_alignments_do_not_go_among_the_recordings(
    recordings: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert align(checkpoint, recordings, recordings) == 1
    assert "holds the recordings: name another folder" in capsys.readouterr().err


def test_where_none_can_be_used_the_reasons_are_left(
    recordings: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in recordings.glob("*.txt"):
        text.write_text("box")
    assert align(checkpoint, tmp_path / "out", recordings) == 1
    listing = tmp_path / "out" / "recordings" / "refused.tsv"
    said = f"no utterance is left (u00: not in the vocabulary: b o x): see {listing}"
    assert said in capsys.readouterr().err
    assert len(rows(listing)) == 6


def test_with_strict_a_refused_one_is_an_error(
    faulty: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert align(checkpoint, tmp_path / "out", faulty, "--strict") == 1
    assert "6 of 12 utterances not aligned: see" in capsys.readouterr().err
    assert len(times(tmp_path / "out")) == 6


def test_a_checkpoint_that_does_not_say_how_it_reads_needs_a_prepared_corpus(
    recordings: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aligner = Aligner.load(checkpoint)
    aligner._plain_settings["text"] = None
    aligner.save(tmp_path / "silent.ckpt")
    assert align(tmp_path / "silent.ckpt", tmp_path / "out", recordings) == 1
    assert "does not say how its texts were read: prepare the recordings" in capsys.readouterr().err
