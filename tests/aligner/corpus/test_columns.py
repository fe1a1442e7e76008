"""Columns of a list, from what the person says, from a header, from the values."""

import pytest

from aligner.corpus.readers.columns import FILE_LIST, METADATA, guess_columns, parse_columns
from aligner.corpus.readers.header import header_columns
from aligner.errors import AlignerError

SENTENCES = (
    "It is late.",
    "Where are you now?",
    "Nobody said it.",
    "Two dogs ran.",
    "He came home.",
    "So it is.",
)


def guessed(*columns: list[str] | tuple[str, ...], usual: str = FILE_LIST) -> str:
    rows = list(zip(*columns, strict=True))
    return str(guess_columns(rows, usual, lambda value: value.endswith(".wav")))


def sounds(count: int) -> list[str]:
    return [f"{n}.wav" for n in range(count)]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("path,sentence", "wav,text"),
        ("client_id,path,sentence,up_votes", "speaker,wav,text,ignore"),
        ("Audio_File,Text,Speaker_Name", "wav,text,speaker"),
        ("id,text,text", "id,text,ignore"),
        ("a.wav,hello", None),
        ("text,speaker", None),
    ],
)
def test_headers(header: str, names: str | None) -> None:
    found = header_columns(header.split(","))
    assert (found and str(found)) == names


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ((sounds(6), SENTENCES), "wav,text"),
        ((sounds(6), ["anna", "ben"] * 3, SENTENCES), "wav,speaker,text"),
        ((sounds(6), SENTENCES, ["anna", "ben"] * 3), "wav,text,speaker"),
        ((sounds(6), SENTENCES, ["1.25", "2,5", "3", "4.0", "1", "2"]), "wav,text,ignore"),
        ((sounds(6), SENTENCES, ["12000", "12001", "13000", "14000", "11000", "9000"]), "wav,text,ignore"),
        ((sounds(6), SENTENCES, [s.upper() for s in SENTENCES]), "wav,text,normalized"),
        ((sounds(6), ["en"] * 6, SENTENCES, ["anna"] * 6), "wav,language,text,speaker"),
        ((list("abcdef"), sounds(6), SENTENCES), "id,wav,text"),
        ((SENTENCES, sounds(6)), "text,wav"),
        ((sounds(6), ["yes", "no", "up", "down", "left", "go"], ["anna"] * 6), "wav,text,speaker"),
        (
            (sounds(6), ["你好世界", "今天天气很好", "他来了", "我们走吧", "好的", "再见"], ["小明"] * 6),
            "wav,text,speaker",
        ),
        ((sounds(1), ["hello"], ["anna"]), "wav,speaker,text"),  # as usual, where nothing tells
    ],
)
def test_values(columns: tuple[list[str], ...], names: str) -> None:
    assert guessed(*columns) == names


def test_the_usual_order_of_metadata() -> None:
    assert (
        guessed(["1", "2"], ["5 dogs", "a cat"], ["five dogs", "a cat"], usual=METADATA)
        == "id,text,normalized"
    )
    assert guessed(list("abcdef"), SENTENCES, ["anna"] * 6, usual=METADATA) == "id,text,speaker"


def test_two_columns_of_sentences_are_a_doubt() -> None:
    others = ("Es ist spät.", "Wo bist du?", "Keiner sprach.", "Hunde liefen.", "Er kam.", "So ist es.")
    found = guess_columns(
        list(zip(sounds(6), SENTENCES, others, strict=True)), FILE_LIST, lambda v: v.endswith("wav")
    )
    assert found.doubts


def test_no_text_is_an_error() -> None:
    with pytest.raises(AlignerError, match="looks like a text"):
        guessed(sounds(6), ["0"] * 6, ["1.5"] * 6)


def test_what_the_person_says() -> None:
    assert parse_columns("wav, Text|speaker") == ("wav", "text", "speaker")
    for wrong in ("", "wav", "wav,text,text", "wav,text,x", "text,speaker"):
        with pytest.raises(AlignerError, match="--columns"):
            parse_columns(wrong)
