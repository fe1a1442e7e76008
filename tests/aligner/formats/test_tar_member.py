"""A recording in a tar: how a manifest names it, and that nothing else is taken for one."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from aligner.errors import AlignerError
from aligner.formats.tar_member import TarMember, audio_place, is_in_tar, source_of


def write_tar(path: Path, **contents: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.flac", "it's.wav", "a b.wav", "$(touch x).wav", "ü | head -c 3 # b.wav"])
@pytest.mark.parametrize("folder", ["plain", "with space", "it's", "a | head -c 5 # b"])
def test_a_manifest_names_it_by_the_command_that_prints_it(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    tar = write_tar(tmp_path / folder / "x.tar", first=b"1" * 700, **{name: b"two" * 9})
    with tarfile.open(tar) as opened:
        info = opened.getmembers()[1]
    member = TarMember(tar, name, info.offset_data, info.size)
    assert member.read() == b"two" * 9
    source = source_of(member)
    assert TarMember.parse(source["source"]) == member
    assert audio_place(source, Path("/elsewhere")) == member
    printed = subprocess.run(source["source"], shell=True, capture_output=True, check=True, cwd=tmp_path)
    assert printed.stdout == b"two" * 9
    assert not (tmp_path / "x").exists()
    assert is_in_tar(str(member))


@pytest.mark.parametrize(
    "command",
    [
        "sph2pipe -f wav a.sph",
        "tail -c +5 -- a.tar | head -c 5",
        "tail -c +5 -- $(touch x) | head -c 5 # a",
        "tail -c +5 -- a.tar | head -c 5 # a\ntouch x",
        "tail -c +5 -- a b | head -c 5 # a",
        "",
    ],
)
def test_any_other_command_is_none(command: str) -> None:
    assert TarMember.parse(command) is None
    assert audio_place({"type": "command", "source": command}, Path()) is None


def test_relative_paths_start_at_the_manifest(tmp_path: Path) -> None:
    member = TarMember(tmp_path / "shar" / "x.tar", "a.wav", 512, 3)
    source = source_of(member, tmp_path / "prepared")
    assert "../shar/x.tar" in source["source"]
    place = audio_place(source, tmp_path / "prepared")
    assert isinstance(place, TarMember)
    assert place.resolve() == member


def test_a_tar_that_is_another_by_now_is_noticed(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", a=b"1" * 100, b=b"2" * 100)
    a, b = TarMember(tar, "a", 512, 100), TarMember(tar, "b", 1536, 100)
    assert (a.read(), b.read()) == (b"1" * 100, b"2" * 100)
    write_tar(tar, b=b"2" * 100, a=b"1" * 100)
    with pytest.raises(AlignerError, match=r"x\.tar is not the file it was: run `aligner prepare` again"):
        a.read()
    write_tar(tar, a=b"1" * 90)
    with pytest.raises(AlignerError, match="not the file it was"):
        a.read()
    tar.write_bytes(tar.read_bytes()[:600])
    with pytest.raises(AlignerError, match="cut off"):
        a.read()
    tar.unlink()
    with pytest.raises(AlignerError, match="no such file"):
        a.read()


def test_files_in_a_folder_named_like_a_tar_are_files(tmp_path: Path) -> None:
    (tmp_path / "x.tar").mkdir()
    assert not is_in_tar(str(tmp_path / "x.tar" / "a.wav"))
    assert not is_in_tar(str(tmp_path / "a.wav"))
