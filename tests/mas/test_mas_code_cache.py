"""Machine code that is kept from one process to the next."""

import os
from pathlib import Path

import pytest

from mas.backends.hopper.code_cache import kept


class Maker:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> bytes:
        self.asked += 1
        return b"code %d" % self.asked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_same_is_made_once(folder: Path) -> None:
    make = Maker()
    assert kept([b"a", b"bc"], make) == kept([b"a", b"bc"], make) == b"code 1"
    assert kept([b"ab", b"c"], make) == b"code 2"  # the same bytes, cut elsewhere
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_written_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MAS_CACHE_DIR", str(tmp_path / "file" / "cache"))
    make = Maker()
    assert [kept([b"a"], make), kept([b"a"], make)] == [b"code 1", b"code 2"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files here")
def test_what_others_could_have_written_is_not_run(folder: Path) -> None:
    make = Maker()
    kept([b"a"], make)
    (file,) = folder.iterdir()
    file.chmod(0o666)
    assert kept([b"a"], make) == b"code 2"
    file.chmod(0o600)
    folder.chmod(0o777)
    assert kept([b"a"], make) == b"code 3"
