"""A corpus aligned by several processes or machines, each a shard of it, into one folder.

A shard is every n-th batch of the whole run, so the bytes in the end are the same whatever their number. Each
has a manifest of its own in `shards/` while it works; whoever finishes last makes the one of them all.
"""

import gzip
import heapq
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from aligner.errors import AlignerError
from aligner.formats import MANIFEST
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import output_folder
from aligner.formats.gzip_file import compressed
from aligner.formats.manifest import SHARDS


class Shard(NamedTuple):
    """One part of a run.

    Args:
        number: From 1.
        of: How many there are.
        here: How many of them share this machine's processors and memory at a time, as far as is known.
    """

    number: int
    of: int
    here: int = 1

    @property
    def name(self) -> str:
        """In file names."""
        return f"{self.number}-of-{self.of}"

    def manifest(self, out: Path) -> Path:
        """Where its alignments are until all are there."""
        return out / SHARDS / f"{self.name}.jsonl.gz"

    def failures(self, out: Path) -> Path:
        """Why utterances of it could not be aligned, by id; it is there when the shard has finished."""
        return out / SHARDS / f"{self.name}.failed.json"

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> "Shard":
        """A shard as people name it.

        Args:
            text: "3/8", or "auto": as torchrun, srun or a Slurm array numbered this process.
            environment: Of the process.

        Raises:
            AlignerError: Neither, or none of these numbered it.
        """
        if text == "auto":
            return cls._from_environment(environment)
        number, slash, of = text.partition("/")
        if not slash or not number.isdecimal() or not of.isdecimal() or not 1 <= int(number) <= int(of):
            raise AlignerError(f"--shard {text}: say which of how many, such as 3/8, or auto")
        return cls(int(number), int(of))

    @classmethod
    def _from_environment(cls, environment: Mapping[str, str]) -> "Shard":
        def of(name: str, otherwise: int) -> int:
            return int(environment.get(name, otherwise))

        if "TORCHELASTIC_RUN_ID" in environment:
            return cls(of("RANK", 0) + 1, of("WORLD_SIZE", 1), of("LOCAL_WORLD_SIZE", 1))
        # srun's tasks within each job of an array, each with processors and memory of its own
        tasks, task = (
            of("SLURM_STEP_NUM_TASKS", 1),
            of("SLURM_PROCID", 0) if "SLURM_STEP_ID" in environment else 0,
        )
        jobs, first, step = (
            of("SLURM_ARRAY_TASK_COUNT", 1),
            of("SLURM_ARRAY_TASK_MIN", 0),
            of("SLURM_ARRAY_TASK_STEP", 1),
        )
        job = (of("SLURM_ARRAY_TASK_ID", first) - first) // max(1, step)
        if tasks * jobs == 1 and not {"SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID"} & environment.keys():
            raise AlignerError(
                "--shard auto: neither torchrun nor srun nor a Slurm array numbered this process; "
                "say --shard 3/8"
            )
        return cls(job * tasks + task + 1, jobs * tasks)


def own_gpu(environment: Mapping[str, str] = os.environ) -> str:
    """The GPU of this process among those of its machine, as torchrun or srun numbered it.

    Args:
        environment: Of the process.
    """
    import torch

    local = int(environment.get("LOCAL_RANK", environment.get("SLURM_LOCALID", 0)))
    return f"cuda:{local % torch.cuda.device_count()}"


def merge_shards(out: str | Path, of: int) -> dict[str, str] | None:
    """Make one manifest of those of all shards, if all have finished and nobody else is doing it.

    Args:
        out: The folder that the shards were written to.
        of: How many there are.

    Returns:
        Why utterances could not be aligned, by id; None: others are not done yet.
    """
    out = Path(out)
    shards = [Shard(number, of) for number in range(1, of + 1)]
    try:
        with output_folder(out):
            if (out / MANIFEST).exists() and not (out / SHARDS).exists():
                return {}
            if not all(shard.failures(out).exists() for shard in shards):
                return None
            failed: dict[str, str] = {}
            for shard in shards:
                failed |= json.loads(shard.failures(out).read_text(encoding="utf-8"))
            with atomic_write(out / MANIFEST) as raw, compressed(raw) as packed:
                for line in _merged([shard.manifest(out) for shard in shards]):
                    packed.write(line)
            shutil.rmtree(out / SHARDS)
            return failed
    except AlignerError:  # another shard is at work, or merging: the last to end comes here again
        return None


def _merged(manifests: list[Path]) -> Iterator[bytes]:
    """The lines of manifests that are sorted by id, sorted by id; they may not fit into memory."""
    with ExitStack() as stack:
        files = [stack.enter_context(gzip.open(path, "rb")) for path in manifests]
        numbered = [((json.loads(line)["id"], line) for line in file) for file in files]
        yield from (line for _, line in heapq.merge(*numbered))
