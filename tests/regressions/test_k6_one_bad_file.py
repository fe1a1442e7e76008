"""K6, K5: a bad file, line or text costs its own utterance; the others are prepared."""

import os
from pathlib import Path

import pytest
from regressions.prepared_corpora import noise, prepare, write_list

from aligner.corpus.check_corpus import check_corpus
from aligner.corpus.readers import RawUtterance
from aligner.text.transcript import Transcript


def test_odd_files_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    for name in ("good", "latin", "empty-sound", "empty-text", "lost-text", "binary", "folder-text", "utf16"):
        noise(folder / f"{name}.wav").with_suffix(".txt").write_text("hello there")
    (folder / "latin.txt").write_bytes("café".encode("latin-1"))
    (folder / "empty-sound.wav").write_bytes(b"")
    (folder / "empty-text.txt").write_bytes(b"")
    (folder / "lost-text.txt").unlink()
    (folder / "lost-text.txt").symlink_to("nowhere.txt")
    (folder / "binary.txt").write_bytes(b"\0\1\2\3")
    (folder / "folder-text.txt").unlink()
    (folder / "folder-text.txt").mkdir()
    (folder / "utf16.txt").write_bytes("hello there".encode("utf-16"))
    (folder / "folder.wav").mkdir()
    (folder / "lost.wav").symlink_to("nowhere.wav")
    (folder / "lost.txt").write_text("hello")
    (folder / "torn.flac").write_bytes(b"fLaC" + bytes(100))
    (folder / "torn.txt").write_text("hello")
    for name, content in (("._good.txt", b"\0\5\x16\7"), (".DS_Store", b"\0"), ("Thumbs.db", b"\xd0\xcf")):
        (folder / name).write_bytes(content)
    (folder / "._good.wav").write_bytes(b"\0\5\x16\7")
    os.mkfifo(folder / "pipe.wav")  # reading it would never end
    (folder / "pipe.txt").write_text("hello")
    os.mkfifo(folder / "pipe-text.txt")
    noise(folder / "pipe-text.wav")
    (folder / "__MACOSX").mkdir()
    noise(folder / "__MACOSX" / "x.wav")
    (folder / "again").symlink_to(folder)
    found = prepare(folder)
    assert set(found.utterances) == {"good", "utf16"}
    reasons = {
        "latin": "UTF-8",
        "empty-sound": "the file is empty",
        "empty-text": "its text is empty",
        "lost-text": "No such file",
        "binary": "binary",
        "folder-text": "no .txt or .lab",
        "folder": "is a folder",
        "lost": "a link to nowhere",
        "torn": "cannot be read as audio",
        "pipe": "not a file",
        "pipe-text": "no .txt or .lab",
    }
    assert set(found.refused) == set(reasons)
    for id, reason in reasons.items():
        assert reason in found.refused[id], id


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    for name in ("good", "closed", "closed-text", "below/x"):
        noise(folder / f"{name}.wav").with_suffix(".txt").write_text("hello there")
    (folder / "closed.wav").chmod(0)
    (folder / "closed-text.txt").chmod(0)
    (folder / "below").chmod(0)
    found = prepare(folder)
    (folder / "below").chmod(0o755)
    assert set(found.utterances) == {"good"}
    assert set(found.refused) == {"closed", "closed-text", "below"}


def test_a_missing_sound_file_is_said_to_be_missing(tmp_path: Path) -> None:
    found = prepare(write_list(tmp_path / "list.txt", ["a.wav|hello", "b.wav|there"], ["a.wav"]))
    assert "no such file" in found.refused["b"]
    assert "System error" not in found.refused["b"]


@pytest.mark.parametrize(
    "line",
    [
        b"wavs/b.wav|caf\xe9",
        b"wavs/b.wav|a\0b",
        b"wavs/b.wav",
        b"wavs/b.wav|x|y|z|w|v",
        b"|hello",
        b"wavs/b.wav|",
        b"y" * 300 + b".wav|hello",
        b"wavs/0.wav/b.wav|hello",
        b"/dev/zero.wav|hello",
        b"wavs|hello",
        b"..|hello",
    ],
)
def test_one_bad_line_of_a_list(tmp_path: Path, line: bytes) -> None:
    good = [f"wavs/{n}.wav|hello there number {'i' * (n + 1)}" for n in range(20)]
    path = write_list(tmp_path / "list.txt", good, [f"wavs/{n}.wav" for n in range(20)] + ["wavs/b.wav"])
    path.write_bytes(path.read_bytes() + line + b"\n")
    found = prepare(path)
    assert len(found.utterances) == 20
    assert len(found.refused) == 1


def test_a_line_that_cannot_be_used_does_not_take_the_id(tmp_path: Path) -> None:
    lines = ['{"audio_filepath": "a.wav"}', '{"audio_filepath": "a.wav", "text": "hello"}', "{torn"]
    path = write_list(tmp_path / "m.jsonl", lines, ["a.wav"])
    assert prepare(path).texts == {"a": "hello"}


@pytest.mark.parametrize(
    "error", [ArithmeticError("odd"), RecursionError(), KeyError("x"), OSError(5, "disk")]
)
def test_whatever_a_phonemizer_raises_is_the_refusal_of_its_text(tmp_path: Path, error: Exception) -> None:
    """gruut 17: decimal.InvalidOperation for "Room 3E40"."""

    def phonemize(text: str) -> Transcript:
        from aligner.text.phonemizer import characters

        if "odd" in text:
            raise error
        return characters(text)

    raw = [
        RawUtterance(id, noise(tmp_path / f"{id}.wav"), text) for id, text in (("a", "odd"), ("b", "hello"))
    ]
    corpus = check_corpus(raw, phonemize)
    assert [u.id for u in corpus.utterances] == ["b"]
    assert [error.reason for _, error in corpus.refused] == ["text cannot be spoken"]


def test_numbers_that_gruut_stumbles_over_do_not_end_the_run(tmp_path: Path) -> None:
    lines = ["0.wav|Room 3E40 is on the third floor.", f"1.wav|{'9' * 32} is a number.", "2.wav|hello there"]
    found = prepare(
        write_list(tmp_path / "l.txt", lines, ["0.wav", "1.wav", "2.wav"]), "--phonemizer", "gruut"
    )
    assert found.status == 0
    assert "2" in found.utterances


@pytest.mark.parametrize("library", ["soundfile.SoundFile", "soundfile.read"])
def test_whatever_the_sound_library_raises_is_a_refusal(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_list(tmp_path / "list.txt", ["a.wav|hello"], ["a.wav"])

    def fail(*_: object, **__: object) -> None:
        raise MemoryError("odd header")

    monkeypatch.setattr(library, fail)
    found = prepare(path)
    assert found.status == 1
    assert "audio undecodable" in found.refused["a"]


def test_a_file_name_that_is_not_utf8_is_refused_alone(tmp_path: Path) -> None:
    """Its name cannot be written to a list in UTF-8: it was the end of the run."""
    folder = tmp_path / "c"
    noise(folder / "good.wav").with_suffix(".txt").write_text("hello there")
    for suffix in (b".wav", b".txt"):
        source = folder / f"good{suffix.decode()}"
        Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff" + suffix)).write_bytes(source.read_bytes())
    found = prepare(folder)
    assert set(found.utterances) == {"good"}
    assert "not UTF-8" in found.refused[r"bad\udcff"]


def test_half_a_character_of_a_json_list_is_refused_alone(tmp_path: Path) -> None:
    lines = [r'{"audio": "a.wav", "text": "so \ud83d"}', '{"audio": "b.wav", "text": "hello"}']
    found = prepare(write_list(tmp_path / "m.jsonl", lines, ["a.wav", "b.wav"]))
    assert set(found.utterances) == {"b"}
    assert "surrogate" in found.refused["a"]


@pytest.mark.parametrize("suffix", [".wav", ".txt", ""])
def test_a_link_to_itself_is_refused_alone(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "c"
    noise(folder / "good.wav").with_suffix(".txt").write_text("hello there")
    if suffix == ".wav":
        (folder / "loop.txt").write_text("hello")
    elif suffix == ".txt":
        noise(folder / "loop.wav")
    (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
    found = prepare(folder)
    assert set(found.utterances) == {"good"}
    assert set(found.refused) == ({"loop"} if suffix else set())


@pytest.mark.parametrize("rate_hz", [1, 4, 3999])
def test_a_sample_rate_at_which_nobody_speaks_is_refused_alone(tmp_path: Path, rate_hz: int) -> None:
    folder = tmp_path / "c"
    noise(folder / "good.wav").with_suffix(".txt").write_text("hello there")
    noise(folder / "slow.wav", 8000 / rate_hz, rate_hz).with_suffix(".txt").write_text("hello there")
    found = prepare(folder)
    assert set(found.utterances) == {"good"}
    assert f"says {rate_hz} Hz" in found.refused["slow"]
