"""What a language is called: by codes of two and three letters, with a country or script, or in English."""

import re
from functools import cache

# Of one written language, as far as texts are read; and codes that are no codes but often written.
_SAME = {"nb": "no", "nn": "no", "cmn": "zh", "yue": "zh", "jp": "ja", "cz": "cs", "kr": "ko", "cn": "zh"}
_NONE = {"und", "mul", "mis", "zxx"}  # unknown, several, without a code, no language


def primary_language(name: str) -> str:
    """The language that a name means, without country and script: "de" for "de-AT", "deu" and "German".

    Args:
        name: A code or an English name, in any case; "" if it is neither.
    """
    name = name.casefold().partition("(")[0].strip()
    known = _english_names()
    if name in known:
        return known[name]
    return _language_of_code(re.split(r"[-_]", name)[0])


def _language_of_code(code: str) -> str:
    from babel import Locale
    from babel.core import get_global

    code = _SAME.get(code, code)
    code = _SAME.get(other := get_global("language_aliases").get(code, code).partition("_")[0], other)
    if code in _NONE:
        return ""
    return code if code in Locale("en").languages or code in _SAME.values() else ""


@cache
def _english_names() -> dict[str, str]:
    from babel import Locale

    return {name.casefold(): _language_of_code(code) for code, name in Locale("en").languages.items()}
