"""The user's own lexicon, in MFA's format."""

import math
import re
from pathlib import Path

import pytest
from phonemized import variants

from aligner.errors import AlignerError
from aligner.text.lexicon import parse_lexicon, read_lexicon
from aligner.text.phonemizer import load_phonemizer
from aligner.text.transcript import Transcript

MFA = """\
tomato\t0.7\tt ə m eɪ ɾ oʊ
tomato\t0.2\t0.1\t1.5\t0.8\tt ə m ɑ t oʊ
café\tk æ f eɪ
don’t\td oʊ n
"""


def test_mfas_format_is_read_with_its_probabilities() -> None:
    lexicon = parse_lexicon(MFA.splitlines())
    tomato, priors = lexicon.lookup("Tomato")
    assert tomato == (("t", "ə", "m", "eɪ", "ɾ", "oʊ"), ("t", "ə", "m", "ɑ", "t", "oʊ"))
    assert priors == pytest.approx((math.log(0.7), math.log(0.2)))
    assert lexicon.lookup("CAFE\u0301") == ((("k", "æ", "f", "eɪ"),), ())
    assert lexicon.lookup("don't")[0] == (("d", "oʊ", "n"),)
    assert lexicon.lookup("potato") == ((), ())
    assert "tomato" in lexicon
    assert len(lexicon) == 3


def test_the_likelier_pronunciation_is_first_and_one_without_probability_as_likely() -> None:
    lexicon = parse_lexicon(["a\t0.1\tx", "a\t0.9\ty", "a\tz", "b\t0\tq"])
    assert lexicon.lookup("a")[0] == (("y",), ("z",), ("x",))
    assert lexicon.lookup("a")[1] == pytest.approx([math.log(p) for p in (0.9, 0.9, 0.1)])
    assert lexicon.lookup("b")[1] == (math.log(0.01),)


def test_cmudicts_own_form_is_read() -> None:
    lexicon = parse_lexicon(
        [";;; comment", "READ  R EH1 D", "READ(1)  R IY1 D", "a 0.6 AH0", "b B # a letter"]
    )
    assert lexicon.lookup("read")[0] == (("R", "EH1", "D"), ("R", "IY1", "D"))
    assert lexicon.lookup("a")[1] == (math.log(0.6),)
    assert lexicon.lookup("b")[0] == (("B",),)


def test_a_spelling_in_the_same_capitals_goes_first() -> None:
    lexicon = parse_lexicon(["US\tj u ɛ s", "us\tʌ s"])
    assert [lexicon.lookup(word)[0][0] for word in ("US", "us")] == [("j", "u", "ɛ", "s"), ("ʌ", "s")]
    assert len(lexicon.lookup("Us")[0]) == 2


def test_lines_of_a_lexicon_make_it_again() -> None:
    lexicon = parse_lexicon(MFA.splitlines())
    again = parse_lexicon(lexicon.lines())
    assert again.entries == lexicon.entries


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("word", "l.dict:2: no phones for 'word'"),
        ("word\t", "l.dict:2: no phones"),
        ("\tp h", "l.dict:2: no word"),
        ("word\t1.5\tp h", "l.dict:2: the probability of 'word' is 1.5"),
        ("word\tp\th", "l.dict:2: 'p' of 'word' is no probability"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "l.dict").write_text(f"good\tɡ ʊ d\n{line}\n", encoding="utf-8")
    with pytest.raises(AlignerError, match=message):
        read_lexicon([tmp_path / "l.dict"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("she\t0.5 ʃ i", "'0.5' of 'she' is no phone: after a probability comes a tab"),
        ("she\tʃ 0,5 i", "'0,5' of 'she' is no phone"),
        ("she\tʃ,i", "separated by spaces, not commas"),
        ("she\tʃ, i", "separated by spaces, not commas"),
        ("she,ʃ i", "has a ',' in it: word and phones are separated by a tab"),
        ("she;ʃ i", "has a ';' in it"),
        ("she|ʃ i", "has a '|' in it"),
        ("# she is a word", "seems to be a comment"),
        ("#she is a word", "seems to be a comment"),
    ],
)
def test_lines_that_look_like_other_entries_than_are_meant(line: str, message: str) -> None:
    with pytest.raises(AlignerError, match=f"^own.dict:2: .*{re.escape(message)}"):
        parse_lexicon(["had\th æ d", line], "own.dict")


@pytest.mark.parametrize(
    ("line", "word", "phones"),
    [
        ("1,000\tw ʌ n", "1,000", "w ʌ n"),
        ("1,000 w ʌ n", "1,000", "w ʌ n"),
        ("#\th æ ʃ", "#", "h æ ʃ"),
        ("#HASH-MARK  HH AE1 M", "#HASH-MARK", "HH AE1 M"),
        (",COMMA  K AA1", ",COMMA", "K AA1"),
        ("deux\td 2", "deux", "d 2"),
        ("she 0.5 ʃ i", "she", "ʃ i"),
    ],
)
def test_odd_words_and_phones_that_are_meant(line: str, word: str, phones: str) -> None:
    assert parse_lexicon([line]).lookup(word)[0] == (tuple(phones.split()),)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.dict").write_bytes("a\tb\ncafé\tk\n".encode("latin-1"))
    (tmp_path / "empty.dict").write_text("\n")  # as out-of-lexicon.tsv is where nothing was guessed
    with pytest.raises(AlignerError, match=r"latin.dict:2: not UTF-8"):
        read_lexicon([tmp_path / "latin.dict"])
    assert len(read_lexicon([tmp_path / "empty.dict"])) == 0
    with pytest.raises(AlignerError, match="missing.dict: No such file"):
        read_lexicon([tmp_path / "missing.dict"])


def test_several_files_add_up(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("word\tx\n")
    (tmp_path / "b").write_text("word\ty\nother\tz\n")
    assert read_lexicon([tmp_path / "a", tmp_path / "b"]).lookup("word")[0] == (("x",), ("y",))


def test_the_own_lexicon_goes_before_every_other() -> None:
    lines = ["hello\t0.5\tx y", "5kg\tf k", "us\tv s"]
    gruut = load_phonemizer("gruut", lexicon=lines)
    assert variants(gruut, "Hello") == {"x y"}
    assert variants(gruut, "5kg") == {"f k"}
    assert variants(gruut, "US") == {"v s"}
    assert variants(gruut, "world") == variants(load_phonemizer("gruut"), "world")
    transcript = gruut("Hello world")
    assert transcript.words[0].log_priors == (math.log(0.5),)
    assert Transcript.from_dict(transcript.to_dict()) == transcript


def test_a_phonemizer_of_the_lexicon_alone_refuses_other_words() -> None:
    own = load_phonemizer("lexicon", lexicon=["hello\tx y", "a\te", "b\tb i"])
    assert [word.variants for word in own("Hello, a!").words] == [(("x", "y"),), (("e",),)]
    with pytest.raises(AlignerError, match="'world' is not in the lexicon"):
        own("Hello world")
    with pytest.raises(AlignerError, match="--lexicon"):
        load_phonemizer("lexicon")
