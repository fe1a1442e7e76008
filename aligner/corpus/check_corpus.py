"""Checks of a whole corpus: the utterances that can be used, and the refused ones with their reasons."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aligner.corpus.checks import RefusedUtterance, check_audio, check_id, check_symbols, check_text
from aligner.corpus.prepared import Utterance
from aligner.corpus.readers import RawUtterance
from aligner.text.transcript import Transcript

Refused = list[tuple[RawUtterance, RefusedUtterance]]


def _no_progress(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
    return items


def check_corpus(
    raw: Sequence[RawUtterance],
    phonemize: Callable[[str], Transcript] | None,
    known_symbols: frozenset[str] = frozenset(),
    *,
    jobs: int = 1,
    progress: Callable[[Iterable[Any], str, int], Iterable[Any]] = _no_progress,
) -> tuple[list[Utterance], Refused]:
    """Check every utterance: first ids and texts, then the audio of those that are left.

    Args:
        raw: The utterances as found. Of several with one id, the first is kept.
        phonemize: Turns a text into a transcript; None: take the phones of the reference times.
        known_symbols: A model's vocabulary, if the corpus is for one; otherwise empty.
        jobs: Audio files decoded at a time.
        progress: Called with an iterable, what is checked ("texts" or "audio") and the number of items;
            returns the iterable, for example with a progress bar.

    Returns:
        The utterances that can be used, in order, and the refused ones.
    """
    refused: Refused = []
    spoken = list(_check_texts(progress(raw, "texts", len(raw)), phonemize, known_symbols, refused))

    def check(found: RawUtterance, transcript: Transcript | None) -> Utterance:
        utterance = check_audio(found, transcript)
        check_symbols(utterance.transcript, known_symbols)
        return utterance

    utterances: list[Utterance] = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:  # libsndfile decodes outside Python's lock
        checked = [pool.submit(check, *item) for item in spoken]
        for (found, _), future in zip(spoken, progress(checked, "audio", len(spoken)), strict=True):
            try:
                utterances.append(future.result())
            except RefusedUtterance as error:
                refused.append((found, error))
    return utterances, refused


def _check_texts(
    raw: Iterable[RawUtterance],
    phonemize: Callable[[str], Transcript] | None,
    known_symbols: frozenset[str],
    refused: Refused,
) -> Iterator[tuple[RawUtterance, Transcript | None]]:
    """Utterances whose id and text can be used, with their transcript (None: it comes from the reference)."""
    seen: dict[str, RawUtterance] = {}
    for found in raw:
        try:
            if found.id in seen:
                raise RefusedUtterance("duplicate id", f"also the id of {seen[found.id].audio}")
            seen[found.id] = found
            if phonemize is None:
                check_id(found.id)
                yield found, None
            else:
                yield found, check_text(found, phonemize, known_symbols)
        except RefusedUtterance as error:
            refused.append((found, error))
