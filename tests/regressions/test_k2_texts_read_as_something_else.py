"""K2, the texts: capitals, notes, settings that are ignored, and the user's own lexicon."""

import json
from pathlib import Path

import pytest
from prepared_texts import prepare

from aligner.cli import main
from aligner.corpus.prepared import load_info, load_utterances
from aligner.text.phonemizer import load_phonemizer


def test_a_corpus_in_capitals_is_words_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["MISTER QUILTER IS THE APOSTLE", "TELL US", "OF THE MIDDLE CLASSES"]
    prepare(tmp_path, texts)
    assert "read as words" in capsys.readouterr().out
    info = load_info(tmp_path / "out")
    assert info.options == {"capitals": "words"}
    quiet = load_phonemizer("gruut")
    for utterance in load_utterances(tmp_path / "out"):
        expected = [word.variants for word in quiet(utterance.text.lower()).words]
        assert [word.variants for word in utterance.transcript.words] == expected


def test_capitals_can_be_said_otherwise(tmp_path: Path) -> None:
    prepare(tmp_path, ["TELL US", "WHO IS IT THEN"], "--capitals", "either")
    assert load_info(tmp_path / "out").options == {"capitals": "either"}
    us = load_utterances(tmp_path / "out")[0].transcript.words[1]
    assert ("j", "u", "ɛ", "s") in us.variants


def test_notes_are_counted_and_spoken_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["Well [laughter] I (laughter) did.", "said <unk>", "the type (which was Gothic)"]
    words, _ = prepare(tmp_path, texts)
    assert words == {
        "u0": ["Well", "I", "did"],
        "u1": ["said"],
        "u2": ["the", "type", "which", "was", "Gothic"],
    }
    assert "3 notes in 2 utterances" in capsys.readouterr().out


def test_notes_are_spoken_if_asked(tmp_path: Path) -> None:
    words, _ = prepare(tmp_path, ["Well [laughter] I *did*"], "--notes", "speak")
    assert words["u0"] == ["Well", "laughter", "I", "did"]


@pytest.mark.parametrize(
    "options",
    [
        ["--blank-symbols", "_"],
        ["--phonemizer", "characters", "--keep-stress"],
        ["--phones-from-reference", "--keep-stress"],
        ["--phonemizer", "tokens", "--notes", "speak"],
    ],
)
def test_settings_that_would_be_ignored_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    (tmp_path / "list.txt").write_text("a.wav|hello\n")
    assert main(["prepare", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out"), *options]) != 0
    assert "means nothing" in capsys.readouterr().err


def test_out_of_lexicon_edited_is_a_lexicon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path, ["Sweynheim and Quilpy", "Quilpy"])
    listed = tmp_path / "out" / "out-of-lexicon.tsv"
    lines = listed.read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["Quilpy", "Sweynheim"]
    (tmp_path / "own.dict").write_text(f"{lines[0]}\nSweynheim\t0.9\tX Y\nunused\ta\n", encoding="utf-8")
    again = tmp_path / "again"
    capsys.readouterr()
    arguments = [str(tmp_path), "--out", str(again), "--lexicon", str(tmp_path / "own.dict"), "--json"]
    assert main(["prepare", *arguments]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed.splitlines()[-1])["out_of_lexicon"] == 0
    assert "2 of its 3 words" in printed
    assert "phones that the phonemizer does not have: X 1, Y 1" in " ".join(printed.replace("│", " ").split())
    first = load_utterances(again)[0].transcript.words
    assert first[0].variants == (("X", "Y"),)
    assert first[2].variants == load_utterances(tmp_path / "out")[0].transcript.words[2].variants
    info = load_info(again)
    same = load_phonemizer(info.phonemizer, info.language, **info.options)
    assert same("Sweynheim").words[0] == first[0]


def test_an_error_in_a_lexicon_names_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.dict").write_text("good\tɡ\nbad\n", encoding="utf-8")
    (tmp_path / "list.txt").write_text("a.wav|hello\n")
    options = ["--out", str(tmp_path / "out"), "--lexicon", str(tmp_path / "bad.dict")]
    assert main(["prepare", str(tmp_path / "list.txt"), *options]) == 1
    assert "bad.dict:2: no phones for 'bad'" in capsys.readouterr().err


def test_sentences_that_are_said_to_be_tokens_are_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["Please call Stella.", "Ask her to bring these things."]
    prepare(tmp_path, texts, "--phonemizer", "tokens")
    assert "look like sentences" in capsys.readouterr().err
    assert (
        main(["prepare", str(tmp_path), "--out", str(tmp_path / "s"), "--phonemizer", "tokens", "--strict"])
        == 1
    )
