"""Letters as the pronunciation of a word."""

import unicodedata

from aligner.text.chunks import APOSTROPHES
from aligner.text.transcript import Variants


class Letters:
    """The letters of a word in lower case, each with its marks beside it as symbols of their own.

    Apostrophes are symbols; what else stands inside a word (joiners of no width, middle dots) is none.
    """

    phones = frozenset[str]()  # any
    names_letters = True

    def say(self, word: str) -> tuple[Variants, str]:
        """The letters of a word."""
        letters = unicodedata.normalize("NFC", word.translate(APOSTROPHES).lower())
        return (tuple(c for c in letters if c == "'" or unicodedata.category(c)[0] in "LM"),), "given"

    def letter(self, letter: str) -> Variants:
        """A letter is not spelt by its name: initials are their letters."""
        return ((letter,),)
