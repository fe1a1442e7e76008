"""English: weak forms of function words, r before vowels, the suffix -s, and ARPAbet for IPA."""

from collections.abc import Callable, Sequence

from aligner.text.transcript import Variants

# What function words become without stress, for words whose lexicon entry is the full form only. They are
# added to the lexicon's pronunciations, never put in their place.
# Source: Cruttenden, Gimson's Pronunciation of English, section 11.3; and "had your" with one sound for d
# and j, as four of TIMIT's eight speakers here say it.
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
    "your": "j ɚ|d͡ʒ ɚ",
}

# The phones of gruut's English lexicon in ARPAbet, which has no symbol of its own for the schwa.
_ARPABET_TABLE = """
ɑ AA    æ AE    ʌ AH    ə AH    ɔ AO    aʊ AW   aɪ AY   b B     t͡ʃ CH
d D     ð DH    ɛ EH    ɚ ER    eɪ EY   f F     ɡ G     h HH    ɪ IH
i IY    d͡ʒ JH   k K     l L     m M     n N     ŋ NG    oʊ OW   ɔɪ OY
p P     ɹ R     s S     ʃ SH    t T     θ TH    ʊ UH    u UW    v V
w W     j Y     z Z     ʒ ZH
"""
ARPABET_OF_IPA = dict(zip(_ARPABET_TABLE.split()[::2], _ARPABET_TABLE.split()[1::2], strict=True))


def weak_forms(word: str) -> Variants:
    """The pronunciations in IPA of an unstressed function word, given in lower case; () for other words."""
    forms = ENGLISH_WEAK_FORMS.get(word, "")
    return tuple(tuple(form.split()) for form in forms.split("|") if form)


def r_forms(
    phones: tuple[str, ...], names: Sequence[str], spelt: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> Variants:
    """A pronunciation with each unstressed ɚ before a vowel as ə ɹ; () if it has none.

    It is what is said: CMUdict's "around" and gruut's begin with ER0 AW1.

    Args:
        phones: Of the word, in whatever notation.
        names: Each one's name in ARPAbet, without stress.
        spelt: From unstressed IPA to that notation.
    """
    followed = [name[:1] in set("AEIOU") for name in (*names[1:], "")]
    return tuple(
        (*phones[:k], *spelt(("ə", "ɹ")), *phones[k + 1 :])
        for k, name in enumerate(names)
        if name == "ER" and followed[k] and phones[k : k + 1] == spelt(("ɚ",))
    )


def s_suffix(last: str) -> tuple[str, ...]:
    """The phones in IPA of the suffix -s (dogs, dog's) after a word whose last phone is `last`."""
    if last in {"s", "z", "ʃ", "ʒ", "t͡ʃ", "d͡ʒ"}:
        return ("ɪ", "z")
    return ("s",) if last in {"p", "t", "k", "f", "θ"} else ("z",)
