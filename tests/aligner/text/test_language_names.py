"""Names of languages: codes and English names mean one language, anything else none."""

import pytest

from aligner.text.language_names import primary_language


@pytest.mark.parametrize(
    ("names", "language"),
    [
        (("en", "en-us", "en_GB", "EN", "eng", "English", "english (US)", "en-gb-x-rp"), "en"),
        (("de", "de-AT", "deu", "ger", "German"), "de"),
        (("zh-CN", "cmn", "zho", "Chinese", "yue", "zh-HK", "zh-Hant"), "zh"),
        (("no", "nb", "nn-NO", "nob"), "no"),
        (("ja", "jp", "JPN", "Japanese"), "ja"),
        (("", "und", "7", "mixed", "speaker-1"), ""),
    ],
)
def test_names_of_a_language(names: tuple[str, ...], language: str) -> None:
    assert {name: primary_language(name) for name in names} == dict.fromkeys(names, language)
