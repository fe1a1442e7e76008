"""The phonemizer `gruut`: IPA, with all pronunciations that gruut's lexicon has for a word."""

import contextlib
import itertools
import re
import sqlite3
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from aligner.errors import AlignerError
from aligner.text.chunks import APOSTROPHES, chunks, is_punctuation, strip_punctuation
from aligner.text.english import s_suffix, weak_forms
from aligner.text.transcript import Transcript, Variants, Word

# Pronunciations kept of a word: most words have one or two, but one that is spelt out has all combinations of
# those of its letters.
MAX_VARIANTS = 8
STRESS_MARKS = str.maketrans("", "", "ˈˌ")
# Letters only, with apostrophes and hyphens inside: a word that gruut need not write out.
PLAIN_WORD = re.compile(r"[^\W\d_]+(?:['’ʼ-][^\W\d_]+)*")


class GruutPhonemizer:
    """IPA from gruut's lexicon; words that it lacks are guessed by gruut's model (source "g2p").

    Numbers, currencies, times and abbreviations become the words they are read as; every other word keeps its
    written form. Each word is looked up once: a call costs microseconds a word.

    Args:
        language: One of gruut's, such as "en-us".
        keep_stress: Keep the stress marks before the vowels.

    Raises:
        AlignerError: If gruut has no data for the language.
    """

    def __init__(self, language: str = "en-us", *, keep_stress: bool = False) -> None:
        from gruut import TextProcessor
        from gruut.const import default_split_words
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
        # Hyphens stay inside words (word_breaks), so that __call__ sees them.
        self._settings = get_settings(
            language, load_pos_tagger=False, word_breaks=set(), get_parts_of_speech=None
        )
        self._guess = self._settings.guess_phonemes
        self._settings.guess_phonemes = None  # or gruut guesses each number it then expands
        self._reader = TextProcessor(default_lang=language, settings={language: self._settings})
        self._language = language
        self._splits_on_spaces = self._settings.split_words is default_split_words
        self._lexicon = _read_lexicon(Path(lang_dir, "lexicon.db"))
        self._words: dict[str, tuple[Variants, str]] = {}
        self._readings: dict[str, list[tuple[str, bool]]] = {}

    def __call__(self, text: str) -> Transcript:
        """The transcript of a text.

        Raises:
            AlignerError: If nothing can be spoken, or something written has no pronunciation.
        """
        words: list[Word] = []
        breaks = [""]
        for chunk in chunks(text):
            for piece, spoken in self._read(chunk):
                if spoken:
                    # Each word of a compound has its own boundaries, and there may be a pause next to it.
                    for part in re.split("(-)", piece):
                        if part == "-":
                            breaks[-1] += part
                        elif part:
                            words.append(Word(part, *self.pronounce(part)))
                            breaks.append("")
                else:
                    breaks[-1] += piece
        if not words:
            raise AlignerError("nothing to speak in the text")
        return Transcript(tuple(words), tuple(breaks))

    def pronounce(self, word: str) -> tuple[Variants, str]:
        """The pronunciations of one written word, the most usual first, and "lexicon" or "g2p"."""
        key = word.translate(APOSTROPHES)
        if key not in self._words:
            variants, source = self._find(key)
            if self.english:
                variants += self.weak_forms(key.lower())
                if key.lower().endswith("n't"):  # don't -> don': the final stop is lost most often
                    variants += tuple(variant[:-1] for variant in variants)
            self._words[key] = tuple(dict.fromkeys(variants))[:MAX_VARIANTS], source
        return self._words[key]

    def weak_forms(self, word: str) -> Variants:
        """The unstressed pronunciations of an English function word, which the lexicon may lack."""
        return weak_forms(word)

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

    def _phones(self, symbols: Iterable[str]) -> tuple[str, ...]:
        if not self._keep_stress:
            symbols = (symbol.translate(STRESS_MARKS) for symbol in symbols)
        return tuple(symbol for symbol in symbols if symbol)

    def _find(self, word: str) -> tuple[Variants, str]:
        """The lexicon, then the English -s on a known word, then the guess."""
        variants = self.lookup(word)
        if not variants:
            for pattern, replacement in self._settings.replacements:
                variants = variants or self.lookup(re.sub(pattern, replacement, word))
        if variants:
            return variants, "lexicon"
        if self.english and (base := re.fullmatch(r"(.+?)(?:'s|s'|(?<=[^s'])s)", word, re.IGNORECASE)):
            known = self.lookup(base[1])
            if known or "'" in word:
                stems, source = (known, "lexicon") if known else self._find(base[1])
                return tuple(stem + self.suffix(stem) for stem in stems), source
        if not PLAIN_WORD.fullmatch(unicodedata.normalize("NFC", word)):
            raise AlignerError(f"{word!r} has no pronunciation: write it out in words")
        if self._settings.is_initialism and self._settings.is_initialism(word):
            return self._join([self._find(letter) for letter in word])
        guessed = self.guess(word)
        if not guessed:
            raise AlignerError(f"{word!r} is not in the {self._language} lexicon and could not be guessed")
        return guessed, "g2p"

    @staticmethod
    def _join(parts: list[tuple[Variants, str]]) -> tuple[Variants, str]:
        """The pronunciations of several words or letters said as one: all combinations."""
        combinations = itertools.islice(itertools.product(*(variants for variants, _ in parts)), MAX_VARIANTS)
        source = "g2p" if any(source == "g2p" for _, source in parts) else "lexicon"
        return tuple(tuple(itertools.chain(*combination)) for combination in combinations), source

    def _read(self, chunk: str) -> list[tuple[str, bool]]:
        """The pieces of a chunk in order, each with whether it is spoken; numbers are written out."""
        if chunk not in self._readings:
            self._readings[chunk] = self._read_plain(chunk) or self._read_with_gruut(chunk)
        return self._readings[chunk]

    def _read_plain(self, chunk: str) -> list[tuple[str, bool]]:
        """The pieces of punctuation, or of one ordinary word; [] where gruut must write something out.

        gruut takes 6 ms a chunk, which most chunks do not need.
        """
        if is_punctuation(chunk):
            return [(chunk, False)]
        before, word, after = strip_punctuation(chunk)
        if not self._splits_on_spaces or not PLAIN_WORD.fullmatch(word) or not is_punctuation(before + after):
            return []
        written = word + after
        if self._settings.is_initialism and (
            self._settings.is_initialism(word) or self._settings.is_initialism(written)
        ):
            return []
        if any(re.match(pattern, written) for pattern in self._settings.abbreviations):
            return []
        return [piece for piece in ((before, False), (word, True), (after, False)) if piece[0]]

    def _read_with_gruut(self, chunk: str) -> list[tuple[str, bool]]:
        """The pieces of a chunk that holds numbers, abbreviations or symbols."""
        pieces = []
        # Ranges and compounds with digits ("1990-1995", "20-year") are two numbers or words to read.
        for part in re.sub(r"(?<=\d)-(?=\w)(?!\d+-)|(?<=[^\W\d])-(?=\d)", " ", chunk).split():
            graph, root = self._reader(part)
            words = self._reader.words(graph, root, phonemes=False, pos=False)
            pieces += [(word.text, bool(word.is_spoken)) for word in words]
        if not any(spoken for _, spoken in pieces):
            raise AlignerError(f"{chunk!r} has no pronunciation: write it out in words")
        return pieces


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
