"""Batches of a prepared corpus."""

from pathlib import Path

import pytest
import torch
from corpus_cases import checked, prepared, tone

from aligner.corpus.readers import RawUtterance
from aligner.training.data import AlignerData


@pytest.fixture
def batches(tmp_path: Path) -> AlignerData:
    utterances = []
    for index in range(40):
        audio = tone(tmp_path / "wavs" / f"u{index}.wav", 0.3 + 0.02 * index)
        utterances.append(checked(RawUtterance(f"u{index}", audio, "ab cd"[: 1 + index % 5])))
    data = AlignerData(str(prepared(tmp_path / "out", utterances)), 8000, batch_duration_s=3.0)
    data.setup()
    return data


def test_batches_hold_every_utterance_once_within_the_limit(batches: AlignerData) -> None:
    loader = batches.epoch(0)
    assert len(loader) == sum(1 for _ in loader)
    seen = []
    for batch in loader:
        seen += batch.ids
        assert batch.audio.shape == (len(batch), batch.audio_lengths.max())
        assert batch.audio.numel() <= (3.0 + 1.1) * 8000  # the utterance that fills it may pass the limit
        for row in range(len(batch)):
            length = batch.audio_lengths[row]
            assert length == pytest.approx(8000 * (0.3 + 0.02 * int(batch.ids[row][1:])), abs=1)
            assert not batch.audio[row, length:].any()
            assert (
                batch.texts.tokens().unpack(batches.symbols)[row] == batch.utterances[row].transcript.tokens()
            )
    assert sorted(seen) == sorted(f"u{index}" for index in range(40))


def test_batches_repeat_with_the_seed_and_change_with_the_epoch(batches: AlignerData) -> None:
    def order(epoch: int) -> list[list[str]]:
        return [batch.ids for batch in batches.epoch(epoch)]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_validation_keeps_the_order_of_the_manifest(batches: AlignerData) -> None:
    batches.n_validation = 40
    assert [id for batch in batches.val_dataloader() for id in batch.ids] == [f"u{i}" for i in range(40)]


def test_batches_move_to_a_device_whole(batches: AlignerData) -> None:
    from lightning.fabric.utilities.apply_func import move_data_to_device

    batch = next(iter(batches.val_dataloader()))
    moved = move_data_to_device(batch, torch.device("meta"))
    assert moved.audio.device.type == "meta"
    assert moved.ids == batch.ids
    assert batch.audio.device.type == "cpu"


def test_an_epoch_may_hear_a_part_of_the_corpus(batches: AlignerData) -> None:
    hours = sum(utterance.duration_s for utterance in batches.utterances) / 3600
    heard = [id for batch in batches.epoch(0, hours / 4) for id in batch.ids]
    assert len(heard) == len(set(heard)) == 10
    again = [id for batch in batches.epoch(1, hours / 4) for id in batch.ids]
    assert sorted(heard) == sorted(again)  # their features are kept
    assert heard != again
    assert len([id for batch in batches.epoch(0, 2 * hours) for id in batch.ids]) == 40


def test_features_that_are_kept_come_without_audio(batches: AlignerData) -> None:
    batches.features.keep(["u3"], [torch.zeros(5, 2)])
    for batch in batches.epoch(0):
        for id, n_samples in zip(batch.ids, batch.audio_lengths.tolist(), strict=True):
            assert (n_samples == 0) == (id == "u3")
    batches.reload_audio = True
    assert all(batch.audio_lengths.min() > 0 for batch in batches.epoch(0))


def test_batches_of_a_method_of_statistics_stay_and_are_not_read_again(
    batches: AlignerData, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = list(batches.epoch(0, shares_batches=False))
    assert all(batch.stays and batch.audio_lengths.min() > 0 for batch in first)
    for batch in first:
        batches.features.keep(batch.ids, [torch.zeros(5, 2)] * len(batch))
    batches.refused = {first[0].ids[0]: "a reason"}
    monkeypatch.setattr("aligner.training.data.load_heard", None)
    again = list(batches.epoch(1, shares_batches=False))
    assert [batch.ids for batch in again] == [first[0].ids[1:], *(batch.ids for batch in first[1:])]
    assert again[0].refused == batches.refused
    assert [len(batch.texts.ids) for batch in again] == [len(batch) for batch in again]
    assert not any(batch.audio_lengths.any() for batch in again)
    third = list(batches.epoch(2, shares_batches=False))
    assert all(a.texts is b.texts for a, b in zip(again, third, strict=True))
