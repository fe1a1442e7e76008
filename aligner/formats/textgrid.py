"""TextGrid, the format of Praat, MFA, MAUS and FastSpeech2: named tiers of labelled intervals."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aligner.alignment import Alignment, Gap, Interval, words_around
from aligner.errors import AlignerError
from aligner.formats.tiers import Entry, alignment_from_entries, cut_out_pauses
from aligner.formats.writer import Writer, label, safe_name
from aligner.text.transcript import GAP, PAUSE

# Usual names of tiers, in lower case (MFA: words, phones; TIMIT: its suffixes wrd, phn).
_WORD_TIERS = ("words", "word", "wrd")
_PHONE_TIERS = ("phones", "phone", "phonemes", "phoneme", "segments", "phn")

ADDED_PAUSES = "added pauses"  # the tier of the pauses among a consumer's own tokens
GAPS = "gaps"  # the tier of speech that the text lacks, with the words that should have been said instead

# A quoted text, in which "" stands for a quote; a number; a flag. All free-standing.
_FREE_STANDING = re.compile(
    r'(?<!\S)(?:("(?:[^"]|"")*")|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(<exists>|<absent>))(?!\S)'
)

TierInterval = tuple[float, float, str]  # start in seconds, end in seconds, label


def read_textgrid(
    path: Path, id: str, speaker: str = "", words_tier: str | None = None, phones_tier: str | None = None
) -> Alignment:
    """The alignment in a Praat TextGrid, in any of its text forms.

    Args:
        path: The TextGrid.
        id: The utterance's id.
        speaker: The speaker's name, "" if unknown.
        words_tier: Name of the word tier. None: "words" or the like, also behind a speaker's name as MFA
            writes it ("anna - words").
        phones_tier: Name of the phone tier. None: "phones" or the like.

    Raises:
        AlignerError: The file is not a whole TextGrid, its times make no sense, a named tier is missing,
            neither tier is there, or several tiers have the usual names.
    """
    begin_s, end_s, tiers = _parsed(path)
    if begin_s:
        raise AlignerError(f"{path}: begins at {begin_s} s; a TextGrid of the whole recording begins at 0")
    words = _entries(path, tiers, words_tier, _WORD_TIERS)
    phones = _entries(path, tiers, phones_tier, _PHONE_TIERS)
    if words is None and phones is None:
        raise AlignerError(
            f"{path}: no tier of words or phones among {[t.name for t in tiers]}; name one with --tier"
        )
    one = alignment_from_entries(id, end_s, phones or (), words or (), speaker)
    marks = [entry for tier in tiers if tier.name == GAPS for entry in tier.entries if entry[0]]
    gaps = (
        Gap(start_s, stop_s, () if text == GAP else tuple(text.split())) for text, start_s, stop_s, _ in marks
    )
    one = replace(one, gaps=tuple(gaps))
    pauses = [entry for tier in tiers if tier.name == ADDED_PAUSES for entry in tier.entries if entry[0]]
    if not pauses:
        return one
    tokens = cut_out_pauses(one.tokens, pauses)
    return replace(one, tokens=tokens, words=words_around(one.words, tokens))


def tier_names(path: Path) -> list[str]:
    """The names of a TextGrid's tiers, in its order.

    Args:
        path: The TextGrid.

    Raises:
        AlignerError: The file is not a whole TextGrid.
    """
    return [tier.name for tier in _parsed(path)[2]]


def labelled_intervals(path: Path) -> dict[str, list[TierInterval]]:
    """The intervals with a label of each tier that has intervals, by the tier's name.

    Args:
        path: The TextGrid.

    Raises:
        AlignerError: The file is not a whole TextGrid, or has two tiers of one name.
    """
    tiers = _parsed(path)[2]
    names = [tier.name for tier in tiers]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise AlignerError(f"{path}: several tiers are named {twice!r}; give them names of their own")
    return {
        tier.name: [(start_s, end_s, text) for text, start_s, end_s, _ in tier.entries if text]
        for tier in tiers
        if not tier.of_points
    }


def textgrid_text(duration_s: float, tiers: dict[str, list[TierInterval]]) -> str:
    """The content of a TextGrid in Praat's long text form.

    Without exponents in numbers, which other readers of TextGrids do not take. Not with praatio, because it
    takes five times as long, which is felt where every utterance gets a file or two.

    Args:
        duration_s: Length of the recording in seconds.
        tiers: The intervals of each tier by its name; they cover [0, duration_s].
    """
    end = _seconds(duration_s)
    parts = [
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
        f"xmin = 0 \nxmax = {end} \ntiers? <exists> \nsize = {len(tiers)} \nitem []: \n"
    ]
    for number, (name, entries) in enumerate(tiers.items(), 1):
        parts.append(
            f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" \n'
            f"        xmin = 0 \n        xmax = {end} \n        intervals: size = {len(entries)} \n"
        )
        previous_s, written = 0.0, "0"
        for place, (start_s, end_s, text) in enumerate(entries, 1):
            start = written if start_s == previous_s else _seconds(start_s)
            previous_s, written = end_s, _seconds(end_s)
            quoted = text.replace('"', '""')
            parts.append(
                f"        intervals [{place}]:\n            xmin = {start} \n            xmax = {written} \n"
                f'            text = "{quoted}" \n'
            )
    return "".join(parts)


def covering_tier(
    intervals: Sequence[Interval], duration_s: float, between: str = PAUSE
) -> list[TierInterval]:
    """The intervals of a tier that covers [0, duration_s].

    Args:
        intervals: Tokens or words in order of time, without overlap.
        duration_s: Length of the recording in seconds.
        between: The label where no interval is. Empty in a tier of words: readers of TextGrids take words for
            what has a label, and drop the rest.

    Raises:
        AlignerError: An interval lies in the one before it. (One that begins there begins where that ends:
            TIMIT's words overlap.)
    """
    tier, filled_s = [], 0.0
    for interval in intervals:
        if interval.start_s > filled_s:
            tier.append((filled_s, interval.start_s, between))
            filled_s = interval.start_s
        if interval.end_s <= filled_s:
            raise AlignerError(
                f"{interval.symbol!r} has no time of its own, which a TextGrid needs; if it is a blank, "
                "export TextGrids without --blanks"
            )
        tier.append((filled_s, interval.end_s, label(interval.symbol)))
        filled_s = interval.end_s
    if filled_s < duration_s:
        tier.append((filled_s, duration_s, between))
    return tier


class TextGrid(Writer):
    """`{id}.TextGrid` with the tiers `words` and `phones`; in a folder of the speaker, if there is one.

    Both tiers cover [0, duration]. No phone has an empty label; where no word is, the label is empty. Pauses
    added among a consumer's own tokens have a tier `added pauses`, and their time is a neighbour's. Speech
    that the text lacks has a tier `gaps`, with the words that are not said instead or "spn"; where nothing is
    said instead, words have no extent, and no place in it.
    """

    shows_added_pauses = True

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        parts = [self.folder.name_of(alignment.speaker)] if alignment.speaker else []
        return [(*parts, f"{name}.TextGrid")]

    def name(self, alignment: Alignment) -> str:
        return self.folder.name(alignment.id, safe_name(alignment.speaker) if alignment.speaker else "")

    def write(self, alignment: Alignment, name: str) -> None:
        own, duration_s = alignment.own_tokens(self.settings.pauses_to), alignment.duration_s
        tiers = {
            "words": covering_tier(own.words, duration_s, ""),
            "phones": covering_tier(own.tokens, duration_s),
        }
        pauses = [token for token in alignment.tokens if token.added]
        if pauses:
            tiers[ADDED_PAUSES] = covering_tier(pauses, duration_s, "")
        gaps = [
            Interval(" ".join(gap.unsaid) or GAP, gap.start_s, gap.end_s)
            for gap in alignment.gaps
            if gap.end_s > gap.start_s
        ]
        if gaps:
            tiers[GAPS] = covering_tier(gaps, duration_s, "")
        (path,) = self.paths(alignment, name)
        self.folder.text(textgrid_text(duration_s, tiers), *path)


@dataclass(frozen=True)
class _Tier:
    """A tier as it stands in the file.

    Args:
        name: Its name.
        entries: Its intervals; none for a tier of points.
        of_points: Whether it is a tier of points.
    """

    name: str
    entries: list[Entry]
    of_points: bool


def _parsed(path: Path) -> tuple[float, float, list[_Tier]]:
    """Start, end and tiers of a TextGrid, by Praat's own rule: only what stands free is read, in its order.

    Numbers, quoted texts and <exists> count, everything else is a comment; so the long form and the short
    one are read alike. By hand, because praatio takes a file that was cut off for a shorter one, and refuses
    overlaps of 1e-17 s.

    Source: Praat's manual, "TextGrid file formats".
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeError as error:
        raise AlignerError(f"{path}: neither UTF-8 nor UTF-16: convert it with iconv") from error
    if "\0" in text:
        raise AlignerError(f"{path}: UTF-16 without a byte order mark, or no text: convert it with iconv")
    items = iter(_FREE_STANDING.findall(text))

    def string() -> str:
        quoted = next(items)[0]
        if not quoted:
            raise ValueError
        return quoted[1:-1].replace('""', '"')

    def number() -> float:
        return float(next(items)[1])

    try:
        if not string().startswith("ooTextFile") or string() != "TextGrid":
            raise AlignerError(f"{path}: not a TextGrid")
        begin_s, end_s, flag = number(), number(), next(items)[2]
        tiers = []
        for _ in range(int(number()) if flag == "<exists>" else 0):
            of_points, name, _, _ = string() == "TextTier", string(), number(), number()
            entries: list[Entry] = []
            for _ in range(int(number())):
                if of_points:
                    number(), string()
                else:
                    start_s, stop_s = number(), number()
                    entries.append((string().strip(), start_s, stop_s, None))
            tiers.append(_Tier(name, entries, of_points))
    except (StopIteration, ValueError) as error:
        hint = "; write times with a point, not a comma" if re.search(r"= ?\d+,\d", text) else ""
        raise AlignerError(f"{path}: not a TextGrid that can be read, or cut off{hint}") from error
    return begin_s, end_s, tiers


def _entries(path: Path, tiers: list[_Tier], asked: str | None, usual: tuple[str, ...]) -> list[Entry] | None:
    names = [tier.name for tier in tiers]
    if asked and asked not in names:  # whoever types it need not mind the case
        asked = next((name for name in names if name.casefold() == asked.casefold()), asked)
    named = [asked] if asked else [n for n in names if n.lower().split(" - ")[-1].strip() in usual]
    if asked and asked not in names:
        raise AlignerError(f"{path}: no tier {asked!r}; it has {names}")
    if named and names.count(named[0]) > 1:
        raise AlignerError(f"{path}: several tiers are named {named[0]!r}; give them names of their own")
    if len(named) > 1:
        raise AlignerError(f"{path}: several tiers could be meant ({named}); name one with --tier")
    if not named:
        return None
    tier = tiers[names.index(named[0])]
    if tier.of_points:
        raise AlignerError(
            f"{path}: the tier {tier.name!r} has points, not intervals; name another with --tier"
        )
    return tier.entries


def _seconds(time_s: float) -> str:
    whole = int(time_s)
    return str(whole) if time_s - whole <= 1e-14 * time_s else f"{time_s:.9f}"
