"""English: ARPAbet, weak forms, r before vowels, the suffix -s."""

import pytest

from aligner.formats.tts import ARPABET
from aligner.text.english import ARPABET_OF_IPA, ENGLISH_WEAK_FORMS, r_forms, s_suffix, weak_forms


def test_every_arpabet_phone_has_its_ipa() -> None:
    bare = {phone.rstrip("012") for phone in ARPABET}
    assert set(ARPABET_OF_IPA.values()) == bare
    assert len(ARPABET_OF_IPA) == len(bare) + 1  # ʌ and ə are both AH


def test_weak_forms_have_phones_of_the_table_only() -> None:
    for word in ENGLISH_WEAK_FORMS:
        forms = weak_forms(word)
        assert forms
        assert {phone for form in forms for phone in form} <= set(ARPABET_OF_IPA)
    assert weak_forms("garage") == ()


@pytest.mark.parametrize(
    ("phones", "forms"),
    [
        ("ɚ aʊ n d", ["ə ɹ aʊ n d"]),
        ("θ ɚ ɚ i", ["θ ə ɹ ɚ i", "θ ɚ ə ɹ i"]),
        ("b ɹ ʌ ð ɚ", []),
        ("k l ɪ ɹ", []),
    ],
)
def test_an_r_before_a_vowel_has_another_form(phones: str, forms: list[str]) -> None:
    own = tuple(phones.split())
    assert r_forms(own, [ARPABET_OF_IPA[phone] for phone in own], tuple) == tuple(
        tuple(form.split()) for form in forms
    )


@pytest.mark.parametrize(("last", "suffix"), [("k", "s"), ("ɡ", "z"), ("t͡ʃ", "ɪ z"), ("oʊ", "z")])
def test_the_suffix_s_depends_on_the_last_phone(last: str, suffix: str) -> None:
    assert s_suffix(last) == tuple(suffix.split())
