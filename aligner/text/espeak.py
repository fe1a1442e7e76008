"""The pronunciations of eSpeak NG, which depend on the words around.

The packages `phonemizer` and `espeakng-loader` (an extra, GPL-3.0) carry eSpeak NG.
"""

import difflib
import itertools
import logging
import re
from collections.abc import Iterable, Sequence

import regex

from aligner.errors import AlignerError, did_you_mean
from aligner.text.transcript import Variants
from aligner.text.writing import describe

_FLAG = re.compile(r"\([a-z][\w-]*\)")  # where eSpeak goes over to the voice of another language, and back
# Babel's scripts that are several of Unicode's, as far as eSpeak reads them: of Japanese only kana.
_READ = {"Jpan": ("Hira", "Kana"), "Kore": ("Hang",), "Hans": ("Han",), "Hant": ("Han",)}
_ALSO = {"bs": "Cyrl", "hr": "Cyrl", "grc": "Grek", "cmn": "Han"}  # beside the usual script
_DO = "write it in the letters of the language, or give a --lexicon"
_LONGEST_INITIALS = 3  # letters; eSpeak spells a longer word where it cannot read it


class EspeakPronouncer:
    """eSpeak NG's phones.

    Args:
        language: One of eSpeak's, such as "en-us".
        keep_stress: Keep the stress marks before the vowels.

    Raises:
        AlignerError: If the extra `espeak` is not installed, or eSpeak lacks the language.
    """

    phones = frozenset[str]()  # eSpeak does not list them
    names_letters = True

    def __init__(self, language: str = "en-us", *, keep_stress: bool = False) -> None:
        try:
            import espeakng_loader
            from phonemizer.backend import EspeakBackend
            from phonemizer.backend.espeak.wrapper import EspeakWrapper
            from phonemizer.separator import Separator
        except ImportError as error:
            raise AlignerError("--phonemizer espeak needs `pip install 'mas-aligner[espeak]'`") from error
        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
        if language not in (known := EspeakBackend.supported_languages()):
            raise AlignerError(f"eSpeak has no language {language!r}{_near_codes(language, known)}")
        quiet = logging.getLogger("aligner.espeak")  # it warns of every sentence with joined words
        quiet.setLevel(logging.ERROR)
        self._backend = EspeakBackend(
            language, with_stress=keep_stress, language_switch="keep-flags", logger=quiet
        )
        self._language = language
        self._foreign = _foreign_letter(language)
        self._separator = Separator(phone=" ", word="|", syllable="")
        self._alone: dict[str, tuple[str, ...]] = {}

    def say(self, word: str) -> tuple[Variants, str]:
        """The phones of one word on its own.

        Raises:
            AlignerError: If eSpeak has none.
        """
        phones = self._say_alone(word)
        if not phones:
            raise AlignerError(self._unread(word))
        return (phones,), "lexicon"

    def letter(self, letter: str) -> Variants:
        """The name of a letter."""
        return self.say(letter.upper())[0]

    def in_sentence(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """The phones of each word as said in the sentence; () for a word whose phones cannot be found in it.

        eSpeak joins words ("of the") and reads one as several ("42"), so words cannot be counted off. Its
        phones of the sentence are matched with those of the words said alone.
        """
        alone = [self._say_alone(word) for word in words]
        # What only the user's lexicon can say would be spelt by eSpeak, and its neighbours get that.
        readable = [word for word, phones in zip(words, alone, strict=True) if phones]
        if not readable:
            return [() for _ in words]
        word_of_phone = [index for index, phones in enumerate(alone) for _ in phones]
        said = [phone for word in self._say(_sentence(readable)) for phone in word]
        matcher = difflib.SequenceMatcher(None, list(itertools.chain(*alone)), said, autojunk=False)
        shares: list[list[str]] = [[] for _ in words]
        for _, i1, i2, j1, j2 in matcher.get_opcodes():
            for j in range(j1, j2):
                i = i1 + (j - j1) * (i2 - i1) // (j2 - j1) if i2 > i1 else max(i1 - 1, 0)
                shares[word_of_phone[i]].append(said[j])
        return [tuple(share) for share in shares]

    def _say_alone(self, word: str) -> tuple[str, ...]:
        """The phones of one word on its own; () if eSpeak cannot read it."""
        if word not in self._alone:
            self._alone[word] = () if self._is_foreign(word) else self._read_alone(word)
        return self._alone[word]

    def _read_alone(self, word: str) -> tuple[str, ...]:
        """The phones of a word; () if it is no reading but the names of its letters.

        For a character that it lacks, eSpeak says in English what it is: "Chinese letter".
        """
        (line,) = self._phonemize(word)
        if _FLAG.search(line):
            latin = regex.search(r"\p{Latin}", word)
            single = len(word) == 1 and regex.match(r"\p{Greek}", word)
            spelt = word.islower() and len(word) > _LONGEST_INITIALS and line.count("|") + 1 == len(word)
            if spelt or not (latin or single or word[0].isdigit()):
                return ()
        return tuple(itertools.chain(*self._words(line)))

    def _is_foreign(self, word: str) -> bool:
        """Whether a letter is of a script that the language is not written in; "π" is read anywhere."""
        return bool(self._foreign and self._foreign.search(word)) and not regex.fullmatch(r"\p{Greek}", word)

    def _unread(self, word: str) -> str:
        letter = self._foreign.search(word) if self._foreign else None
        if letter and self._is_foreign(word):
            return (
                f"{word!r} has {describe(letter[0])}, which eSpeak does not read in {self._language!r}: {_DO}"
            )
        return f"eSpeak gives no phones for {word!r} in {self._language!r}: {_DO}"

    def _say(self, text: str) -> list[tuple[str, ...]]:
        """The phones of each word as eSpeak counts words: it joins some, and reads numbers as several."""
        return [word for line in self._phonemize(text) for word in self._words(line)]

    def _phonemize(self, text: str) -> list[str]:
        return self._backend.phonemize([text], separator=self._separator, strip=True)

    @staticmethod
    def _words(line: str) -> list[tuple[str, ...]]:
        return [tuple(word.split()) for word in _FLAG.sub(" ", line).split("|")]


def _foreign_letter(language: str) -> regex.Pattern[str] | None:
    """A letter that is neither Latin nor of the language's own script; None where that is not known."""
    from babel.core import get_global

    primary = language.partition("-")[0]
    likely = get_global("likely_subtags").get(primary, "")
    script = likely.split("_")[1] if likely else ""
    scripts = {*_READ.get(script, (script,)), _ALSO.get(primary, "")} - {""}
    if not scripts:
        return None
    own = "".join(rf"\p{{Script={name}}}" for name in sorted(scripts))
    return regex.compile(rf"(?V1)[\p{{L}}--[\p{{Latin}}\p{{Common}}\p{{Inherited}}{own}]]")


def _near_codes(language: str, known: Iterable[str]) -> str:
    """The end of an error: the codes of the same language; else those that look alike; else all."""
    base = language.lower().replace("_", "-").partition("-")[0]
    if own := sorted(code for code in known if code.partition("-")[0] == base):
        return f"; it has {', '.join(own)}"
    return did_you_mean(language, known) or f"; it has {', '.join(sorted(known))}"


def _sentence(words: Sequence[str]) -> str:
    """The words with spaces, which between Chinese and Japanese characters are none."""
    sentence = words[0]
    for before, word in itertools.pairwise(words):
        sentence += (
            word if before[-1] >= "\u3040" and word[0] >= "\u3040" and not _hangul(word) else f" {word}"
        )
    return sentence


def _hangul(word: str) -> bool:
    return "\uac00" <= word[0] <= "\ud7af"
