"""JSON: one file an utterance, which holds everything an alignment holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligner.alignment import Alignment, Gap, Interval
from aligner.errors import AlignerError
from aligner.formats.tiers import Entry, check_times, with_added_pauses
from aligner.formats.writer import Writer


def alignment_to_json(alignment: Alignment) -> dict[str, Any]:
    """An alignment as plain JSON types; `alignment_from_json` is the inverse.

    Beside a start or an end stands its spread (`aligner.spread`), if there are any. Pauses that the aligner
    added among a consumer's own tokens stand in a list of their own, so that `tokens` has one entry for each
    of the consumer's.

    Args:
        alignment: One utterance.
    """
    spread_s = dict(alignment.spreads_s)

    def times(interval: Interval) -> dict[str, Any]:
        its = {"start_s": interval.start_s, "end_s": interval.end_s, "score": interval.score}
        if spread_s:
            its["start_spread_s"] = spread_s.get(interval.start_s)
            its["end_spread_s"] = spread_s.get(interval.end_s)
        return its

    data = {
        "id": alignment.id,
        "duration_s": alignment.duration_s,
        "speaker": alignment.speaker,
        "score": alignment.score,
        "text": alignment.text,
        "audio": alignment.audio,
        "words": [{"text": w.symbol, **times(w)} for w in alignment.words],
        "tokens": [{"symbol": t.symbol, **times(t), "word": t.word} for t in alignment.tokens if not t.added],
        "added_pauses": [times(t) for t in alignment.tokens if t.added],
    }
    return data | marks_to_json(alignment)


def alignment_from_json(data: dict[str, Any]) -> Alignment:
    """The inverse of `alignment_to_json`.

    Args:
        data: What `alignment_to_json` gave.

    Raises:
        AlignerError: Times are not numbers or not in order.
        KeyError, TypeError: something is missing in `data`.
    """
    if not isinstance(data["id"], str):
        raise AlignerError(f"its id {str(data['id'])[:40]!r} is no text")
    own = tuple(
        Interval(t["symbol"], t["start_s"], t["end_s"], t["score"], t["word"]) for t in data["tokens"]
    )
    words = tuple(
        Interval(w["text"], w["start_s"], w["end_s"], w["score"], i) for i, w in enumerate(data["words"])
    )
    pauses: list[Entry] = [
        ("", p["start_s"], p["end_s"], p["score"]) for p in data.get("added_pauses", ())
    ]  # without, before they were added
    tokens = with_added_pauses(own, pauses)
    check_times(data["id"], tokens, data["duration_s"])
    check_times(data["id"], words, data["duration_s"], may_overlap=True)
    return Alignment(
        id=data["id"],
        duration_s=data["duration_s"],
        tokens=tokens,
        words=words,
        speaker=data["speaker"],
        score=data["score"],
        text=data["text"],
        audio=data["audio"],
        spreads_s=_spreads_from_json([*data["tokens"], *data.get("added_pauses", ())]),
        **marks_from_json(data, words),
    )


def _spreads_from_json(tokens: Sequence[Mapping[str, Any]]) -> tuple[tuple[float, float], ...]:
    """Those that `alignment_to_json` put beside the times of tokens; none where it put none."""
    found = {
        float(token[f"{edge}_s"]): float(token[f"{edge}_spread_s"])
        for token in tokens
        for edge in ("start", "end")
        if token.get(f"{edge}_spread_s") is not None
    }
    return tuple(sorted(found.items()))


def marks_to_json(alignment: Alignment) -> dict[str, Any]:
    """Gaps, and what a person set and marked, as plain JSON types; nothing of what there is none.

    Args:
        alignment: One utterance.
    """
    marks: dict[str, Any] = {}
    if alignment.gaps:
        marks["gaps"] = [asdict(gap) for gap in alignment.gaps]
    if alignment.by_hand_s is not None:
        marks |= {"by_hand_s": list(alignment.by_hand_s), "wrong_words": list(alignment.wrong_words)}
    return marks


def marks_from_json(data: Mapping[str, Any], words: Sequence[Interval]) -> dict[str, Any]:
    """The inverse of `marks_to_json`, as arguments of `Alignment`; none where the data do not say.

    Args:
        data: With `gaps`, `by_hand_s` and `wrong_words`, or without.
        words: Of the utterance.

    Raises:
        KeyError, TypeError, ValueError: They are no gaps, no times, or no indices of words.
    """
    found = {"gaps": tuple(_gap(gap) for gap in data.get("gaps") or ())}
    if data.get("by_hand_s") is None:
        return found
    wrong = tuple(sorted(set(data.get("wrong_words") or ())))
    if not all(type(index) is int and 0 <= index < len(words) for index in wrong):
        raise ValueError(f"its words marked as wrong {wrong} are not words of it")
    return found | {"by_hand_s": tuple(sorted(map(float, data["by_hand_s"]))), "wrong_words": wrong}


def _gap(data: Mapping[str, Any]) -> Gap:
    return Gap(float(data["start_s"]), float(data["end_s"]), tuple(map(str, data["unsaid"])))


def read_json(path: Path) -> Alignment:
    """The alignment in a JSON file. The id is the one in the file.

    Args:
        path: A file that `aligner export --to json` wrote.

    Raises:
        ValueError, KeyError, TypeError: the file is not JSON, or something is missing in it.
    """
    return alignment_from_json(json.loads(path.read_text(encoding="utf-8")))


class Json(Writer):
    """`{id}.json`: everything there is of one utterance, times in seconds."""

    shows_added_pauses = True

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.json",)]

    def write(self, alignment: Alignment, name: str) -> None:
        (path,) = self.paths(alignment, name)
        self.folder.text(json.dumps(alignment_to_json(alignment), ensure_ascii=False) + "\n", *path)
