"""The pronunciations of gruut: IPA, all that its lexicon has of a word, and a model that guesses others."""

import contextlib
import itertools
import re
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from aligner.errors import AlignerError
from aligner.text.english import ARPABET_OF_IPA, r_forms, s_suffix, weak_forms
from aligner.text.transcript import Variants
from aligner.text.writing import describe

# Pronunciations kept of a word: most words have one or two, but one that is spelt out has all combinations of
# those of its letters.
MAX_VARIANTS = 8
_WORDS_A_LETTER = 2000  # a letter in fewer of a lexicon's words is foreign to the language
STRESS_MARKS = str.maketrans("", "", "ˈˌ")
# Letters with a stroke or in one sign, which Unicode does not take apart.
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ß": "ss", "ı": "i", "ħ": "h"}
)
_ELISION = re.compile(r"([^\W\d_]+')(?=[^\W\d_])(.+)")  # l'homme, dell'arte


class GruutPronouncer:
    """IPA from gruut's lexicon; words that it lacks are guessed by gruut's model (source "g2p").

    Args:
        language: One of gruut's, such as "en-us".
        keep_stress: Keep the stress marks before the vowels.

    Raises:
        AlignerError: If gruut has no data for the language.
    """

    names_letters = False

    def __init__(self, language: str = "en-us", *, keep_stress: bool = False) -> None:
        from gruut.lang import get_settings
        from gruut.utils import find_lang_dir, resolve_lang

        lang_dir = find_lang_dir(resolve_lang(language))
        if lang_dir is None:
            extra = language.lower().replace("_", "-").split("-")[0]
            raise AlignerError(
                f"gruut has no data for language {language!r}: `pip install 'gruut[{extra}]'` if gruut knows "
                "it, otherwise use --phonemizer espeak or characters"
            )
        self.english = resolve_lang(language).startswith("en-")
        self._keep_stress = keep_stress
        self._language = language
        settings = get_settings(language, load_pos_tagger=False, get_parts_of_speech=None)
        self._guess = settings.guess_phonemes
        self._replacements = settings.replacements
        self._lexicon = _read_lexicon(Path(lang_dir, "lexicon.db"))

    def say(self, word: str) -> tuple[Variants, str]:
        """The pronunciations of one word, the most usual first, and "lexicon" or "g2p".

        Raises:
            AlignerError: If it has letters that the language does not, or cannot be guessed.
        """
        variants, source = self._find(word)
        if self.english:
            variants += self.weak_forms(word.lower())
            variants += tuple(form for variant in variants for form in self.r_forms(variant))
            if word.lower().endswith("n't"):  # don't -> don': the final stop is lost most often
                variants += tuple(variant[:-1] for variant in variants)
        return tuple(dict.fromkeys(variants))[:MAX_VARIANTS], source

    def letter(self, letter: str) -> Variants:
        """The name of a letter; () if the lexicon lacks it."""
        return self.lookup(letter)[-1:]  # of "a" the article comes first

    def weak_forms(self, word: str) -> Variants:
        """The unstressed pronunciations of an English function word, which the lexicon may lack."""
        return weak_forms(word)

    def r_forms(self, phones: tuple[str, ...]) -> Variants:
        """An English pronunciation with an r as the lexicon does not write it (`english.r_forms`)."""
        names = [ARPABET_OF_IPA.get(phone.translate(STRESS_MARKS), "") for phone in phones]
        return r_forms(phones, names, tuple)

    def lookup(self, word: str) -> Variants:
        """The lexicon's pronunciations of exactly this spelling or its lower case; () if there are none."""
        for spelling in dict.fromkeys((word, word.lower())):
            variants = dict.fromkeys(self._phones(entry.split()) for entry in self._lexicon.get(spelling, ()))
            variants.pop((), None)
            if variants:
                return tuple(variants)
        return ()

    def guess(self, word: str) -> Variants:
        """The pronunciation that gruut's model gives a spelling; () without a model."""
        phones = self._phones(self._guess(word) or ()) if self._guess else ()
        return (phones,) if phones else ()

    def suffix(self, phones: tuple[str, ...]) -> tuple[str, ...]:
        """The phones of the English suffix -s after a word of these phones."""
        return s_suffix(phones[-1].translate(STRESS_MARKS))

    @cached_property
    def phones(self) -> frozenset[str]:
        """All phones of the lexicon."""
        written = {
            symbol for entries in self._lexicon.values() for entry in entries for symbol in entry.split()
        }
        return frozenset(self._phones(written))

    @cached_property
    def _alphabet(self) -> frozenset[str]:
        """The letters that the model has seen often enough to read."""
        counts = Counter(itertools.chain.from_iterable(self._lexicon))
        least = max(1, len(self._lexicon) // _WORDS_A_LETTER)
        return frozenset(
            letter for letter, count in counts.items() if count >= least and letter.isalpha()
        ) | {"'"}

    def _phones(self, symbols: Iterable[str]) -> tuple[str, ...]:
        if not self._keep_stress:
            symbols = (symbol.translate(STRESS_MARKS) for symbol in symbols)
        return tuple(symbol for symbol in symbols if symbol)

    def _find(self, word: str) -> tuple[Variants, str]:
        """The lexicon, also without accents; then the English -s on a known word; then the guess."""
        if variants := self._look_up_spellings(word):
            return variants, "lexicon"
        if self.english and (base := re.fullmatch(r"(.+?)(?:'s|s'|(?<=[^s'])s)", word, re.IGNORECASE)):
            known = self._look_up_spellings(base[1])
            if known or "'" in word:
                stems, source = (known, "lexicon") if known else self._find(base[1])
                return tuple(stem + self.suffix(stem) for stem in stems), source
        if not self.english and (parts := _ELISION.fullmatch(word)) and (first := self.lookup(parts[1])):
            rest, source = self._find(parts[2])
            return join([first, rest]), source
        guessed = self.guess(self._in_alphabet(word))
        if not guessed:
            raise AlignerError(f"{word!r} is not in the {self._language} lexicon and could not be guessed")
        return guessed, "g2p"

    def _look_up_spellings(self, word: str) -> Variants:
        variants = self.lookup(word)
        for pattern, replacement in self._replacements:
            variants = variants or self.lookup(re.sub(pattern, replacement, word))
        return variants or (() if word.isascii() else self.lookup(_without_accents(word)))

    def _in_alphabet(self, word: str) -> str:
        """A word in the letters that the model has seen, which drops all others.

        Raises:
            AlignerError: For a letter that is not one of the language's, even without its accent.
        """
        letters = []
        for character in unicodedata.normalize("NFC", word.lower()):
            known = character if character in self._alphabet else _without_accents(character)
            if any(letter not in self._alphabet for letter in known):
                raise AlignerError(
                    f"{word!r} has {describe(character)}, no letter of {self._language!r}: write it in the "
                    "letters of the language, or give its phones with --lexicon"
                )
            letters.append(known)
        return "".join(letters)


def join(parts: Iterable[Variants]) -> Variants:
    """The pronunciations of several words or letters said as one: all combinations."""
    combinations = itertools.islice(itertools.product(*parts), MAX_VARIANTS)
    return tuple(tuple(itertools.chain(*combination)) for combination in combinations)


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word.lower().translate(_PLAIN_LETTERS))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def _read_lexicon(path: Path) -> dict[str, list[str]]:
    """All pronunciations of all words, of which gruut's own lookup keeps one a word.

    The whole table is read, because it has no index by word.
    """
    lexicon: dict[str, list[str]] = {}
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for word, phonemes in connection.execute(
            "SELECT word, phonemes FROM word_phonemes ORDER BY pron_order"
        ):
            lexicon.setdefault(word, []).append(phonemes)
    return lexicon
