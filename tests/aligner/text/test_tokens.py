"""Own tokens: what cannot be seen is no part of them, and sentences are none."""

import pytest

from aligner.text.phonemizer import load_phonemizer
from aligner.text.tokens import looks_like_prose


def test_what_cannot_be_seen_is_no_part_of_a_token() -> None:
    transcript = load_phonemizer("tokens")("\ufeffB HH\u200b\u00a0AY1")
    assert [word.variants for word in transcript.words] == [(("B", "HH", "AY1"),)]


@pytest.mark.parametrize(
    "text",
    [
        "sil HH AH0 L OW1 sil W ER1 L D sp DH AH0 D AO1 G spn",
        "h ə l oʊ | w ɜː l d t͡ʃ tʃʰ aɪ̯",
        "ni3 hao3 shi4 jie4 zhuang4 shang4 tian1 qi4 hen3 hao3",
        "11 24 0 13 0 5 128 77",
        "h e l l o _ w o r l d .",
        "n i h a u",
    ],
)
def test_tokens_are_no_prose(text: str) -> None:
    assert not looks_like_prose([text] * 3)


def test_sentences_are_prose() -> None:
    assert looks_like_prose(["Please call Stella.", "Ask her to bring these things with her from the store."])
    assert looks_like_prose(["the quick brown fox jumps over the lazy dog"])
