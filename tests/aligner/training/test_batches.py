"""Which utterances share a batch, and which process takes them."""

import random

import pytest

from aligner.training.batches import batches_in_order, epoch_batches, of_process

DRAW = random.Random(0)
MANY = {f"u{n}": DRAW.uniform(0.5, 10.0) for n in range(500)}
FEW = {f"u{n}": 1.0 + n for n in range(5)}


@pytest.mark.parametrize("durations_s", [MANY, FEW])
def test_every_utterance_once_within_the_limit(durations_s: dict[str, float]) -> None:
    batches = epoch_batches(durations_s, 60.0, 0, 0)
    assert sorted(id for batch in batches for id in batch) == sorted(durations_s)
    for batch in batches:
        longest_s = max(durations_s[id] for id in batch)
        assert longest_s * (len(batch) - 1) <= 60.0


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 10, 21])
def test_a_few_chapters_each_longer_than_a_batch(n: int) -> None:
    chapters = {f"u{i}": 1800.0 if i % 3 else 1.0 for i in range(n)}
    for same in (chapters, dict.fromkeys(chapters, 1800.0)):
        batches = epoch_batches(same, 60.0, 0, 0)
        assert sorted(id for batch in batches for id in batch) == sorted(same)


def test_utterances_of_a_batch_are_of_similar_length() -> None:
    batches = epoch_batches(MANY, 60.0, 0, 0)
    audio_s = sum(MANY.values())
    padded_s = sum(len(batch) * max(MANY[id] for id in batch) for batch in batches)
    assert padded_s < 1.15 * audio_s


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_batches(MANY, 60.0, 0, 3)
    assert first == epoch_batches(MANY, 60.0, 0, 3)
    assert first != epoch_batches(MANY, 60.0, 0, 4)
    assert first != epoch_batches(MANY, 60.0, 1, 3)


@pytest.mark.parametrize("processes", [1, 2, 3, 7, 600])
def test_processes_share_the_utterances_and_the_audio(processes: int) -> None:
    shares = [of_process(MANY, rank, processes) for rank in range(processes)]
    assert sorted(id for share in shares for id in share) == sorted(MANY)
    lengths_s = [sum(share.values()) for share in shares]
    assert max(lengths_s) - min(lengths_s) <= 10.0


def test_neighbours_share_a_batch_within_the_limit() -> None:
    batches = batches_in_order(MANY, 60.0)
    assert [id for batch in batches for id in batch] == list(MANY)
    assert all(len(batch) * max(MANY[id] for id in batch) <= 60.0 for batch in batches)
    assert batches_in_order({"long": 100.0, "short": 1.0}, 60.0) == [["long"], ["short"]]
    assert batches_in_order({}, 60.0) == []
