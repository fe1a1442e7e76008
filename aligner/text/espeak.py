"""The phonemizer `espeak`: the phones of eSpeak NG, which depend on the words around.

The packages `phonemizer` and `espeakng-loader` (an extra, GPL-3.0) carry eSpeak NG.
"""

import difflib
import itertools
import logging

from aligner.errors import AlignerError
from aligner.text.chunks import split_words
from aligner.text.transcript import Transcript, Word


class EspeakPhonemizer:
    """eSpeak NG's phones: of each word first as it says it in the sentence, then as it says it alone.

    Args:
        language: One of eSpeak's, such as "en-us".
        keep_stress: Keep the stress marks before the vowels.

    Raises:
        AlignerError: If the extra `espeak` is not installed, or eSpeak lacks the language.
    """

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

    def __call__(self, text: str) -> Transcript:
        """The transcript of a text.

        Raises:
            AlignerError: If nothing can be spoken, or eSpeak has no phones for a word.
        """
        written, breaks = split_words(text)
        if not written:
            raise AlignerError("nothing to speak in the text")
        alone = [self._say_alone(word) for word in written]
        words = []
        for word, in_context, by_itself in zip(written, self._in_context(written, alone), alone, strict=True):
            variants = tuple(dict.fromkeys(phones for phones in (in_context, by_itself) if phones))
            if not variants:
                raise AlignerError(f"eSpeak gives no phones for {word!r}: write it out in words")
            words.append(Word(word, variants))
        return Transcript(tuple(words), tuple(breaks))

    def _in_context(self, written: list[str], alone: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """The phones of each word as said in the sentence; () for a word whose phones cannot be found in it.

        eSpeak joins words ("of the") and reads one as several ("42"), so words cannot be counted off. Its
        phones of the sentence are matched with those of the words said alone.
        """
        word_of_phone = [index for index, phones in enumerate(alone) for _ in phones]
        said = [phone for word in self._say(" ".join(written)) for phone in word] if word_of_phone else []
        matcher = difflib.SequenceMatcher(None, list(itertools.chain(*alone)), said, autojunk=False)
        shares: list[list[str]] = [[] for _ in written]
        for _, i1, i2, j1, j2 in matcher.get_opcodes():
            for j in range(j1, j2):
                i = i1 + (j - j1) * (i2 - i1) // (j2 - j1) if i2 > i1 else max(i1 - 1, 0)
                shares[word_of_phone[i]].append(said[j])
        return [tuple(share) for share in shares]

    def _say(self, text: str) -> list[tuple[str, ...]]:
        """The phones of each word as eSpeak counts words: it joins some, and reads numbers as several."""
        spoken = self._backend.phonemize([text], separator=self._separator, strip=True)
        return [tuple(word.split()) for line in spoken for word in line.split("|")]

    def _say_alone(self, word: str) -> tuple[str, ...]:
        """The phones of one written word on its own."""
        if word not in self._alone:
            self._alone[word] = tuple(itertools.chain(*self._say(word)))
        return self._alone[word]
