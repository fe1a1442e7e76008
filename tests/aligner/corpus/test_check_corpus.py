"""Checks of a whole corpus."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from corpus_cases import tone

from aligner.corpus import check_corpus as checks_of_corpus
from aligner.corpus.check_corpus import check_corpus
from aligner.corpus.readers import RawUtterance
from aligner.text.phonemizer import characters


def test_rejected_utterances_are_kept_apart_with_their_reasons(tmp_path: Path) -> None:
    raw = [
        RawUtterance("a", tone(tmp_path / "a.wav"), "two"),
        RawUtterance("a", tone(tmp_path / "again.wav"), "too"),
        RawUtterance("lost", None, "two"),
        RawUtterance("odd", tone(tmp_path / "odd.wav"), "axe"),
        RawUtterance("b", tone(tmp_path / "b.wav"), "tow"),
    ]
    corpus = check_corpus(raw, characters, frozenset("otw"), jobs=2)
    assert [u.id for u in corpus.utterances] == ["a", "b"]
    assert {found.id: error.reason for found, error in corpus.refused} == {
        "a": "duplicate id",
        "odd": "unknown symbols",
        "lost": "audio missing",
    }


def test_progress_is_told_of_texts_and_of_the_audio_that_is_left(tmp_path: Path) -> None:
    seen = []

    def progress(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
        seen.append((what, total))
        return items

    raw = [RawUtterance("a", tone(tmp_path / "a.wav"), "two"), RawUtterance("b", None, "")]
    check_corpus(raw, characters, progress=progress)
    assert seen == [("texts", 2), ("audio", 1)]


def test_few_files_are_checked_ahead_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a large corpus all at once would be held in memory."""
    audio = tone(tmp_path / "a.wav")
    begun: list[str] = []
    check = checks_of_corpus.check_audio
    monkeypatch.setattr(
        checks_of_corpus, "check_audio", lambda *found: begun.append(found[0].id) or check(*found)
    )

    def watched(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
        for number, item in enumerate(items, 1):
            assert what == "texts" or len(begun) <= number + 16
            yield item

    raw = [RawUtterance(f"u{number}", audio, "hi") for number in range(50)]
    corpus = check_corpus(raw, characters, jobs=1, progress=watched)
    assert [utterance.id for utterance in corpus.utterances] == [found.id for found in raw] == begun
