"""Features kept between epochs, and where."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from aligner.errors import AlignerError
from aligner.training.feature_store import FeatureStore, StoreLimits, pack_known

CPU = torch.device("cpu")
IDS = ["a", "b", "c", "d"]


@pytest.fixture
def features() -> dict[str, Tensor]:
    """Each 10 frames of 25 channels: 1,000 bytes."""
    return {id: torch.randn(10, 25, generator=torch.Generator().manual_seed(n)) for n, id in enumerate(IDS)}


def test_memory_then_disk_then_nowhere(tmp_path: Path, features: dict[str, Tensor]) -> None:
    store = FeatureStore(StoreLimits(memory_gb=2.5e-6, disk_gb=1e-6), tmp_path)
    for id, own in features.items():
        store.keep([id], [own])
    assert [id for id in IDS if id in store] == ["a", "b", "c"]
    assert [id for id in IDS if store.get(id) is not None] == ["a", "b"]
    assert [id for id in IDS if store.read(id) is not None] == ["c"]
    from_disk = store.read("c")
    assert from_disk is not None
    assert torch.equal(from_disk, features["c"])
    assert not list(tmp_path.iterdir())  # the file has no name: nothing is left however the run ends


def test_a_batch_from_all_places(tmp_path: Path, features: dict[str, Tensor]) -> None:
    store = FeatureStore(StoreLimits(memory_gb=2.5e-6, disk_gb=1e-6), tmp_path)
    store.keep(IDS, list(features.values()))
    read = store.read("c")
    assert read is not None
    packed = pack_known(["d", "a", "c", "b"], store, {"d": features["d"], "c": read}, CPU)
    assert torch.equal(packed.frames, torch.cat([features[id] for id in ("d", "a", "c", "b")]))
    assert packed.n_frames.tolist() == [10, 10, 10, 10]


def test_what_is_kept_is_no_part_of_the_batch_it_came_with(features: dict[str, Tensor]) -> None:
    store = FeatureStore()
    batch = torch.cat(list(features.values()))
    store.keep(IDS, list(batch.split(10)))
    batch.zero_()
    kept = store.get("a")
    assert kept is not None
    assert torch.equal(kept, features["a"])
    assert kept.untyped_storage().nbytes() == 1000


def test_an_utterance_is_kept_once(features: dict[str, Tensor]) -> None:
    store = FeatureStore(StoreLimits(memory_gb=1.5e-6))
    for _ in range(5):
        store.keep(["a"], [features["a"]])
    assert "a" in store
    assert "b" not in store


def test_limits_below_zero_are_refused() -> None:
    with pytest.raises(AlignerError, match="memory_gb"):
        StoreLimits(memory_gb=-1)


def test_a_batch_that_stays_is_packed_once_and_takes_no_more_room(features: dict[str, Tensor]) -> None:
    store = FeatureStore()
    store.keep(IDS, list(features.values()))
    first = pack_known(["c", "a"], store, {}, CPU, stays=True)
    assert pack_known(["c", "a"], store, {}, CPU, stays=True) is first
    assert pack_known(["c", "a"], store, {}, CPU) is not first
    kept = store.get("a")
    assert kept is not None
    assert kept.untyped_storage().data_ptr() == first.frames.untyped_storage().data_ptr()
    # Another epoch may have other batches (early ones hear less): then the old ones are let go.
    second = pack_known(["a", "b"], store, {}, CPU, stays=True)
    assert torch.equal(second.frames, torch.cat([features["a"], features["b"]]))
    assert store.packed(["c", "a"]) is None
    assert torch.equal(pack_known(["c", "a"], store, {}, CPU, stays=True).frames, first.frames)


def test_what_partly_lies_elsewhere_is_packed_anew(tmp_path: Path, features: dict[str, Tensor]) -> None:
    store = FeatureStore(StoreLimits(memory_gb=1.5e-6, disk_gb=1e-6), tmp_path)
    store.keep(IDS[:2], [features["a"], features["b"]])
    read = store.read("b")
    assert read is not None
    packed = pack_known(["a", "b"], store, {"b": read}, CPU, stays=True)
    assert torch.equal(packed.frames, torch.cat([features["a"], features["b"]]))
    assert store.packed(["a", "b"]) is None
