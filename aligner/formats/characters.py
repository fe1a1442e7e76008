"""Times of single characters, as ElevenLabs' API gives them."""

import json
import re
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from aligner.alignment import Alignment
from aligner.formats.writer import Writer
from aligner.text.transcript import normalised_word

_DIGITS = 4
Span = tuple[str, float, float]  # text without white space, its start and end in seconds


class ElevenLabs(Writer):
    """`{id}.json`: times of every character, as ElevenLabs' API gives them with timestamps.

    `alignment` is of the text as written, `normalized_alignment` of the words as they were read; where they
    differ ("1984"), what stands between words that agree shares their time. The characters of a word share
    its time evenly; white space lasts from the word before to the word after.
    """

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.json",)]

    def write(self, alignment: Alignment, name: str) -> None:
        words = [(w.symbol, w.start_s, w.end_s) for w in alignment.words]
        spoken = " ".join(symbol for symbol, _, _ in words)
        data = {
            "alignment": _characters(alignment.text or spoken, words),
            "normalized_alignment": _characters(spoken, words),
        }
        (path,) = self.paths(alignment, name)
        self.folder.text(json.dumps(data, ensure_ascii=False) + "\n", *path)


def _characters(text: str, words: list[Span]) -> dict[str, Any]:
    """Every character of a text with its times, which follow one another."""
    characters, starts, ends = [], [], []
    now_s, place = (words[0][1] if words else 0.0), 0
    for piece, start_s, end_s in _pieces(text, words) or _matched(text.split(), words):
        start_s = max(now_s, start_s)  # TIMIT's words overlap
        end_s = max(start_s, end_s)
        found = text.index(piece, place)
        white, place = text[place:found], found + len(piece)
        for part, from_s, to_s in ((white, now_s, start_s), (piece, start_s, end_s)):
            for index, character in enumerate(part):
                characters.append(character)
                starts.append(from_s + (to_s - from_s) * index / len(part))
                ends.append(from_s + (to_s - from_s) * (index + 1) / len(part))
        now_s = end_s
    rest = text[place:]
    return {
        "characters": [*characters, *rest],
        "character_start_times_seconds": [
            round(time_s, _DIGITS) for time_s in (*starts, *[now_s] * len(rest))
        ],
        "character_end_times_seconds": [round(time_s, _DIGITS) for time_s in (*ends, *[now_s] * len(rest))],
    }


def _pieces(text: str, words: list[Span]) -> list[Span] | None:
    """What stands for each word in a text that has the words' letters, with its punctuation; else None.

    There may be no white space between words, as in Chinese, or some in one.
    """
    spoken = [(letter, index) for index, word in enumerate(words) for letter in normalised_word(word[0])]
    pieces: list[tuple[str, int | None]] = []
    place, joined = 0, False
    for character in text:
        if character.isspace():
            joined = False
            continue
        letters = _letters(character)
        expected = spoken[place : place + len(letters)]
        if [letter for letter, _ in expected] != list(letters):
            return None
        place += len(letters)
        own = expected[0][1] if expected else None
        last = pieces[-1][1] if joined else None
        if joined and (own is None or last is None or own == last):
            pieces[-1] = (pieces[-1][0] + character, last if own is None else own)
        else:
            pieces.append((character, own))
        joined = True
    if place < len(spoken):
        return None
    spans: list[Span] = []
    for own, group in groupby(pieces, key=lambda piece: piece[1]):
        before_s = spans[-1][2] if spans else (words[0][1] if words else 0.0)
        start_s, end_s = (before_s, before_s) if own is None else words[own][1:]
        spans += _shared([piece for piece, _ in group], start_s, end_s)
    return spans


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _matched(pieces: list[str], words: list[Span]) -> list[Span]:
    """The times of the pieces of a text between white space, which are the words or stand for them."""
    written = [normalised_word(piece) for piece in pieces]
    read = [normalised_word(symbol) for symbol, _, _ in words]
    spans: list[Span] = []
    for kind, first, end, own_first, own_end in SequenceMatcher(None, written, read, False).get_opcodes():
        if kind == "equal":
            pairs = zip(pieces[first:end], words[own_first:own_end], strict=True)
            spans += [(piece, start_s, end_s) for piece, (_, start_s, end_s) in pairs]
        elif first < end:
            spans += _shared(pieces[first:end], *_extent(words[own_first:own_end], words[:own_first]))
    return spans


def _extent(own: list[Span], before: list[Span]) -> tuple[float, float]:
    """From the start of the first of some words to the end of the last; of none, where those before end."""
    if own:
        return own[0][1], own[-1][2]
    end_s = before[-1][2] if before else 0.0
    return end_s, end_s


def _shared(pieces: list[str], start_s: float, end_s: float) -> list[Span]:
    """Pieces that share a time by their characters."""
    edges = np.cumsum([0, *map(len, pieces)])
    times_s = (start_s + (end_s - start_s) * edges / edges[-1]).tolist()
    return [(piece, *times) for piece, times in zip(pieces, pairwise(times_s), strict=True)]
