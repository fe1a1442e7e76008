"""TIMIT's hand-made phones as an aligner's tokens.

TIMIT labels the closure of a stop and its burst apart, and tells four kinds of silence apart. A text knows
one stop and one pause, so that is what both the tokens and the reference times are reduced to before they
meet.
"""

from aligner.alignment import Interval
from aligner.text.transcript import PAUSE

# A closure and the bursts that end it. dcl and tcl also open the affricates. A closure whose burst was not
# released is the stop itself; q (a glottal stop) has no closure of its own and stays.
BURSTS_OF_CLOSURE = {
    "bcl": ("b",),
    "dcl": ("d", "jh"),
    "gcl": ("g",),
    "pcl": ("p",),
    "tcl": ("t", "ch"),
    "kcl": ("k",),
}
# Silence at the ends, a pause, and the silence between a fricative and a sonorant (epi), which nobody writes.
SILENCES = frozenset({"h#", "pau", "epi"})


def merge_phones(phones: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """TIMIT's phones with closures merged into their stops and all silences called `sil`, adjacent ones
    joined.
    """
    merged: list[Interval] = []
    closure = ""  # of the last phone, while its burst may still come
    for phone in phones:
        symbol = PAUSE if phone.symbol in SILENCES else phone.symbol
        continues = symbol in BURSTS_OF_CLOSURE.get(closure, ()) or (
            symbol == PAUSE and bool(merged) and merged[-1].symbol == PAUSE
        )
        if continues:
            start_s = merged.pop().start_s
        else:
            start_s = phone.start_s
        closure = symbol if symbol in BURSTS_OF_CLOSURE else ""
        name = BURSTS_OF_CLOSURE[symbol][0] if closure else symbol
        merged.append(Interval(name, start_s, phone.end_s, phone.score, phone.word))
    return tuple(merged)
