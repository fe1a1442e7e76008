"""A corpus aligned in shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aligner.align_shards import Shard, merge_shards
from aligner.cli import main
from aligner.corpus import prepared
from aligner.errors import AlignerError
from aligner.formats import MANIFEST


@pytest.fixture(scope="module")
def whole(tiny_corpus: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert align(tiny_corpus, checkpoint, out) == 0
    return out


def align(corpus: Path, checkpoint: Path, out: Path, *more: str) -> int:
    arguments = ["--checkpoint", str(checkpoint), "--data", str(corpus), "--out", str(out)]
    return main(["align", *arguments, "--batch-duration", "5", "--device", "cpu", *more])


@pytest.mark.parametrize(
    "order", [["1/1"], ["2/2", "1/2"], ["2/3", "3/3", "1/3"], [f"{n}/40" for n in range(1, 41)]]
)
def test_shards_end_with_the_bytes_of_the_whole(
    tiny_corpus: Path, checkpoint: Path, whole: Path, tmp_path: Path, order: Sequence[str]
) -> None:
    """Also with more shards than batches."""
    out = tmp_path / "out"
    for shard in order[:-1]:
        assert align(tiny_corpus, checkpoint, out, "--shard", shard) == 0
        assert not (out / MANIFEST).exists()
    assert align(tiny_corpus, checkpoint, out, "--shard", order[-1], "--format", "textgrid") == 0
    for name in (MANIFEST, "confidence.tsv", "failed.tsv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert len(list((out / "textgrid").rglob("*.TextGrid"))) == 20
    assert not (out / "shards").exists()


def test_a_shard_that_is_done_or_all_that_are_may_run_again(
    tiny_corpus: Path, checkpoint: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for shard in ("1/2", "1/2", "2/2", "2/2", "1/2"):
        assert align(tiny_corpus, checkpoint, out, "--shard", shard) == 0
    assert (out / MANIFEST).read_bytes() == (whole / MANIFEST).read_bytes()


def test_another_number_of_shards_is_refused(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert align(tiny_corpus, checkpoint, out, "--shard", "1/2") == 0
    for other in (["--shard", "2/3"], []):
        assert align(tiny_corpus, checkpoint, out, *other) == 1
        assert "number of shards" in capsys.readouterr().err
    assert merge_shards(out, 2) is None


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "/", "-1/3", "1/0"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(AlignerError, match="such as 3/8"):
        Shard.parse(text)


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8"}, (6, 8, 1)),
        (
            {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"},
            (6, 8, 4),
        ),
        ({"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, (4, 4, 1)),
        (
            {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "4"},
            (3, 4, 1),
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "20",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_STEP": "10",
                "SLURM_STEP_ID": "0",
                "SLURM_STEP_NUM_TASKS": "2",
                "SLURM_PROCID": "1",
            },
            (6, 8, 1),
        ),
    ],
)
def test_shards_as_launchers_number_them(environment: dict[str, str], shard: tuple[int, int, int]) -> None:
    assert Shard.parse("auto", environment) == shard


def test_without_a_launcher_auto_is_refused() -> None:
    with pytest.raises(AlignerError, match="--shard 3/8"):
        Shard.parse("auto", {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"})


def test_a_shard_holds_only_its_part_of_the_corpus(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []
    from_data = prepared._from_data

    def counted(data: dict[str, Any], *more: Any) -> prepared.Utterance:
        held.append(data["id"])
        return from_data(data, *more)

    monkeypatch.setattr(prepared, "_from_data", counted)
    assert align(tiny_corpus, checkpoint, tmp_path / "out", "--shard", "1/4") == 0
    assert 0 < len(held) <= 20 / 3
    held.clear()
    assert align(tiny_corpus, checkpoint, tmp_path / "out", "--shard", "1/4") == 0  # it is done
    assert not held
