"""TextGrid, the format of Praat, MFA, MAUS and FastSpeech2: named tiers of labelled intervals."""

from pathlib import Path
from typing import Any

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.formats.tiers import Entry, alignment_from_entries
from aligner.formats.writer import Writer, label
from aligner.text.transcript import PAUSE

# Usual names of tiers, in lower case (MFA: words, phones; TIMIT: its suffixes wrd, phn).
_WORD_TIERS = ("words", "word", "wrd")
_PHONE_TIERS = ("phones", "phone", "segments", "phn")

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
        AlignerError: The file is not a TextGrid, a named tier is missing, neither tier is there, or several
            tiers have the usual names.
    """
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="silence")
    except (PraatioException, IndexError, UnicodeError) as error:
        raise AlignerError(f"{path}: not a TextGrid that can be read ({error})") from error
    tiers = {name: grid.getTier(name) for name in grid.tierNames}
    words = _entries(path, tiers, words_tier, _WORD_TIERS)
    phones = _entries(path, tiers, phones_tier, _PHONE_TIERS)
    if words is None and phones is None:
        raise AlignerError(f"{path}: no tier of words or phones among {list(tiers)}; name one with --tier")
    return alignment_from_entries(id, float(grid.maxTimestamp), phones or (), words or (), speaker)


def textgrid_text(duration_s: float, tiers: dict[str, list[TierInterval]]) -> str:
    """The content of a TextGrid in Praat's long text form.

    As praatio writes it, but without exponents in numbers, which TextGrid readers do not take. Not with
    praatio, because it takes five times as long, which is felt where every utterance gets a file or two.

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


def covering_tier(intervals: tuple[Interval, ...], duration_s: float) -> list[TierInterval]:
    """The intervals of a tier that covers [0, duration_s]: pauses stand where no interval is.

    Args:
        intervals: Tokens or words in order of time, without overlap.
        duration_s: Length of the recording in seconds.
    """
    tier, filled_s = [], 0.0
    for interval in intervals:
        if interval.start_s > filled_s:
            tier.append((filled_s, interval.start_s, PAUSE))
        tier.append((interval.start_s, interval.end_s, label(interval.symbol)))
        filled_s = interval.end_s
    if filled_s < duration_s:
        tier.append((filled_s, duration_s, PAUSE))
    return tier


class TextGrid(Writer):
    """`{id}.TextGrid` with the tiers `words` and `phones`; in a folder of the speaker, if there is one.

    Both tiers cover [0, duration] without an empty label; what no word covers is `sil`.
    """

    def write(self, alignment: Alignment) -> None:
        parts = [self.folder.name_of(alignment.speaker)] if alignment.speaker else []
        name = self.folder.name(alignment.id, *parts)
        tiers = {
            "words": covering_tier(alignment.words, alignment.duration_s),
            "phones": covering_tier(alignment.tokens, alignment.duration_s),
        }
        self.folder.text(textgrid_text(alignment.duration_s, tiers), *parts, f"{name}.TextGrid")


def _entries(
    path: Path, tiers: dict[str, Any], asked: str | None, usual: tuple[str, ...]
) -> list[Entry] | None:
    names = [asked] if asked else [n for n in tiers if n.lower().split(" - ")[-1].strip() in usual]
    if asked and asked not in tiers:
        raise AlignerError(f"{path}: no tier {asked!r}; it has {list(tiers)}")
    if len(names) > 1:
        raise AlignerError(f"{path}: several tiers could be meant ({names}); name one with --tier")
    return [(e.label, float(e.start), float(e.end), None) for e in tiers[names[0]].entries] if names else None


def _seconds(time_s: float) -> str:
    whole = int(time_s)
    return str(whole) if time_s - whole <= 1e-14 * time_s else f"{time_s:.9f}"
