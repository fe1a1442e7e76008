"""K9, K5: good texts are not refused over their writing, nor is one bad text more than itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from prepared_texts import prepare

from aligner.aligner import Aligner
from aligner.errors import AlignerError
from aligner.text.phonemizer import load_phonemizer


def test_texts_of_the_reports_are_read(tmp_path: Path) -> None:
    cases = {
        "The end.Then he left.": "The end Then he left",
        "customer,welcome": "customer welcome",
        "\u200bHello world": "Hello world",
        "An MP3 of 5kg.": "An MP three of five kilograms",
        "in the 1990s": "in the nineteen nineties",
        "$5M": "five million dollars",
        "No. 7": "Number seven",
        "St. Paul": "Saint Paul",
        "Room 3E40 is on the third floor.": "Room three E forty is on the third floor",
        "9" * 32: " ".join(["nine"] * 32),
        "Well [laughter] I did.": "Well I did",
        "He said <unk> to me.": "He said to me",
        "naïve café, Dvořák and Ångström": "naïve café Dvořák and Ångström",
    }
    words, refused = prepare(tmp_path, list(cases))
    assert not refused
    assert [" ".join(own) for own in words.values()] == list(cases.values())


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("hi", ["नमस्ते दुनिया", "हिंदी में,लिखा है।"]),
        ("zh", ["你好，世界。今天天气很好！", "我们去（公园）玩"]),
        ("ar", ["مرحبا بالعالم، كيف حالك؟", "السَّلامُ عَلَيْكُم"]),
        ("ru", ["Привет,мир!Как дела?", "в 1984 году"]),
        ("cs", ["Příliš žluťoučký kůň.Úpěl.", "č. 7"]),
        ("fr", ["L’été,c’est «beau».", "5 kg à 20 °C"]),
        ("th", ["สวัสดีชาวโลก ฉันรักคุณ"]),
        ("ta", ["வணக்கம் உலகம்"]),
        ("vi", ["Tiếng Việt rất đẹp".encode().decode()]),
        ("he", ["שָׁלוֹם, עולם"]),
    ],
)
def test_every_script_goes_through_characters(tmp_path: Path, language: str, texts: list[str]) -> None:
    words, refused = prepare(tmp_path, texts, "--phonemizer", "characters", "--language", language)
    assert not refused
    assert len(words) == len(texts)


def test_a_refused_text_shows_what_cannot_be_seen_and_costs_only_itself(tmp_path: Path) -> None:
    words, refused = prepare(tmp_path, ["good text", "ba\x01d", "x\ufffdy", "\u200b\ufeff", "1,5 left"])
    assert list(words) == ["u0"]
    assert "U+0001 START OF HEADING at character 3" in refused["u1"]
    assert "U+FFFD REPLACEMENT CHARACTER" in refused["u2"]
    assert "U+200B ZERO WIDTH SPACE" in refused["u3"]
    assert "one number or several" in refused["u4"]


def test_numbers_without_a_language_are_refused_with_what_to_say(tmp_path: Path) -> None:
    _, refused = prepare(tmp_path, ["room 9", "room nine"], "--phonemizer", "characters")
    assert "--language" in refused["u0"]


def test_what_a_library_raises_is_one_utterance_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aligner.text.gruut import GruutPronouncer

    def guess(self: GruutPronouncer, word: str) -> None:
        raise ArithmeticError("InvalidOperation")

    monkeypatch.setattr(GruutPronouncer, "guess", guess)
    words, refused = prepare(tmp_path, ["good text", "Sweynheim wrote"])
    assert list(words) == ["u0"]
    assert "gruut cannot read it (ArithmeticError: InvalidOperation)" in refused["u1"]


def test_align_names_the_utterance_whose_text_cannot_be_read(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligner = Aligner.load(checkpoint)
    soundfile.write(tmp_path / "one.wav", np.zeros(16000, np.float32), 16000)
    with pytest.raises(AlignerError, match="^one: .*1,5"):
        aligner.align(tmp_path / "one.wav", "ate 1,5")
    broken = load_phonemizer("characters", "en-us")
    monkeypatch.setattr(broken, "_transcript", lambda text: 1 / 0)
    monkeypatch.setattr(aligner, "phonemizer", lambda: broken)
    aligner = Aligner.load(checkpoint)
    monkeypatch.setattr(aligner, "phonemizer", lambda: broken)
    with pytest.raises(AlignerError, match="^one: .*ZeroDivisionError"):
        aligner.align(tmp_path / "one.wav", "ate")


def test_show_prints_text_words_and_phones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path, ["No. 7", "two", "three"], "--show", "1", "--json")
    printed = capsys.readouterr().out
    assert "No. 7" in printed
    assert "Number seven" in printed
    assert "n ʌ m b ɚ | s ɛ v ə n" in printed
    assert json.loads(printed.splitlines()[-1])["utterances"] == 3


def test_show_prints_the_other_readings_that_the_audio_decides_between(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path, ["The AIDS clinic is near", "two", "three"], "--show", "1", "--json")
    shown = " ".join(capsys.readouterr().out.split())
    assert "or, as heard" in shown
    assert "AIDS [" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10 000 men", "ten thousand men"),
        ("1 250 000 men", "one million two hundred and fifty thousand men"),
        ("in 1990 100 men", "in nineteen ninety one hundred men"),
        ("call 55 123", "call fifty five one hundred and twenty three"),
    ],
)
def test_thousands_with_spaces_in_english(text: str, words: str) -> None:
    transcript = load_phonemizer("gruut", "en-us")(text)
    assert " ".join(word.text for word in transcript.words) == words
