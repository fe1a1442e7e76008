"""The pronunciations of eSpeak NG, which depend on the words around.

The packages `phonemizer` and `espeakng-loader` (an extra, GPL-3.0) carry eSpeak NG.
"""

import difflib
import itertools
import logging
from collections.abc import Sequence

from aligner.errors import AlignerError
from aligner.text.transcript import Variants


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
        if language not in EspeakBackend.supported_languages():
            raise AlignerError(f"eSpeak has no language {language!r}: see `espeak-ng --voices`")
        quiet = logging.getLogger("aligner.espeak")  # it warns of every sentence with joined words
        quiet.setLevel(logging.ERROR)
        self._backend = EspeakBackend(
            language, with_stress=keep_stress, language_switch="remove-flags", logger=quiet
        )
        self._separator = Separator(phone=" ", word="|", syllable="")
        self._alone: dict[str, tuple[str, ...]] = {}

    def say(self, word: str) -> tuple[Variants, str]:
        """The phones of one word on its own.

        Raises:
            AlignerError: If eSpeak has none.
        """
        if word not in self._alone:
            self._alone[word] = tuple(itertools.chain(*self._say(word)))
        if not self._alone[word]:
            raise AlignerError(f"eSpeak gives no phones for {word!r}: write it out in words")
        return (self._alone[word],), "lexicon"

    def letter(self, letter: str) -> Variants:
        """The name of a letter."""
        return self.say(letter.upper())[0]

    def in_sentence(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """The phones of each word as said in the sentence; () for a word whose phones cannot be found in it.

        eSpeak joins words ("of the") and reads one as several ("42"), so words cannot be counted off. Its
        phones of the sentence are matched with those of the words said alone.
        """
        alone = [self.say(word)[0][0] for word in words]
        word_of_phone = [index for index, phones in enumerate(alone) for _ in phones]
        said = [phone for word in self._say(_sentence(words)) for phone in word]
        matcher = difflib.SequenceMatcher(None, list(itertools.chain(*alone)), said, autojunk=False)
        shares: list[list[str]] = [[] for _ in words]
        for _, i1, i2, j1, j2 in matcher.get_opcodes():
            for j in range(j1, j2):
                i = i1 + (j - j1) * (i2 - i1) // (j2 - j1) if i2 > i1 else max(i1 - 1, 0)
                shares[word_of_phone[i]].append(said[j])
        return [tuple(share) for share in shares]

    def _say(self, text: str) -> list[tuple[str, ...]]:
        """The phones of each word as eSpeak counts words: it joins some, and reads numbers as several."""
        spoken = self._backend.phonemize([text], separator=self._separator, strip=True)
        return [tuple(word.split()) for line in spoken for word in line.split("|")]


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
