"""What is said in one utterance: words with their pronunciations and where pauses may be.

A transcript is what `aligner prepare` stores and what alignment starts from. `tokens` is the linear sequence
a search runs over.
"""

from dataclasses import dataclass, field
from typing import Any

PAUSE = "sil"  # the pause token; every consumer may rename it, none may drop it


@dataclass(frozen=True)
class Word:
    """One written word. `variants` are its pronunciations (phone symbols), most usual first, at least one.

    source: "lexicon", "g2p" (guessed: not in the lexicon) or "given" (the user's own tokens).
    """

    text: str
    variants: tuple[tuple[str, ...], ...]
    source: str = "lexicon"


@dataclass(frozen=True)
class Tokens:
    """T tokens to align. `words[t]` is the index of the word token t belongs to, -1 for none (a pause, a
    blank).

    `skippable[t]`: the search may give token t no frame (optional pauses only).
    """

    symbols: tuple[str, ...]
    words: tuple[int, ...]
    skippable: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True)
class Transcript:
    """Words, and the punctuation after each: `breaks` has one entry more than `words`.

    `breaks[i]` stands before word i, the last one after the last word: "" nothing written there (a pause is
    still possible), otherwise the punctuation that was. `fixed`, if set, is the user's own token sequence,
    used as is: one token per entry, none skippable, none inserted.
    """

    words: tuple[Word, ...]
    breaks: tuple[str, ...] = ()
    fixed: Tokens | None = field(default=None)

    def tokens(self, variants: tuple[int, ...] | None = None) -> Tokens:
        """The token sequence, with pronunciation `variants[i]` of word i (default: the first of each).

        A skippable pause stands at both ends and between any two words.
        """
        if self.fixed is not None:
            return self.fixed
        symbols, words, skippable = [PAUSE], [-1], [True]
        for index, word in enumerate(self.words):
            phones = word.variants[variants[index] if variants else 0]
            symbols += [*phones, PAUSE]
            words += [index] * len(phones) + [-1]
            skippable += [False] * len(phones) + [True]
        return Tokens(tuple(symbols), tuple(words), tuple(skippable))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for a manifest."""
        data: dict[str, Any] = {
            "words": [[w.text, [" ".join(v) for v in w.variants], w.source] for w in self.words],
            "breaks": list(self.breaks),
        }
        if self.fixed is not None:
            data["fixed"] = [list(self.fixed.symbols), list(self.fixed.words)]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Transcript":
        """The inverse of `to_dict`."""
        words = tuple(Word(t, tuple(tuple(v.split(" ")) for v in vs), s) for t, vs, s in data["words"])
        fixed = None
        if "fixed" in data:
            symbols, indices = data["fixed"]
            fixed = Tokens(tuple(symbols), tuple(indices), (False,) * len(symbols))
        return cls(words, tuple(data["breaks"]), fixed)
