"""Atomic file writes."""

import os
import threading
from pathlib import Path

import pytest

from aligner.formats.atomic import atomic_write


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_threads_that_write_the_same_file_do_not_mix(tmp_path: Path) -> None:
    both_open = threading.Barrier(2)

    def write(content: bytes) -> None:
        with atomic_write(tmp_path / "a.txt") as file:
            both_open.wait(10)
            file.write(content)

    threads = [threading.Thread(target=write, args=(letter * 9999,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.txt").read_bytes() in (b"a" * 9999, b"b" * 9999)
    assert os.listdir(tmp_path) == ["a.txt"]
