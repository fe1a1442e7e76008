"""One net around what pronounces, and texts of any kind through every phonemizer."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligner.errors import AlignerError
from aligner.text.chunks import APOSTROPHES
from aligner.text.normalise import Normaliser
from aligner.text.phonemizer import PHONEMIZERS, Phonemizer, load_phonemizer
from aligner.text.pronounce import NoPronouncer, WordPhonemizer
from aligner.text.transcript import Transcript, Variants
from aligner.text.writing import clean

# Pieces of which people's texts are made, so that rules meet each other.
PIECES = st.sampled_from(
    [
        *"$€£%°#@&/.,:;-–'’\"()[]{}<>*_+=0123456789 \u00a0\u200b\u0301",
        "1990s",
        "kg",
        "km/h",
        "Dr.",
        "No.",
        "St.",
    ]
    + [
        "US",
        "NASA",
        "II",
        "e.g.",
        "é",
        "ß",
        "नमस्ते",
        "你好",
        "مرحبا",
        "Привет",
        "😀",
        "½",
        "am",
        "pm",
        "th",
        "M",
    ]
    + [
        "www.",
        ".com",
        "http://",
        "the",
        "Smith",
        "May",
        "on",
        "\ufffd",
        "İ",
        "ﬁ",
        "²",
        "\ue000",
        "1,5",
        "3/14/2024",
    ]
)
TEXTS = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=12).map("".join))


class Broken(NoPronouncer):
    """Raises what no one expects."""

    def say(self, word: str) -> tuple[Variants, str]:
        raise RecursionError("too deep\nsecond line")


def test_whatever_other_code_raises_is_said_of_the_text() -> None:
    phonemize = WordPhonemizer("broken", Broken(), Normaliser("en-us"))
    with pytest.raises(AlignerError, match=r"broken cannot read it \(RecursionError: too deep\)"):
        phonemize("hello")


@pytest.fixture(scope="module")
def phonemizers() -> dict[str, Phonemizer]:
    loaded = {"gruut": load_phonemizer("gruut"), "tokens": load_phonemizer("tokens")}
    for language in ("", "en-us", "de", "fr"):
        loaded[f"characters {language}"] = load_phonemizer("characters", language)
    return loaded


@given(text=TEXTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused(phonemizers: dict[str, Phonemizer], text: str) -> None:
    for name, phonemize in phonemizers.items():
        try:
            transcript = phonemize(text)
        except AlignerError as refused:
            reason = str(refused)
        else:
            _check(transcript)
            continue
        # The net is for other people's code; ours says what it does not read.
        assert "cannot read it" not in reason, (name, text, reason)


def _check(transcript: Transcript) -> None:
    assert transcript.words
    assert len(transcript.breaks) == len(transcript.words) + 1
    assert all(variant and all(variant) for word in transcript.words for variant in word.variants)
    assert Transcript.from_dict(transcript.to_dict()) == transcript


@given(text=st.text(st.characters(categories=["L", "Mn", "Zs", "Po"]), min_size=1, max_size=30))
@settings(max_examples=300, deadline=None)
def test_no_letter_is_dropped(text: str) -> None:
    try:
        transcript = load_phonemizer("characters")(text)
    except AlignerError:
        return
    spoken = unicodedata.normalize("NFC", clean(text).translate(APOSTROPHES).lower())
    letters = [c for c in spoken if unicodedata.category(c)[0] == "L"]
    tokens = [c for word in transcript.words for c in word.variants[0] if unicodedata.category(c)[0] == "L"]
    assert sorted(tokens) == sorted(letters)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("gruut", {"blank_symbols": ["_"]}),
        ("characters", {"keep_stress": True}),
        ("espeak", {"pause_symbols": ["sp"]}),
        ("tokens", {"notes": "speak"}),
        ("tokens", {"lexicon": ["a\tb"]}),
        ("characters", {"capitals": "words"}),
    ],
)
def test_settings_that_would_be_ignored_are_refused(name: str, option: dict[str, object]) -> None:
    with pytest.raises(AlignerError, match=f"--{next(iter(option)).replace('_', '-')} means nothing to"):
        load_phonemizer(name, **option)


def test_every_phonemizer_of_the_list_has_its_settings() -> None:
    assert set(PHONEMIZERS) == {"gruut", "cmudict", "espeak", "characters", "lexicon", "tokens"}
