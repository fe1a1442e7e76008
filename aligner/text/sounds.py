"""What symbols of phones sound like: ARPAbet (also TIMIT's) and IPA, as letters of IPA.

An alignment takes symbols as they come. Formats that ask for more, such as which phones are vowels, ask here.
"""

import unicodedata
from functools import lru_cache

# CMUdict's ARPAbet, with TIMIT's further symbols.
_ARPABET_NAMES = """
    AA=ɑ AE=æ AH=ʌ AO=ɔ AW=aʊ AX=ə AX-H=ə AXR=ɚ AY=aɪ B=b CH=tʃ D=d DH=ð DX=ɾ EH=ɛ EL=l EM=m EN=n ENG=ŋ
    ER=ɝ EY=eɪ F=f G=ɡ HH=h HV=h IH=ɪ IX=ɨ IY=i JH=dʒ K=k L=l M=m N=n NG=ŋ NX=n OW=oʊ OY=ɔɪ P=p Q=ʔ R=ɹ
    S=s SH=ʃ T=t TH=θ UH=ʊ UW=u UX=ʉ V=v W=w Y=j Z=z ZH=ʒ BCL=b DCL=d GCL=ɡ KCL=k PCL=p TCL=t
"""
_ARPABET = dict(pair.split("=") for pair in _ARPABET_NAMES.split())
_VOWELS = frozenset("iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒɚɝᵻ")
_CONSONANTS = frozenset("pbtdʈɖcɟkɡgqɢʔmɱnɳɲŋɴʙrʀⱱɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟwʍɥʜʢʡɕʑɺɧɫʧʤʦʣɓɗʄɠʛ")
_MARKS = ("Mn", "Lm", "Sk", "Nd")  # accents, length, stress, ties; digits are stress or tone


@lru_cache(maxsize=4096)
def ipa_letters(symbol: str) -> str:
    """The letters of IPA that a symbol stands for, without stress, length and other marks.

    Args:
        symbol: A phone in ARPAbet, of any case if it has several letters, or in IPA.

    Returns:
        Such as "aɪ" for "AY1" and "ˈaɪ"; "" if it is not known what the symbol stands for.
    """
    plain = symbol.rstrip("0123456789")
    if (len(plain) > 1 and plain.isascii()) or plain.isupper():
        return _ARPABET.get(plain.upper(), "")
    letters = []
    for character in unicodedata.normalize("NFC", plain):
        for part in character if character in _CONSONANTS else unicodedata.normalize("NFD", character):
            if part in _VOWELS or part in _CONSONANTS:
                letters.append(part)
            elif unicodedata.category(part) not in _MARKS:
                return ""
    return "".join(letters)


def is_vowel(symbol: str) -> bool | None:
    """Whether a phone is a vowel; None if it is not known what the symbol stands for.

    Args:
        symbol: As of `ipa_letters`.
    """
    letters = ipa_letters(symbol)
    return any(letter in _VOWELS for letter in letters) if letters else None
