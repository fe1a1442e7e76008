"""Kept boundaries: those that a person set in an earlier alignment, and that a new one is to hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligner.alignment import Alignment, Interval
from aligner.corpus.prepared import Utterance
from aligner.errors import AlignerError
from aligner.formats import read
from aligner.text.transcript import Tokens, Transcript, normalised_word

_SAME_S = 1e-6  # times that differ by less are one, written twice
_OTHER_LENGTH_S = 0.01  # a recording whose length differs by more is another


@dataclass(frozen=True)
class Kept:
    """What a person set and marked in one utterance.

    Args:
        boundaries_s: Times by boundary: boundary t is before token t of the transcript's tokens.
        pauses: The optional pauses beside these that the person saw: they are no longer optional.
        wrong_words: Indices of the words that are marked as wrong.
    """

    boundaries_s: Mapping[int, float] = field(default_factory=dict)
    pauses: frozenset[int] = frozenset()
    wrong_words: tuple[int, ...] = ()

    def noted(self, alignment: Alignment) -> Alignment:
        """The alignment with a note of what a person set and marked, so that it can be kept again.

        Args:
            alignment: Of the utterance, in which this was kept.
        """
        if not (self.boundaries_s or self.wrong_words):
            return alignment
        by_hand_s = tuple(sorted(set(self.boundaries_s.values())))
        return replace(alignment, by_hand_s=by_hand_s, wrong_words=self.wrong_words)


def read_kept(paths: Iterable[Path]) -> dict[str, Alignment]:
    """The alignments that a person corrected, by utterance id.

    Args:
        paths: What was saved from reports, or alignments that hold such corrections. Of an utterance that is
            in several, the last counts.

    Raises:
        AlignerError: One cannot be read, or nothing in it was set or marked by a person.
    """
    kept: dict[str, Alignment] = {}
    for path in paths:
        found = {own.id: own for own in read(path) if own.by_hand_s or own.wrong_words}
        if not found:
            raise AlignerError(
                f"{path}: says of no boundary that a person set it; name what the page of `aligner report` "
                "saved"
            )
        kept |= found
    return kept


def kept_in(utterance: Utterance, corrected: Alignment) -> tuple[Transcript, Kept]:
    """What is to be kept of an utterance, and the transcript with the tokens that it is said of.

    Args:
        utterance: Of the corpus that is aligned.
        corrected: The utterance as a person corrected it.

    Raises:
        AlignerError: They have other words or tokens, or another length.
    """
    words = [word.text for word in utterance.transcript.words]
    theirs = [word.symbol for word in corrected.words]
    if [normalised_word(word) for word in words] != [normalised_word(word) for word in theirs]:
        raise AlignerError(
            f"its corrections are of the words {' '.join(theirs)!r}, the text is {' '.join(words)!r}: "
            "correct the new alignment"
        )
    if not corrected.by_hand_s:
        return utterance.transcript, Kept(wrong_words=corrected.wrong_words)
    if abs(corrected.duration_s - utterance.duration_s) > _OTHER_LENGTH_S:
        raise AlignerError(
            f"its corrections are of a recording of {corrected.duration_s:.3f} s, this one has "
            f"{utterance.duration_s:.3f} s"
        )
    transcript = _as_said(utterance.transcript, corrected)
    tokens = transcript.tokens()
    boundaries_s: dict[int, float] = {}
    pauses: set[int] = set()
    places = _places(tokens, corrected.tokens)
    for time_s in corrected.by_hand_s:
        found = [t for t, own in enumerate(corrected.tokens) if abs(own.start_s - time_s) <= _SAME_S]
        if not found:
            raise AlignerError(f"{time_s:.4f} s was set by hand, but no phone begins there")
        for t in found:
            # also around pauses that are possible here, and that the person saw none of
            before = places[t - 1] + 1 if t else 0
            boundaries_s |= dict.fromkeys(range(before, places[t] + 1), time_s)
            pauses |= {place for place in places[max(0, t - 1) : t + 1] if tokens.skippable[place]}
    return transcript, Kept(boundaries_s, frozenset(pauses), corrected.wrong_words)


def _as_said(transcript: Transcript, corrected: Alignment) -> Transcript:
    """The transcript with the pronunciations that the person saw; a consumer's own tokens as they are."""
    if transcript.fixed is not None:
        return transcript
    phones: list[list[str]] = [[] for _ in transcript.words]
    for token in corrected.tokens:
        if token.word >= 0:
            phones[token.word].append(token.symbol)
    if not all(phones):
        raise AlignerError("its corrections have a word without phones")
    said = zip(transcript.words, phones, strict=True)
    words = tuple(replace(word, variants=(tuple(own),), log_priors=()) for word, own in said)
    return replace(transcript, words=words)


def _places(tokens: Tokens, corrected: Sequence[Interval]) -> list[int]:
    """Where each corrected token is among all tokens, of which optional pauses may be left out.

    Raises:
        AlignerError: They are other tokens.
    """
    places, t = [], 0
    for own in corrected:
        while t < len(tokens) and tokens.skippable[t] and (own.word >= 0 or own.symbol != tokens.symbols[t]):
            t += 1
        if t == len(tokens) or (own.symbol, own.word) != (tokens.symbols[t], tokens.words[t]):
            break
        places.append(t)
        t += 1
    if len(places) < len(corrected) or not all(tokens.skippable[t:]):
        raise AlignerError(
            f"its corrections are of the tokens {' '.join(own.symbol for own in corrected)}, the text has "
            f"{' '.join(tokens.symbols)}"
        )
    return places
