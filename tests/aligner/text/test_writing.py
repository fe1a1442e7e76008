"""The characters of texts: one form for each, none that cannot be seen."""

import pytest

from aligner.errors import AlignerError
from aligner.text.writing import clean, describe, unseen


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("nai\u0308ve cafe\u0301", "naïve café"),  # NFC
        ("\u200bHello\u200b wor\u200bld", "Hello world"),
        ("\ufeffa\u00adb c\u00a0d\u202fe\u2009f", "ab c d e f"),
        ("\u202eabc\u202c \u2066d\u2069", "abc d"),
        ("ﬁne ＡＢＣ！", "fine ABC!"),
        ("x\u2011ray \u22125", "x-ray -5"),
        ("Q&amp;A &#39;tis &nbsp;so", "Q&A 'tis so"),
        ("١٩٨٤ ५", "1984 5"),
        ("5㎏ 20℃", "5kg 20°C"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # it shows how the letters join
        ("क्\u200dष", "क्\u200dष"),
        ("ก\u200bข", "ก ข"),  # where words have no spaces, it is one
        ("مـــرحبا", "مرحبا"),
        ("a\tb\r\nc\u2028d", "a b c d"),
        ("1️⃣", "1\u20e3"),
    ],
)
def test_characters_become_what_is_meant(written: str, meant: str) -> None:
    assert clean(written) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab\x00c", "U\\+0000 NULL at character 3"),
        ("a\x1bb", "U\\+001B ESCAPE at character 2"),
        ("x\ufffdy", "U\\+FFFD REPLACEMENT CHARACTER"),
        ("a\ue000", "U\\+E000"),
        ("caf\u00c3\u00a9", "another encoding"),
        ("it\u00e2\u20ac\u2122s", "another encoding"),
    ],
)
def test_what_is_no_text_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(AlignerError, match=message):
        clean(text)


def test_letters_that_only_look_like_a_wrong_encoding_are_kept() -> None:
    for text in ("Ã é Âge São", "«AMANHÃ»", "Ñ¿qué?"):
        assert clean(text) == text


def test_unseen_characters_are_described() -> None:
    assert describe("\u200b") == "U+200B ZERO WIDTH SPACE"
    assert describe("^") == "'^' (U+005E CIRCUMFLEX ACCENT)"
    assert unseen("a\u200b\ufeff") == (
        "U+200B ZERO WIDTH SPACE at character 2, U+FEFF ZERO WIDTH NO-BREAK SPACE at character 3"
    )
    assert unseen("plain text") == ""
