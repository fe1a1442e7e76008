"""What a person corrected in a report, and what every reader makes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_alignments import example, same

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.evaluate import compare, evaluate
from aligner.formats import export, read, write_alignments
from aligner.formats.json_file import alignment_to_json
from aligner.formats.lookup import AlignmentLookup


def moved(alignment: Alignment, boundary: int, by_s: float) -> Alignment:
    """One boundary between two tokens moved by a person."""
    tokens = list(alignment.tokens)
    time_s = round(tokens[boundary].start_s + by_s, 4)
    words = [
        replace(
            word,
            start_s=time_s if word.start_s == tokens[boundary].start_s else word.start_s,
            end_s=time_s if word.end_s == tokens[boundary].start_s else word.end_s,
        )
        for word in alignment.words
    ]
    tokens[boundary - 1] = replace(tokens[boundary - 1], end_s=time_s)
    tokens[boundary] = replace(tokens[boundary], start_s=time_s)
    return replace(alignment, tokens=tuple(tokens), words=tuple(words), by_hand_s=(time_s,))


def write_corrections(path: Path, alignments: list[Alignment]) -> Path:
    """As the page of a report saves them."""
    utterances = [alignment_to_json(alignment) for alignment in alignments]
    path.write_text(json.dumps({"format": "aligner corrections", "utterances": utterances}, indent=1))
    return path


@pytest.mark.parametrize("format", ["corrections", "manifest", "json"])
def test_what_was_set_and_marked_is_kept_by_every_format_that_can(tmp_path: Path, format: str) -> None:
    corrected = replace(moved(example(), 3, 0.004), wrong_words=(1, 4))
    path = tmp_path / {"corrections": "c.json", "manifest": "a.jsonl.gz", "json": "one.json"}[format]
    if format == "corrections":
        write_corrections(path, [corrected])
    elif format == "manifest":
        write_alignments(path, [corrected])
    else:
        path.write_text(json.dumps(alignment_to_json(corrected)))
    (found,) = read(path)
    same(found, corrected)
    assert found.by_hand_s == corrected.by_hand_s
    assert found.wrong_words == (1, 4)


def test_other_alignments_say_nothing_of_a_person(tmp_path: Path) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example()])
    (found,) = read(tmp_path / "a.jsonl.gz")
    assert found.by_hand_s is None


def test_only_the_times_that_a_person_set_are_compared() -> None:
    ours = example()
    corrected = moved(ours, 3, 0.004)
    comparison = compare(ours, corrected)
    errors_ms = comparison.phones_ms + comparison.word_starts_ms + comparison.word_ends_ms
    assert errors_ms
    assert all(error == pytest.approx(-4, abs=0.06) for error in errors_ms)
    untouched = compare(ours, replace(ours, by_hand_s=()))
    assert not untouched.phones_ms + untouched.word_starts_ms + untouched.word_ends_ms


def test_words_marked_as_wrong_are_not_compared_but_named(tmp_path: Path) -> None:
    ours = example()
    word = next(token.word for token in ours.tokens[3:] if token.word >= 0)
    boundary = next(i for i, token in enumerate(ours.tokens) if token.word == word)
    corrected = replace(moved(ours, boundary, 0.004), wrong_words=(word,))
    comparison = compare(ours, corrected)
    assert not comparison.phones_ms + comparison.word_starts_ms + comparison.word_ends_ms
    assert ("word is marked as wrong", f"{ours.id}: {ours.words[word].symbol}") in comparison.words_skipped
    path = write_corrections(tmp_path / "c.json", [corrected, moved(example(1, id="b"), 2, 0.003)])
    summary = evaluate([ours, example(1, id="b")], AlignmentLookup(path))
    assert summary["by_hand"] == 2
    assert summary["reasons"]["word is marked as wrong"] == [f"{ours.id}: {ours.words[word].symbol}"]


def test_an_utterance_with_a_wrong_word_is_exported_by_no_format(tmp_path: Path) -> None:
    wrong, right = replace(example(), by_hand_s=(), wrong_words=(2,)), moved(example(1, id="b"), 2, 0.003)
    path = write_corrections(tmp_path / "c.json", [wrong, right])
    for result in export(read(path), {"textgrid": tmp_path / "t", "json": tmp_path / "j"}).values():
        assert result.utterances == 1
        assert result.refused == [
            f"{wrong.id}: marked as wrong: 'word2'; correct its text and align it again"
        ]
    (found,) = read(tmp_path / "t")
    same(found, right, scores=False)


def damaged(**changes: Any) -> dict[str, Any]:
    return alignment_to_json(replace(example(), by_hand_s=())) | changes


@pytest.mark.parametrize(
    "utterance",
    [
        damaged(by_hand_s=["soon"]),
        damaged(wrong_words=[99]),
        damaged(wrong_words=["word1"]),
        damaged(wrong_words=[-1]),
        damaged(tokens="none"),
        damaged(duration_s=-1),
        damaged(id=7),
        {},
        7,
    ],
)
def test_a_damaged_utterance_costs_no_other(tmp_path: Path, utterance: object) -> None:
    good = alignment_to_json(moved(example(1, id="b"), 2, 0.003))
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"format": "aligner corrections", "utterances": [utterance, good]}))
    errors: list[AlignerError] = []
    assert [found.id for found in read(path, on_error=errors.append)] == ["b"]
    assert len(errors) == 1
    assert str(errors[0]).startswith(f"{path}: its utterance 1 cannot be read (")


@pytest.mark.parametrize("rest", ["", ', "utterances": 3}', ', "utterances": [{]}'])
def test_a_damaged_file_is_named(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"format": "aligner corrections"' + rest)
    with pytest.raises(AlignerError, match=r"c\.json: cannot be read .*save it again from the report"):
        list(read(path))
