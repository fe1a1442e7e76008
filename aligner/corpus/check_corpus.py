"""Checks of a whole corpus: the utterances that can be used, and the refused ones with their reasons."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aligner.corpus.checks import (
    CheckedAudio,
    RefusedUtterance,
    check_audio,
    check_found,
    check_language,
    check_symbols,
    check_text,
)
from aligner.corpus.prepared import Utterance
from aligner.corpus.readers import RawUtterance
from aligner.text.transcript import Transcript

_NOTED_S = 0.001  # less is the rounding of the list
_AHEAD = 16  # files for each thread, so that none waits for the one that decodes longest

Refused = list[tuple[RawUtterance, RefusedUtterance]]


@dataclass
class CheckedCorpus:
    """What is left of a corpus after its checks.

    Args:
        utterances: Those that can be used, in order.
        refused: The others, with the reasons.
        references_refused: Ids of utterances whose reference times cannot be used, with the reasons.
        cut_off: Ids of utterances whose file ends before the end that its header names.
        goes_on: Ids of utterances whose file goes on after the end that its header names.
        missing_s: By id, how many seconds a file is shorter than listed, where that is its format's fill.
        wrong_lengths: By id, the listed and the real length of a file, where they differ by more.
    """

    utterances: list[Utterance] = field(default_factory=list)
    refused: Refused = field(default_factory=list)
    references_refused: list[tuple[str, str]] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    goes_on: list[str] = field(default_factory=list)
    missing_s: dict[str, float] = field(default_factory=dict)
    wrong_lengths: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """What else is to be known about the audio, a sentence each."""
        if not self.missing_s:
            return []
        longest = max(self.missing_s, key=lambda id: self.missing_s[id])
        return [
            f"{len(self.missing_s)} recordings are shorter than listed, by at most "
            f"{self.missing_s[longest]:.3f} s ({longest}), and used as they are: MP3 and AAC often count "
            "silence that they add"
        ]


def _no_progress(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
    return items


def check_corpus(
    raw: Sequence[RawUtterance],
    phonemize: Callable[[str], Transcript] | None,
    known_symbols: frozenset[str] = frozenset(),
    *,
    language: str = "",
    jobs: int = 1,
    progress: Callable[[Iterable[Any], str, int], Iterable[Any]] = _no_progress,
) -> CheckedCorpus:
    """Check every utterance: first ids and texts, then the audio of those that are left.

    Args:
        raw: The utterances as found. Of several with one id, the first that can be used is kept.
        phonemize: Turns a text into a transcript; None: take the phones of the reference times.
        known_symbols: A model's vocabulary, if the corpus is for one; otherwise empty.
        language: As which texts are read; "" where that is not known.
        jobs: Audio files decoded at a time.
        progress: Called with an iterable, what is checked ("texts" or "audio") and the number of items;
            returns the iterable, for example with a progress bar.
    """
    corpus = CheckedCorpus()
    spoken = list(
        _check_texts(progress(raw, "texts", len(raw)), phonemize, known_symbols, language, corpus.refused)
    )

    def check(found: RawUtterance, transcript: Transcript | None) -> CheckedAudio:
        checked = check_audio(found, transcript)
        check_symbols(checked.utterance.transcript, known_symbols)
        return checked

    owners: dict[str, RawUtterance] = {}  # an id is taken by an utterance that can be used
    with ThreadPoolExecutor(max(1, jobs)) as pool:  # libsndfile decodes outside Python's lock
        checked = _ahead(pool, check, spoken, _AHEAD * max(1, jobs))
        for found, future in progress(checked, "audio", len(spoken)):
            try:
                result = future.result()
                if found.id in owners:
                    raise RefusedUtterance("duplicate id", f"also the id of {owners[found.id].audio}")
            except RefusedUtterance as error:
                corpus.refused.append((found, error))
                continue
            owners[found.id] = found
            corpus.utterances.append(result.utterance)
            if result.reference_problem:
                corpus.references_refused.append((found.id, result.reference_problem))
            if result.cut_off:
                corpus.cut_off.append(found.id)
            if result.goes_on:
                corpus.goes_on.append(found.id)
            if result.wrong_length:
                corpus.wrong_lengths[found.id] = result.wrong_length
            if result.missing_s >= _NOTED_S:
                corpus.missing_s[found.id] = result.missing_s
    return corpus


def _ahead(
    pool: ThreadPoolExecutor,
    check: Callable[[RawUtterance, Transcript | None], CheckedAudio],
    spoken: Sequence[tuple[RawUtterance, Transcript | None]],
    ahead: int,
) -> Iterator[tuple[RawUtterance, Future[CheckedAudio]]]:
    """Each utterance with its check, of which a few are begun ahead: all at once would take much memory."""
    waiting: deque[tuple[RawUtterance, Future[CheckedAudio]]] = deque()
    for found, transcript in spoken:
        waiting.append((found, pool.submit(check, found, transcript)))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _check_texts(
    raw: Iterable[RawUtterance],
    phonemize: Callable[[str], Transcript] | None,
    known_symbols: frozenset[str],
    language: str,
    refused: Refused,
) -> Iterator[tuple[RawUtterance, Transcript | None]]:
    """Utterances whose id and text can be used, with their transcript (None: it comes from the reference)."""
    for found in raw:
        try:
            check_found(found)
            check_language(found, language)
            yield found, None if phonemize is None else check_text(found, phonemize, known_symbols)
        except RefusedUtterance as error:
            refused.append((found, error))
