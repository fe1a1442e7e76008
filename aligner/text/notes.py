"""Notes: what a transcriber wrote about a recording, and nobody says: `[laughter]`, `<unk>`, `*coughs*`."""

import re
from collections import Counter
from collections.abc import Iterable

from aligner.errors import AlignerError

# In round brackets there are spoken asides (LJSpeech reads them). These alone are none, whatever the case.
_STAGE_WORDS = (
    "laughter|laughs?|laughing|chuckles?|chuckling|giggles?|applause|coughs?|coughing|sighs?|sighing|sneezes?|"
    "sniffs?|sniffles?|gasps?|groans?|breath|breathes?|breathing|inhales?|exhales?|yawns?|clears throat|"
    "music|"
    "noise|background noise|silence|pause|crosstalk|cross talk|inaudible|unintelligible|indistinct|unclear|"
    "lachen|lacht|gelächter|applaus|husten|hustet|seufzt|pause|musik|unverständlich|"
    "rires?|applaudissements|toux|soupirs?|musique|inaudible|risas?|aplausos?|tos|suspiros?|música|"
    "smích|potlesk|hudba|смех|аплодисменты|музыка|笑|笑声|掌声|拍手|音楽"
)
_NOTE = re.compile(
    r"\[[^\[\]]*\]|［[^［］]*］|【[^【】]*】"
    r"|<(?![\s\d=-])[^<>]*(?<!\s)>"
    r"|\{[^{}]*\}"
    r"|(?<![\w*])\*(?![\s*])[^*]*[^\s*]\*(?![\w*])"
    rf"|[(（]\s*(?:{_STAGE_WORDS})\s*[)）]",
    re.IGNORECASE,
)
# Pronunciations between words, as Tacotron's texts have them, are spoken: {HH AH0 L OW1}.
_ARPABET = re.compile(r"\{\s*[A-Z]{1,2}[012]?(?:\s+[A-Z]{1,2}[012]?)*\s*\}")
_STRESSED = re.compile(r"[A-Z][012]")
_BRACKETS = str.maketrans(dict.fromkeys("[]［］【】<>{}*", " "))
_ANY = re.compile(r"[\[［【<{*(（]")
_SHOWN = 5


def notes(text: str) -> list[str]:
    """The notes of a text, in order, with their brackets.

    Raises:
        AlignerError: For a pronunciation in braces, which is no note.
    """
    if not _ANY.search(text):
        return []
    found = [note[0] for note in _NOTE.finditer(text)]
    for note in found:
        if _ARPABET.fullmatch(note) and _STRESSED.search(note):
            raise AlignerError(
                f"{note} is a pronunciation: write the word, and give its phones with --lexicon"
            )
    return found


def hide(text: str) -> str:
    """A text without its notes, and without the double stars of Markdown, whose words are spoken."""
    return _NOTE.sub(" ", text).replace("**", "") if notes(text) or "**" in text else text


def speak(text: str) -> str:
    """A text whose notes are read as words: without their brackets."""
    spoken = _NOTE.sub(lambda note: note[0].translate(_BRACKETS), text) if notes(text) else text
    return spoken.replace("**", "")


def summary(texts: Iterable[str]) -> str:
    """How many notes there are in texts, and the most frequent of them; "" if there are none."""
    counts: Counter[str] = Counter()
    texts_with_notes = 0
    for text in texts:
        found = notes(text)
        counts.update(found)
        texts_with_notes += bool(found)
    if not counts:
        return ""
    shown = ", ".join(f"{note} {count}" for note, count in counts.most_common(_SHOWN))
    return f"{counts.total()} notes in {texts_with_notes} utterances: {shown}"
