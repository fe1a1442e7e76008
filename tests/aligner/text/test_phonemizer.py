"""Choosing a phonemizer; letters and the user's own symbols as tokens."""

import pytest
from phonemized import words

from aligner.errors import AlignerError
from aligner.text.phonemizer import load_phonemizer
from aligner.text.transcript import Transcript


@pytest.mark.parametrize("text", ["", "   ", "...", "—?!", "«»"])
@pytest.mark.parametrize("name", ["gruut", "characters"])
def test_nothing_to_speak_is_refused(name: str, text: str) -> None:
    with pytest.raises(AlignerError, match="nothing to speak"):
        load_phonemizer(name)(text)


def test_characters_are_letters() -> None:
    transcript = load_phonemizer("characters")("John's Café!")
    assert transcript.words[0].variants == (("j", "o", "h", "n", "'", "s"),)
    assert transcript.words[1].variants == (("c", "a", "f", "é"),)
    assert transcript.breaks == ("", "", "!")
    with pytest.raises(AlignerError, match="no letter"):
        load_phonemizer("characters")("room 9")


def test_tokens_are_used_as_they_are() -> None:
    transcript = load_phonemizer("tokens", pause_symbols=["sp"], blank_symbols=["_"])(
        "_ HH _ AY1 _ sp B _ AA1 B _"
    )
    tokens = transcript.tokens()
    assert tokens.symbols == ("_", "HH", "_", "AY1", "_", "sp", "B", "_", "AA1", "B", "_")
    assert tokens.words == (-1, 0, -1, 0, -1, -1, 1, -1, 1, 1, -1)
    assert not any(tokens.skippable)
    assert words(transcript) == ["HHAY1", "BAA1B"]


def test_token_words_can_be_marked_with_bars() -> None:
    transcript = load_phonemizer("tokens")("| h aɪ | b ɑ b |")
    spoken = [
        s
        for s, skip in zip(transcript.tokens().symbols, transcript.tokens().skippable, strict=True)
        if not skip
    ]
    assert spoken == ["h", "aɪ", "b", "ɑ", "b"]
    assert transcript.tokens().words == (-1, 0, 0, -1, 1, 1, 1, -1)
    assert len(transcript.breaks) == 3


@pytest.mark.parametrize(
    ("text", "with_ours"),
    [
        ("a b c", "+ a b c +"),
        ("a b | c", "+ a b + c +"),
        ("| a | | b |", "+ a + b +"),
        ("sp a | b sp", "sp a + b sp"),
        ("a sp b", "+ a sp b +"),
        ("a | sp | b", "+ a sp b +"),
        ("a sp | b", "+ a sp b +"),
        ("_ a _ | _ b _", "_ a _ _ b _"),
        ("_ a | b _", "_ a + b _"),
        ("a _ b", "+ a _ b +"),
        ("sil a h#", "sil a h#"),  # pauses by their names, although nobody said so
        ("a | , | b .", "+ a , b ."),
        ("a", "+ a +"),
        ("a | sil", "+ a sil"),
        ("@ { | &", "+ @ { + & +"),  # X-SAMPA's vowels
    ],
)
def test_pauses_are_added_at_the_ends_and_between_words_but_not_beside_theirs(
    text: str, with_ours: str
) -> None:
    reader = load_phonemizer("tokens", pause_symbols=["sp"], blank_symbols=["_"])
    tokens = reader(text).tokens()
    shown = ["+" if skip else s for s, skip in zip(tokens.symbols, tokens.skippable, strict=True)]
    assert " ".join(shown) == with_ours
    assert all(
        s == "sil" and w == -1
        for s, w, k in zip(tokens.symbols, tokens.words, tokens.skippable, strict=True)
        if k
    )
    assert tokens.least_frames == len([s for s in text.split() if s != "|"])
    assert Transcript.from_dict(reader(text).to_dict()) == reader(text)


@pytest.mark.parametrize("text", ["", "|", "sp sp"])
def test_tokens_without_a_spoken_symbol_are_refused(text: str) -> None:
    with pytest.raises(AlignerError, match="no tokens"):
        load_phonemizer("tokens", pause_symbols=["sp"])(text)


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(AlignerError, match="gruut, cmudict, espeak"):
        load_phonemizer("festival")
    with pytest.raises(AlignerError, match="espeak or characters"):
        load_phonemizer("gruut", "xx")
