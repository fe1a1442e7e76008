"""Batches of a corpus that is aligned to disk. Whole runs: tests/commands/test_align.py."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from aligner import align_batches
from aligner.align_batches import batches
from aligner.corpus.prepared import load_lengths
from aligner.corpus.recording import Recording
from aligner.text.transcript import Transcript, Word

SAID = Transcript((Word("a", (("a",),)),))


def test_batches_hold_every_utterance_once_and_not_too_much(tiny_corpus: Path) -> None:
    lengths_s = load_lengths(tiny_corpus)
    made = list(batches(lengths_s, 6.0))
    assert sorted(id for batch in made for id in batch) == sorted(lengths_s)
    assert all(len(batch) * max(lengths_s[id] for id in batch) <= 6.0 for batch in made)
    assert 1 < len(made) < len(lengths_s)
    assert list(batches(dict(reversed(lengths_s.items())), 6.0)) == made
    assert [len(batch) for batch in batches(lengths_s, 0.1)] == [1] * len(lengths_s)


@pytest.mark.parametrize("processors", [1, 2, 5])
def test_batches_side_by_side_come_in_order_and_a_long_one_alone(
    monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    threads = [processors]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    beside: dict[str, int] = {}
    working: set[str] = set()

    def align(_: object, loaded: list[Recording]) -> tuple[dict[str, int], dict[str, str]]:
        id = loaded[0].id
        working.add(id)
        time.sleep(0.02)
        beside[id] = len(working)
        working.remove(id)
        return {id: threads[-1]}, {}

    monkeypatch.setattr(align_batches, "align_usable", align)
    lengths_s = {"a": 3.0, "long": 700.0} | {f"c{n}": 3.0 for n in range(9)}
    planned = [([id], [Recording(id, torch.zeros(1), SAID, length_s)]) for id, length_s in lengths_s.items()]
    aligner: Any = torch.nn.BatchNorm1d(1)  # something with a buffer
    found = list(align_batches.align_side_by_side(aligner, planned))
    assert [ids for ids, _ in found] == [[id] for id in lengths_s]
    assert beside["long"] == 1
    assert max(beside.values()) == min(processors, 4)
    used: dict[str, int] = {id: n for _, (aligned, _) in found for id, n in aligned.items()}  # type: ignore[misc]
    assert used["long"] == processors
    assert used["c3"] * min(processors, 4) <= processors
    assert threads[-1] == processors


def test_what_one_of_several_batches_raises_is_raised_and_the_threads_are_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def align(_: object, loaded: list[Recording]) -> None:
        raise KeyError(loaded[0].id)

    monkeypatch.setattr(align_batches, "align_usable", align)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    planned = [([id], [Recording(id, torch.zeros(1), SAID, 1.0)]) for id in "abc"]
    aligner: Any = torch.nn.BatchNorm1d(1)
    with pytest.raises(KeyError, match="a"):
        list(align_batches.align_side_by_side(aligner, planned))
    torch.set_num_threads(threads)
