"""Boundary errors: every figure here is worked out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_alignments import write_timit

from aligner import cli
from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.evaluate import boundary_figures, compare, evaluate
from aligner.formats import AlignmentLookup, write_alignments

Phones = list[tuple[str, int, int]]  # (phone, start_ms, end_ms)


def utterance(
    words: list[tuple[str, Phones]],
    id: str = "u",
    speaker: str = "",
    pauses: Sequence[tuple[int, int]] = (),
) -> Alignment:
    """words: (text, its phones); pauses: (start_ms, end_ms)."""
    tokens: list[Interval] = []
    spans = []
    for index, (text, phones) in enumerate(words):
        tokens += [Interval(p, a / 1000, b / 1000, None, index) for p, a, b in phones]
        spans.append(Interval(text, phones[0][1] / 1000, phones[-1][2] / 1000, None, index))
    tokens += [Interval("sil", a / 1000, b / 1000) for a, b in pauses]
    tokens.sort(key=lambda token: token.start_s)
    return Alignment(id, tokens[-1].end_s, tuple(tokens), tuple(spans), speaker)


REFERENCE = utterance(
    [
        ("She", [("sh", 100, 200), ("iy", 200, 300)]),
        ("had", [("hh", 300, 400), ("ae", 400, 500), ("d", 500, 600)]),
    ],
    pauses=[(0, 100), (600, 700)],
)


def test_word_errors_are_signed_starts_and_ends() -> None:
    ours = utterance(
        [
            ("she", [("S", 90, 210), ("I", 210, 330)]),
            ("had", [("h", 330, 390), ("a", 390, 505), ("d", 505, 640)]),
        ],
        pauses=[(0, 90), (640, 700)],
    )
    result = compare(ours, REFERENCE)
    assert result.word_starts_ms == [-10, 30]
    assert result.word_ends_ms == [30, 40]
    # starts of the five phones and the end of the last: each boundary once
    assert result.phones_ms == [-10, 10, 30, -10, 5, 40]
    assert not result.words_skipped
    assert not result.phones_skipped


def test_a_pause_between_phones_makes_two_boundaries_of_one() -> None:
    ours = utterance(
        [
            ("she", [("S", 100, 200), ("I", 200, 280)]),
            ("had", [("h", 320, 400), ("a", 400, 500), ("d", 500, 600)]),
        ],
        pauses=[(0, 100), (280, 320), (600, 700)],
    )
    assert compare(ours, REFERENCE).phones_ms == [0, 0, -20, 20, 0, 0, 0]


def test_closures_are_one_phone_with_their_burst() -> None:
    timit = utterance(
        [
            ("at", [("ae", 0, 100), ("tcl", 100, 150), ("t", 150, 200)]),
            ("cup", [("kcl", 200, 250), ("k", 250, 300), ("ah", 300, 400), ("pcl", 400, 500)]),
        ]
    )
    ours = utterance(
        [
            ("at", [("A", 0, 100), ("T", 100, 200)]),
            ("cup", [("K", 200, 290), ("A", 290, 400), ("P", 400, 500)]),
        ]
    )
    assert compare(ours, timit).phones_ms == [0, 0, 0, -10, 0, 0]


def test_a_closure_and_another_stop_are_two_phones() -> None:
    timit = utterance([("act", [("kcl", 0, 100), ("t", 100, 200)])])
    ours = utterance([("act", [("K", 0, 110), ("T", 110, 200)])])
    assert compare(ours, timit).phones_ms == [0, 10, 0]


def test_other_phone_counts_are_compared_word_by_word() -> None:
    ours = utterance(
        [("she", [("S", 110, 200), ("I", 200, 300)]), ("had", [("h", 300, 500), ("d", 500, 600)])],
        pauses=[(0, 110), (600, 700)],
    )
    result = compare(ours, REFERENCE)
    assert result.phones_ms == [10, 0, 0]
    assert [what for _, what in result.phones_skipped] == ["u: hh", "u: ae", "u: d"]


def test_words_are_matched_in_order_by_normalised_text() -> None:
    reference = utterance(
        [(w, [("x", i * 100, i * 100 + 100)]) for i, w in enumerate(["The", "cat's", "new", "hat,"])]
    )
    ours = utterance([(w, [("x", i * 150, i * 150 + 150)]) for i, w in enumerate(["the", "CATS", "hat"])])
    result = compare(ours, reference)
    assert result.word_starts_ms == [0, 50, 0]
    assert result.word_ends_ms == [50, 100, 50]
    assert [what for _, what in result.words_skipped] == ["u: new"]


def test_figures_by_hand() -> None:
    figures = boundary_figures([-5, 10, 20, -25, 60, 120])
    assert figures == {
        "n": 6,
        "mean_ms": 40.0,
        "median_ms": 22.5,
        "within_10ms": 33.333,
        "within_20ms": 50.0,
        "within_25ms": 66.667,
        "within_50ms": 66.667,
        "within_100ms": 83.333,
        "beyond_100ms": 16.667,
    }
    assert boundary_figures([])["mean_ms"] is None


def shifted(one: Alignment, by_ms: int, id: str, speaker: str = "") -> Alignment:
    def move(intervals: tuple[Interval, ...]) -> tuple[Interval, ...]:
        by_s, end_s = by_ms / 1000, one.duration_s
        return tuple(
            Interval(i.symbol, i.start_s and i.start_s + by_s, min(i.end_s + by_s, end_s), None, i.word)
            for i in intervals
        )

    return Alignment(id, one.duration_s, move(one.tokens), move(one.words), speaker)


def test_summary_counts_everything_once(tmp_path: Path) -> None:
    references = [Alignment(f"r{i}", 0.7, REFERENCE.tokens, REFERENCE.words) for i in range(4)]
    write_alignments(tmp_path / "reference.jsonl.gz", references)
    ours = [
        shifted(REFERENCE, 10, "r0", "anna"),
        shifted(REFERENCE, 20, "r1", "anna"),
        shifted(REFERENCE, -30, "r2", "bert"),
        shifted(REFERENCE, 0, "elsewhere"),
    ]
    summary = evaluate(ours, AlignmentLookup(tmp_path / "reference.jsonl.gz"))
    assert summary["words"]["n"] == 3 * 4
    assert summary["words"]["mean_ms"] == 20.0
    assert summary["words"]["start_bias_ms"] == 0.0
    assert summary["words"]["within_20ms"] == 66.667
    assert summary["phones"]["n"] == 3 * 6
    assert summary["utterances"] == 3
    assert summary["skipped"] == 2
    assert summary["reasons"] == {"no reference": ["elsewhere"], "no alignment for this reference": ["r3"]}
    assert summary["speakers"]["anna"]["words"]["mean_ms"] == 15.0
    assert summary["speakers"]["bert"]["phones"]["bias_ms"] == -30.0
    assert [w["id"] for w in summary["worst"]] == ["r2", "r1", "r0"]
    json.dumps(summary)


def test_a_broken_reference_is_skipped_with_its_reason(tmp_path: Path) -> None:
    write_timit(tmp_path, "good.phn")
    (tmp_path / "bad.phn").write_text("0 16oo h#\n")
    ours = utterance([("she", [("S", 100, 200), ("I", 200, 300)])], pauses=[(0, 100), (300, 500)])
    alignments = [Alignment(id, 0.5, ours.tokens, ours.words) for id in ("good", "bad")]
    summary = evaluate(alignments, AlignmentLookup(tmp_path))
    assert summary["words"]["mean_ms"] == 0.0
    (reason,) = summary["reasons"]
    assert "bad.phn:1: not `start end label`" in reason


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    write_timit(tmp_path, "x.phn")
    with pytest.raises(AlignerError, match="nothing to compare"):
        evaluate([REFERENCE], AlignmentLookup(tmp_path))


def run_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = cli.main(argv)
    out, err = capsys.readouterr()
    return status, out, err


def test_the_command_ends_with_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_timit(tmp_path / "reference", "dr1/x.phn")
    ours = utterance(
        [("she", [("S", 110, 200), ("I", 200, 300)])],
        id="dr1-x",
        speaker="<b>",
        pauses=[(0, 110), (300, 500)],
    )
    write_alignments(tmp_path / "out" / "alignments.jsonl.gz", [ours])
    status, out, _ = run_command(
        ["evaluate", str(tmp_path / "out"), "--reference", str(tmp_path / "reference"), "--json",
         "--html", str(tmp_path / "report.html")], capsys,
    )  # fmt: skip
    assert status == 0
    figures = json.loads(out.splitlines()[-1])
    keys = {"n", "mean_ms", "median_ms", "skipped"} | {f"within_{x}ms" for x in (10, 20, 25, 50, 100)}
    for level in ("words", "phones"):
        assert keys <= figures[level].keys()
    assert figures["words"]["mean_ms"] == 5.0
    assert figures["phones"]["n"] == 3
    page = (tmp_path / "report.html").read_text()
    assert "dr1-x" in page
    assert "<b>" not in page


def test_the_command_explains_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run_command(["evaluate", str(tmp_path / "no"), "--reference", str(tmp_path)], capsys)
    assert status == 1
    assert "holds no lhotse manifest" in err
    write_timit(tmp_path, "x.phn")
    status, _, err = run_command(["evaluate", str(tmp_path / "no"), "--reference", str(tmp_path)], capsys)
    assert status == 1
    assert "no such file" in err
    status, _, err = run_command(
        ["evaluate", str(tmp_path), "--reference", str(tmp_path), "--tier", "w=x"], capsys
    )
    assert status == 1
    assert "words=NAME" in err
