"""Whether a corpus looks like speech with its text, since an aligner learns from anything.

Each check looks at the whole corpus, says what looks wrong, and what to do if it is.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.corpus.check_corpus import CheckedCorpus
from aligner.corpus.prepared import Utterance
from aligner.corpus.readers import RawUtterance
from aligner.errors import AlignerError
from aligner.text.transcript import Word

_COLUMNS = "say what the columns are, such as --columns wav,text,speaker"
_NUMBER_TEXT = re.compile(r"[\d\s.,:%+-]+")
_PATH_TEXT = re.compile(
    r"\S+\.(?:wav|flac|mp3|ogg|opus|m4a|npy|pt|txt|lab)|\S*[/\\]\S*[/\\]\S*", re.IGNORECASE
)
FEW = 5  # utterances of which shares say nothing
_SHARE = 0.5
_EQUAL_SHARE = 0.3  # more of one text than a prompt that every speaker reads
_SPELT_SHARE = 0.3  # of words; English has 6 % of one letter, Czech 10 %, and all have a few abbreviations
_SPELT_PHONES = 1.4  # phones a letter: an English word has about 0.8, its letters' names 1.9
_GUESSED_SHARE = 0.4  # of words that the lexicon lacks; names and compounds are a tenth
_SPEAKERS_SHARE = 0.9
# Tokens a second: read speech has 8 to 16, words read one by one with silence around them 2 to 5.
_SLOWEST, _FASTEST = 1.0, 30.0
_OUTLIER_TIMES = 4.0  # from the corpus' median; readers differ by a factor of two
_OUTLIER_TOKENS = 10  # shorter texts, or as short recordings, vary more
_TOGETHER = (
    0.2  # the least correlation of lengths of texts and recordings; pairs that belong together have 0.9
)
_TOGETHER_UTTERANCES = 20
_TOGETHER_SPREAD = 0.25  # lengths that hardly differ cannot go together


@dataclass(frozen=True)
class Doubt:
    """Something about a corpus that looks wrong.

    Args:
        what: A sentence that says what, with how many and an example.
        advice: What to do if it is wrong.
        certain: Whether it cannot be right.
        ids: The utterances that it is about, where it is not about all.
    """

    what: str
    advice: str
    certain: bool = False
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}"


def doubts_about_list(raw: Sequence[RawUtterance], *, tokens: bool) -> list[Doubt]:
    """What looks wrong about the list of a corpus, before any audio is read.

    Args:
        raw: The utterances as found.
        tokens: Whether the texts are the user's own tokens, which may be numbers.
    """
    listed = [one for one in raw if one.text and not one.problem]
    if not listed:
        return []
    checks: list[Callable[[Sequence[RawUtterance]], Iterator[Doubt]]] = [
        _equal_texts,
        _paths,
        _speakers,
        _shared_audio,
    ]
    checks += [] if tokens else [_numbers, _separators]
    return [doubt for check in checks for doubt in check(listed)]


def doubts_about_speech(checked: CheckedCorpus) -> list[Doubt]:
    """What looks wrong about the texts and recordings of a corpus together.

    Args:
        checked: After its checks.
    """
    if not checked.utterances:
        return []
    doubts = [*_words(checked.utterances), *_rates(checked.utterances)]
    if checked.cut_off:
        doubts.append(
            Doubt(
                f"{len(checked.cut_off)} files stop before the end that they name ({_some(checked.cut_off)})",
                "copy or download them again, or leave them out: their texts may go on",
                ids=tuple(checked.cut_off),
            )
        )
    if checked.goes_on:
        doubts.append(
            Doubt(
                f"{len(checked.goes_on)} files go on after the end that their header names "
                f"({_some(checked.goes_on)}), which is not read",
                "write them anew, such as with sox or ffmpeg: their texts may go on",
                ids=tuple(checked.goes_on),
            )
        )
    if checked.wrong_lengths:
        first, lengths = next(iter(checked.wrong_lengths.items()))
        doubts.append(
            Doubt(
                f"{len(checked.wrong_lengths)} files do not have the length that the list gives ({first}: "
                f"{lengths}); they are used whole",
                "are they whole, and those that the list means? If that is no length in seconds, "
                "name its column ignore with --columns",
                ids=tuple(checked.wrong_lengths),
            )
        )
    return doubts


def _equal_texts(listed: Sequence[RawUtterance]) -> Iterator[Doubt]:
    text, most = Counter(one.text for one in listed).most_common(1)[0]
    if (
        len(listed) > 1
        and most == len(listed)
        and (_NUMBER_TEXT.fullmatch(text) or _PATH_TEXT.fullmatch(text))
    ):
        yield Doubt(f"all {most} texts are {text[:60]!r}", f"that is no text: {_COLUMNS}", certain=True)
    elif most >= FEW and most > _EQUAL_SHARE * len(listed):
        yield Doubt(f"{most} of {len(listed)} texts are {text[:60]!r}", f"if they are no texts, {_COLUMNS}")


def _numbers(listed: Sequence[RawUtterance]) -> Iterator[Doubt]:
    numbers = [one for one in listed if _NUMBER_TEXT.fullmatch(one.text)]
    if len(numbers) > _SHARE * len(listed):
        yield Doubt(
            f"{len(numbers)} of {len(listed)} texts are numbers ({numbers[0].id}: {numbers[0].text[:40]!r})",
            f"if they are speakers, lengths or the like, {_COLUMNS}",
        )


def _paths(listed: Sequence[RawUtterance]) -> Iterator[Doubt]:
    paths = [one for one in listed if _PATH_TEXT.fullmatch(one.text)]
    if len(paths) > _SHARE * len(listed):
        yield Doubt(
            f"{len(paths)} of {len(listed)} texts are names of files ({paths[0].id}: {paths[0].text[:60]!r})",
            _COLUMNS,
            certain=len(paths) == len(listed) and len(paths) > 1,
        )


def _separators(listed: Sequence[RawUtterance]) -> Iterator[Doubt]:
    having = [one for one in listed if "|" in one.text or "\t" in one.text]
    if having:
        yield Doubt(
            f"{len(having)} of {len(listed)} texts hold a separator of fields ({having[0].id}: "
            f"{having[0].text[:60]!r})",
            f"{_COLUMNS}; if the texts are tokens, --phonemizer tokens",
        )


def _speakers(listed: Sequence[RawUtterance]) -> Iterator[Doubt]:
    speakers = Counter(one.speaker for one in listed if one.speaker)
    if len(listed) >= 2 * FEW and len(speakers) > _SPEAKERS_SHARE * len(listed):
        yield Doubt(
            f"{len(speakers)} speakers have {len(listed)} utterances ({listed[0].id}: speaker "
            f"{listed[0].speaker[:40]!r})",
            f"if that is no speaker, {_COLUMNS}",
        )


def _words(utterances: Sequence[Utterance]) -> Iterator[Doubt]:
    """Words that are spelt letter by letter, and words that a lexicon does not know."""
    words = Counter(word for one in utterances for word in one.transcript.words if word.source != "given")
    total = sum(words.values())
    if total < 2 * FEW:
        return
    cased = {word: n for word, n in words.items() if word.text.lower() != word.text.upper()}
    spelt = {word: n for word, n in cased.items() if _is_spelt(word)}
    if sum(spelt.values()) > _SPELT_SHARE * sum(cased.values()):
        shown = ", ".join(f"{w.text} [{' '.join(w.variants[0])}]" for w in _most_frequent(spelt))
        yield Doubt(
            f"{sum(spelt.values())} of {total} words are spelt letter by letter ({shown})",
            "write words in small letters",
        )
    guessed = {word: n for word, n in words.items() if word.source == "g2p"}
    if sum(guessed.values()) > _GUESSED_SHARE * total:
        shown = ", ".join(word.text for word in _most_frequent(guessed))
        yield Doubt(
            f"{sum(guessed.values())} of {total} words are not in the lexicon ({shown})",
            "is --language the language of the texts?",
        )


def _is_spelt(word: Word) -> bool:
    """Whether a word is a letter, or has as many phones as the names of its letters."""
    letters = len(word.text)
    return letters == 1 or (letters > 3 and len(word.variants[0]) >= _SPELT_PHONES * letters)


def _most_frequent(counts: dict[Word, int]) -> list[Word]:
    return sorted(counts, key=lambda word: (-counts[word], word.text))[:3]


def _shared_audio(listed: Sequence[RawUtterance]) -> Iterator[Doubt]:
    owners: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for one in listed:
        if one.audio is not None:
            owners[(one.audio, one.start_s, one.duration_s, one.channels)].append(one.id)
    shared = [ids for ids in owners.values() if len(ids) > 1]
    if shared:
        first = shared[0][0]
        another = next((f"and {id}" for id in shared[0] if id != first), "twice")
        yield Doubt(
            f"{sum(map(len, shared))} utterances share their audio with another ({first} {another})",
            "at most one of their texts can be right: correct the list",
            ids=tuple(id for ids in shared for id in ids),
        )


def _rates(utterances: Sequence[Utterance]) -> Iterator[Doubt]:
    """Tokens a second: of the corpus, of single utterances, and whether long texts have long recordings."""
    n_tokens = np.array([one.transcript.min_tokens() for one in utterances], np.float64)
    seconds = np.array([one.duration_s for one in utterances])
    rates = n_tokens / seconds
    median = float(np.median(rates))
    if not _SLOWEST <= median <= _FASTEST:
        many = "few" if median < _SLOWEST else "many"
        yield Doubt(
            f"the texts have {median:.1f} tokens a second of audio, which is too {many} for speech",
            f"are these the recordings of these texts? {_COLUMNS}",
        )
        return
    if len(utterances) < FEW:
        return
    usual = np.maximum(n_tokens, median * seconds) >= _OUTLIER_TOKENS
    for far, many in (
        (usual & (rates * _OUTLIER_TIMES < median), "few"),
        (usual & (rates > median * _OUTLIER_TIMES), "many"),
    ):
        if far.any():
            worst = int(np.argmin(np.where(far, rates, np.inf)) if many == "few" else np.argmax(rates * far))
            yield Doubt(
                f"{int(far.sum())} utterances have far too {many} words for their length "
                f"({utterances[worst].id}: {rates[worst]:.1f} tokens a second, the corpus {median:.1f})",
                "is each text that of its recording?",
                ids=tuple(utterances[place].id for place in np.flatnonzero(far)),
            )
    yield from _together(n_tokens, seconds)


def _together(n_tokens: NDArray[np.float64], seconds: NDArray[np.float64]) -> Iterator[Doubt]:
    if len(seconds) < _TOGETHER_UTTERANCES:
        return
    if any(values.std() < _TOGETHER_SPREAD * values.mean() for values in (n_tokens, seconds)):
        return
    ranks = [values.argsort().argsort() for values in (n_tokens, seconds)]
    together = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    if together < _TOGETHER:
        yield Doubt(
            f"long texts do not have long recordings (correlation {together:.2f})",
            "are the texts those of other recordings, shifted by a line perhaps?",
        )


def refuse_if_certain(doubts: Sequence[Doubt]) -> None:
    """Refuse a corpus that cannot have been read as it was meant.

    Raises:
        AlignerError: If one of the doubts is certain.
    """
    for doubt in doubts:
        if doubt.certain:
            raise AlignerError(str(doubt))


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
