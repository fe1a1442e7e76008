"""The user's own symbols as tokens."""

from collections.abc import Iterable, Sequence

from aligner.errors import AlignerError
from aligner.text.transcript import Tokens, Transcript, Word

_UNSEEN = str.maketrans("", "", "\ufeff\u200b\u200e\u200f\u2060")  # copied along, part of no symbol
_SENTENCE_ENDS = ".,!?;:"
_LONG_SYMBOL = 4  # letters; phones of ARPAbet, X-SAMPA and IPA have fewer


class TokenReader:
    """The user's own symbols, separated by spaces: each becomes a token that must be spoken.

    Words are what stands between `|` signs or between pauses. Optional pauses of ours are added at both ends
    and at `|`, but not beside a pause or a blank.

    Args:
        pause_symbols: The symbols that are pauses; they belong to no word.
        blank_symbols: The symbols between the others (the interspersed blanks of VITS and Matcha-TTS); they
            belong to no word, but do not end one.
    """

    def __init__(self, pause_symbols: Iterable[str] = (), blank_symbols: Iterable[str] = ()) -> None:
        self._pauses = frozenset(pause_symbols)
        self._blanks = frozenset(blank_symbols)

    def __call__(self, text: str) -> Transcript:
        """The transcript of a text of symbols.

        Raises:
            AlignerError: If there are no symbols, or nothing but pauses and blanks.
        """
        symbols: list[str] = []
        indices: list[int] = []
        groups: list[list[str]] = [[]]
        for symbol in text.translate(_UNSEEN).split():
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
        return Transcript(words, ("",) * (len(words) + 1), Tokens.given(symbols, indices))


def looks_like_prose(texts: Sequence[str]) -> bool:
    """Whether texts that are said to be tokens are ordinary sentences: long words of letters, and commas and
    full stops written to them.

    Args:
        texts: Of a corpus.
    """
    symbols = [symbol for text in texts for symbol in text.split()]
    words = [symbol.strip("\"'“”‘’()" + _SENTENCE_ENDS) for symbol in symbols]
    long_words = sum(len(word) >= _LONG_SYMBOL and word.isalpha() for word in words)
    ended = sum(len(s) > 2 and s[-1] in _SENTENCE_ENDS and s[:-1].isalpha() for s in symbols)
    spelt_alike = len(set(words)) < len(words) / 20  # few symbols, each many times: they are tokens
    return (
        not spelt_alike and long_words > 0.3 * len(symbols) and (ended > 0 or long_words > 0.4 * len(symbols))
    )
