"""Text cut at white space and punctuation."""

import pytest

from aligner.text.chunks import chunks, is_punctuation, split_words, strip_punctuation


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("two  words\n", ["two", "words"]),
        ("said—didn't", ["said", "—", "didn't"]),
        ("a--b", ["a", "--", "b"]),
        ("wait...", ["wait", "..."]),
        ("and/or 1/2", ["and", "/", "or", "1/2"]),
        (" ", []),
    ],
)
def test_what_stands_for_white_space_is_a_chunk_of_its_own(text: str, pieces: list[str]) -> None:
    assert chunks(text) == pieces


def test_a_chunk_is_its_word_and_the_punctuation_around() -> None:
    assert strip_punctuation("“don't!”") == ("“", "don't", "!”")
    assert is_punctuation("?!")
    assert not is_punctuation("&")  # it is read aloud


def test_breaks_are_one_more_than_words() -> None:
    assert split_words('He said, "no" — (and) left.') == (
        ["He", "said", "no", "and", "left"],
        ["", "", ',"', '"—(', ")", "."],
    )
    assert split_words("?!") == ([], ["?!"])
