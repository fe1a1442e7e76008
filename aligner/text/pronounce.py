"""From the words of a text to their pronunciations: the user's lexicon, then a dictionary or a model."""

import contextlib
import re
from typing import Protocol

from aligner.errors import AlignerError
from aligner.text.capitals import has_capitals, in_capitals, is_capitals, plainly_in_capitals, roman_number
from aligner.text.chunks import APOSTROPHES
from aligner.text.gruut import MAX_VARIANTS, join
from aligner.text.lexicon import Lexicon
from aligner.text.normalise import Normaliser
from aligner.text.transcript import Transcript, Variants, Word

_LONGEST_SPELT = 6  # letters; longer words in capitals are words
_SHORT = 3  # letters; of a word in capitals up to here the spelling is likelier, beyond it the word
_VOWELS = frozenset("aeiouyäöüáéíóúàèìòùâêîôûåæøœаеёиоуыэюяієїαεηιουωάέήίόύώ")


class Pronouncer(Protocol):
    """What knows or guesses how single words of a language are said.

    `in_sentence(words)`, where there is one, gives the phones of each word as said among the others, () for
    one that cannot be found.
    """

    @property
    def phones(self) -> frozenset[str]:
        """All phones that it may give; empty if it does not say."""

    @property
    def names_letters(self) -> bool:
        """Whether `letter` is right, where the names of letters could be said as words instead."""

    def say(self, word: str) -> tuple[Variants, str]:
        """The pronunciations of a word, and their source as in `Word`. AlignerError, if there are none."""

    def letter(self, letter: str) -> Variants:
        """The name of a letter; () if it is not known."""


class NoPronouncer:
    """Knows no word: for texts of which every word is in the user's lexicon."""

    phones = frozenset[str]()
    names_letters = False

    def say(self, word: str) -> tuple[Variants, str]:
        """Nothing.

        Raises:
            AlignerError: Always.
        """
        raise AlignerError(f"{word!r} is not in the lexicon")

    def letter(self, letter: str) -> Variants:
        """Nothing."""
        return ()


class WordPhonemizer:
    """A phonemizer by words. Each is pronounced once: a call costs microseconds a word.

    Args:
        name: For errors.
        pronouncer: Of words that the lexicon lacks.
        normaliser: From texts to words.
        capitals: As `load_phonemizer` takes it.
        lexicon: The user's own.
    """

    def __init__(
        self,
        name: str,
        pronouncer: Pronouncer,
        normaliser: Normaliser,
        *,
        capitals: str = "auto",
        lexicon: Lexicon | None = None,
    ) -> None:
        self._name = name
        self._pronouncer = pronouncer
        self._normaliser = normaliser
        self._capitals = capitals
        self.lexicon = lexicon or Lexicon()
        self._in_sentence = getattr(pronouncer, "in_sentence", None)
        self._words: dict[tuple[str, bool], Word] = {}

    @property
    def phones(self) -> frozenset[str]:
        """All phones of its dictionary; empty if it does not say."""
        return self._pronouncer.phones

    def __call__(self, text: str) -> Transcript:
        """The transcript of a text.

        This is the one place where other people's code meets a person's text: whatever it raises is said of
        this text.

        Raises:
            AlignerError: If nothing can be spoken, or something written has no pronunciation.
        """
        try:
            return self._transcript(text)
        except AlignerError:
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            raise AlignerError(
                f"the phonemizer {self._name} cannot read it ({type(error).__name__}: {reason}): write it in "
                "other words"
            ) from error

    def _transcript(self, text: str) -> Transcript:
        written, breaks = self._normaliser.words(text)
        if not written:
            raise AlignerError("nothing to speak in the text")
        as_words = self._capitals != "either" and (
            plainly_in_capitals(text) or (self._capitals == "words" and in_capitals(text))
        )
        words = [self._word(word, as_words) for word in written]
        if self._in_sentence is not None:
            said = self._in_sentence([word.lower() if as_words else word for word in written])
            words = [self._with_context(*pair) for pair in zip(words, said, strict=True)]
        return Transcript(tuple(words), tuple(breaks))

    def _with_context(self, word: Word, phones: tuple[str, ...]) -> Word:
        if not phones or word.text in self.lexicon or "." in word.text or roman_number(word.text):
            return word
        return Word(word.text, tuple(dict.fromkeys((phones, *word.variants))), word.source)

    def _word(self, written: str, as_word: bool) -> Word:
        key = written, as_word
        if key not in self._words:
            variants, priors = self.lexicon.lookup(written)
            if variants:
                self._words[key] = Word(written, variants, "lexicon", priors)
            else:
                self._words[key] = Word(written, *self._read(written.translate(APOSTROPHES), as_word))
        return self._words[key]

    def _read(self, word: str, as_word: bool) -> tuple[Variants, str]:
        """The pronunciations of a word in all its readings, the likelier first, and their source."""
        if word[0].isdigit() and self._in_sentence is None:
            raise AlignerError(
                f"{word!r} is a number and no letter, {self._normaliser.unread}: write it out in words"
            )
        if "." in word:
            return self._initials(word)
        if variants := self._roman(word):
            return variants, "lexicon"
        if as_word:
            return self._say(word.lower())
        if is_capitals(word):
            return self._capital_word(word)
        plural, suffix = re.fullmatch(r"(\w+?)'?s", word), getattr(self._pronouncer, "suffix", None)
        if not (plural and suffix and is_capitals(plural[1])):
            variants, source = self._say(word)
            if source != "g2p" or not has_capitals(word):
                return variants, source
            if not (plural and suffix and has_capitals(plural[1])):  # PhD
                return self._capital_word(word)
        variants, source = self._capital_word(plural[1])
        return tuple(variant + suffix(variant) for variant in variants), source

    def _say(self, word: str) -> tuple[Variants, str]:
        """A word as a word; one of the lexicon where another stands for it."""
        variants, _ = self.lexicon.lookup(word)
        return (variants, "lexicon") if variants else self._pronouncer.say(word)

    def _phrase(self, phrase: str) -> Variants:
        return join(self._say(word)[0] for word in phrase.split())

    def _initials(self, word: str) -> tuple[Variants, str]:
        """Letters with full stops: spelt, or what they stand for."""
        variants = self._spelt(word.replace(".", ""))
        full = self._normaliser.numbers.table.initials.get(word.rstrip(".").lower())
        if full:
            variants += self._phrase(full)
        if not variants:
            return self._say(word.replace(".", ""))
        return tuple(dict.fromkeys(variants))[:MAX_VARIANTS], "lexicon"

    def _roman(self, word: str) -> Variants:
        """A Roman numeral as a number and as an ordinal; () for one that may as well be a word (MIX, CD)."""
        numbers, number = self._normaliser.numbers, roman_number(word)
        if number is None or not numbers.known or set(word) - set("IVX"):
            return ()
        article = {"en": "the ", "de": "der "}.get(numbers.primary, "")
        variants = self._phrase(numbers.cardinal(str(number)))
        with contextlib.suppress(AlignerError):  # num2words lacks the ordinals of some languages
            variants += self._phrase(article + numbers.ordinal(str(number)))
        return tuple(dict.fromkeys((*variants, *self._spelt(word))))[:MAX_VARIANTS]

    def _capital_word(self, word: str) -> tuple[Variants, str]:
        """A word in capitals among others: spelt and spoken, of which the audio decides."""
        spelt = self._spelt(word) if len(word) <= _LONGEST_SPELT else ()
        try:
            spoken, source = self._say(word.lower())
        except AlignerError:
            if not spelt:
                raise
            return spelt, "lexicon"
        if not spelt:
            return spoken, source
        if source == "g2p" and not _VOWELS & set(word.lower()):
            return spelt, "lexicon"
        if len(word) <= _SHORT:
            both, source = (*spelt[:1], *spoken, *spelt[1:]), "lexicon"
        else:
            both = (*spoken, *spelt)
        return tuple(dict.fromkeys(both))[:MAX_VARIANTS], source

    def _spelt(self, letters: str) -> Variants:
        """The names of letters, one after the other; () if one has none."""
        return join(self._letter(letter) for letter in letters.lower())

    def _letter(self, letter: str) -> Variants:
        own, _ = self.lexicon.lookup(letter)
        name = self._normaliser.numbers.table.letters.get(letter, "")
        if own or not name or self._pronouncer.names_letters:
            return own or self._pronouncer.letter(letter)
        return self._phrase(name)
