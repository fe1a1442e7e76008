"""One normalisation of every text, whatever phonemizer follows: from what people write to words.

Characters as they are meant (`writing`), notes left out (`notes`), abbreviations and figures written out in
the language of the text (`abbreviations`, `figures`). What then is no word, no punctuation and no pictograph
is refused by `chunks.split_words`, never dropped.
"""

import regex

from aligner.errors import AlignerError
from aligner.text import notes
from aligner.text.abbreviations import Abbreviations
from aligner.text.chunks import split_words
from aligner.text.figures import Figures
from aligner.text.lexicon import Lexicon
from aligner.text.numbers import Numbers
from aligner.text.writing import clean, unseen

UNKNOWN_LANGUAGE = "und"  # BCP 47's word for it
# Stand for words that are kept as written: private characters, which `clean` lets no text have.
_FIRST_KEPT = 0xF0000
_LOOSE = regex.compile(r"\s+(?=[,.;:!?)،؛؟])")
_KEPT = regex.compile(r"[\U000F0000-\U000FFFFD]")


class Normaliser:
    """Writes texts out in words.

    Args:
        language: Such as "en-us"; "und" if it is not known: then no figure is written out.
        speak_notes: Read what stands in square, angle and curly brackets and between stars.
        lexicon: What is a word here as it is written, such as "5kg" or "Dr.".
    """

    def __init__(
        self, language: str = UNKNOWN_LANGUAGE, *, speak_notes: bool = False, lexicon: Lexicon | None = None
    ) -> None:
        self._language = language
        self.numbers = Numbers(language)
        self._figures = Figures(self.numbers)
        self._abbreviations = Abbreviations(self.numbers.table)
        self._speak_notes = speak_notes
        self._lexicon = lexicon if lexicon is not None and lexicon.unusual_spellings else None

    @property
    def unread(self) -> str:
        """Why figures were not written out."""
        if self._language == UNKNOWN_LANGUAGE:
            return "and no --language says how it is read"
        return f"and numbers in {self._language!r} are not read"

    def words(self, text: str) -> tuple[list[str], list[str]]:
        """The words of a text and the punctuation around them, as `split_words` gives them.

        Raises:
            AlignerError: For what is no text, can be read in two ways or not at all; if nothing is to be
                spoken.
        """
        written, kept = self._write_out(text)
        words, breaks = split_words(written)
        return [kept[ord(word) - _FIRST_KEPT] if _KEPT.match(word) else word for word in words], breaks

    def __call__(self, text: str) -> str:
        """The text in words and punctuation, as far as they are known.

        Raises:
            AlignerError: As `words`.
        """
        written, kept = self._write_out(text)
        return _KEPT.sub(lambda found: kept[ord(found[0]) - _FIRST_KEPT], written)

    def _write_out(self, text: str) -> tuple[str, list[str]]:
        """The text in words, with a character for each word that is kept as written, and these."""
        cleaned = clean(text)
        spoken = notes.speak(cleaned) if self._speak_notes else notes.hide(cleaned)
        kept: list[str] = []
        if self._lexicon is not None:
            spoken = " ".join(_keep(chunk, self._lexicon, kept) for chunk in spoken.split())
        if not kept and not any(c.isalnum() for c in spoken):
            raise AlignerError(f"nothing to speak in the text{_instead(text, cleaned)}")
        written = self._figures.write_out(self._abbreviations.write_out(spoken))
        return written if written is spoken else _LOOSE.sub("", " ".join(written.split())), kept


def _keep(chunk: str, lexicon: Lexicon, kept: list[str]) -> str:
    """What stands between white space, with a mark for a word of the lexicon that is more than letters."""
    if chunk.isalpha():
        return chunk
    start = 0
    while start < len(chunk) and (start == 0 or not chunk[start - 1].isalnum()):
        end = len(chunk)
        while end > start and (end == len(chunk) or not chunk[end].isalnum()):
            word = chunk[start:end]
            if not word.replace("'", "").isalpha() and word in lexicon:
                kept.append(word)
                return f"{chunk[:start]}{chr(_FIRST_KEPT + len(kept) - 1)}{chunk[end:]}"
            end -= 1
        start += 1
    return chunk


def _instead(text: str, cleaned: str) -> str:
    """What a text without words does hold."""
    if hidden := unseen(text):
        return f": it holds {hidden}"
    if found := notes.notes(cleaned):
        return f": only notes, such as {found[0]}"
    return ""
