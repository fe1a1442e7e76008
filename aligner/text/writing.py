"""Writing: the characters of a text as they are meant, whoever typed, copied or exported it.

One form for each letter (NFC), plain digits and spaces, nothing that cannot be seen. What has no meaning as
text (a character that stands for a broken one, text decoded in the wrong encoding) is refused.
"""

import contextlib
import functools
import html
import re
import unicodedata

import regex

from aligner.errors import AlignerError

# Characters that take part in how a word is spelt although they have no width: between letters of scripts
# that join letters (Persian, Hindi and their kin). Anywhere else they come from copying and say nothing.
_JOINERS = "\u200c\u200d"
_JOINING = (
    r"[\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Malayalam}\p{Script=Sinhala}\p{M}]"
)
_STRAY_JOINER = regex.compile(rf"(?<!{_JOINING})[{_JOINERS}]|[{_JOINERS}](?!{_JOINING})")
# Where words are written without spaces, a space of no width stands between them. Elsewhere nobody sees it.
_SPACELESS = r"[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Han}]"
_WORD_SPACE = regex.compile(rf"(?<={_SPACELESS})\u200b(?={_SPACELESS})")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")  # all but white space
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]+|#\d+|#x[0-9A-Fa-f]+);")
# Two bytes of UTF-8 that were read as cp1252: "Ã©" for "é", "â€™" for "’".
_MOJIBAKE = re.compile("[\u00c3\u00c2][\u0080-\u00bf]|\u00e2\u20ac|[\u00d0\u00d1][\u0080-\u00bf]")
_HYPHENS = str.maketrans("\u2010\u2011\u2212\ufe63\uff0d", "-----")
_TATWEEL = "\u0640"  # stretches an Arabic word on the line
_PLAIN = re.compile(r"[ -%'-~]*")  # ASCII without `&`, which may begin an entity
# Unicode gives control characters no names; these are ASCII's.
_CONTROL_NAMES = (
    *("NULL", "START OF HEADING", "START OF TEXT", "END OF TEXT", "END OF TRANSMISSION"),
    *("ENQUIRY", "ACKNOWLEDGE", "BELL", "BACKSPACE", "TAB", "LINE FEED", "LINE TABULATION"),
    *("FORM FEED", "CARRIAGE RETURN", "SHIFT OUT", "SHIFT IN", "DATA LINK ESCAPE"),
    *("DEVICE CONTROL ONE", "DEVICE CONTROL TWO", "DEVICE CONTROL THREE", "DEVICE CONTROL FOUR"),
    *("NEGATIVE ACKNOWLEDGE", "SYNCHRONOUS IDLE", "END OF TRANSMISSION BLOCK", "CANCEL"),
    *("END OF MEDIUM", "SUBSTITUTE", "ESCAPE", "FILE SEPARATOR", "GROUP SEPARATOR"),
    *("RECORD SEPARATOR", "UNIT SEPARATOR"),
)


def clean(text: str) -> str:
    """A text in the characters that it is meant in.

    Args:
        text: As found.

    Raises:
        AlignerError: For characters that mean nothing, with name and place, and for text that was decoded in
            the wrong encoding.
    """
    if _PLAIN.fullmatch(text):
        return " ".join(text.split())
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if (found := _MOJIBAKE.search(text)) and _is_decoded_wrongly(text):
        raise AlignerError(
            f"{found[0]!r} at character {found.start() + 1}: UTF-8 that was read in another encoding; "
            "convert the text"
        )
    for place, character in enumerate(text, 1):
        if _means_nothing(character):
            raise AlignerError(f"{describe(character)} at character {place} is no text: remove it")
    text = unicodedata.normalize("NFC", text)
    text = _STRAY_JOINER.sub("", _WORD_SPACE.sub(" ", text))
    return " ".join("".join(map(_meant, text)).translate(_HYPHENS).split())


def describe(character: str) -> str:
    """A character as a message shows it: by its look, code and name; by the last two where it has no look."""
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "") or dict(enumerate(_CONTROL_NAMES)).get(ord(character), "nameless")
    seen = unicodedata.category(character)[0] in "LNPS"
    return f"{character!r} ({code} {name})" if seen else f"{code} {name}"


def unseen(text: str) -> str:
    """The characters of a text that cannot be seen, each with its first place; "" if there are none."""
    places = {c: text.index(c) + 1 for c in text if unicodedata.category(c)[0] == "C" or _odd_space(c)}
    return ", ".join(f"{describe(c)} at character {place}" for c, place in places.items())


def _is_decoded_wrongly(text: str) -> bool:
    """Whether a text is bytes of UTF-8, each taken for a character: chance makes no such text."""
    for encoding in ("cp1252", "latin-1"):
        with contextlib.suppress(UnicodeError):
            return len(text.encode(encoding).decode("utf-8")) < len(text)
    return False


@functools.lru_cache(maxsize=4096)
def _means_nothing(character: str) -> bool:
    """Whether a character is broken, private or unassigned, or controls a terminal."""
    return (
        bool(_CONTROLS.match(character))
        or character == "\ufffd"
        or unicodedata.category(character) in {"Cs", "Co", "Cn"}
    )


@functools.lru_cache(maxsize=4096)
def _meant(character: str) -> str:
    """What one character stands for: "" for one that is not seen, digits and wide letters as plain ones."""
    category = unicodedata.category(character)
    if category in {"Zs", "Zl", "Zp"} or character.isspace():
        return " "
    if category == "Nd":
        return str(unicodedata.digit(character))
    if character in _JOINERS:
        return character
    if category == "Cf" or character == _TATWEEL or "\ufe00" <= character <= "\ufe0f":
        return ""  # zero-width, soft hyphen, directions, byte order mark, variation selectors
    decomposition = unicodedata.decomposition(character)
    if decomposition.startswith(
        ("<wide>", "<narrow>", "<font>", "<compat>", "<isolated>", "<initial>", *_BOXED)
    ) or (decomposition.startswith(("<medial>", "<final>", "<super>", "<sub>")) and category[0] in "LN"):
        plain = unicodedata.normalize("NFKC", character)
        # A spacing accent decomposes to a space and a mark; "…" and roman numerals to plain characters.
        return character if " " in plain or character in _KEPT or category == "Lm" else plain
    return character


_BOXED = ("<square>", "<circle>")
# …²³ºª№ and the raised digits, which are powers and notes: the reader of numbers knows them.
_KEPT = "\u2026\u00b2\u00b3\u00ba\u00aa\u2116\u00b9\u2070\u2074\u2075\u2076\u2077\u2078\u2079"


def _odd_space(character: str) -> bool:
    return character.isspace() and character != " "
