"""K10: several corpora together, whose files have the same names."""

from pathlib import Path

from regressions.prepared_corpora import TEXTS, prepare, write_list


def _corpus(path: Path, n_texts: int = 3) -> Path:
    lines = [f"{n}|{text}" for n, text in enumerate(TEXTS[:n_texts])]
    write_list(path / "metadata.csv", lines, [f"wavs/{n}.wav" for n in range(n_texts)])
    return path


def test_files_of_one_name_are_told_apart_and_said(tmp_path: Path) -> None:
    first, second, third = (_corpus(tmp_path / name, n) for name, n in (("a", 3), ("b", 4), ("c/a", 1)))
    found = prepare(first, second, third)
    assert not found.refused
    assert len(found.utterances) == 8
    assert found.utterances["3"].audio == (second / "wavs/3.wav").resolve()
    assert found.utterances["b-wavs-1"].audio == (second / "wavs/1.wav").resolve()
    assert "utterances have the file name of another" in found.said


def test_a_corpus_given_twice_is_read_once(tmp_path: Path) -> None:
    found = prepare(_corpus(tmp_path / "a"), tmp_path / "a")
    assert len(found.utterances) == len(found.refused) == 3
    assert all("duplicate id" in reason for reason in found.refused.values())


def test_an_utterance_that_cannot_be_used_takes_no_id(tmp_path: Path) -> None:
    bad = [f"1.wav|{text}" for text in ("", "12 ???")] + ["9.wav|no such file", "1.wav|three four"]
    found = prepare(write_list(tmp_path / "list.txt", bad, ["1.wav"]))
    assert found.texts == {"1": "three four"}


def test_a_bad_file_does_not_take_the_good_one_of_its_id_along(tmp_path: Path) -> None:
    first, second = _corpus(tmp_path / "a"), _corpus(tmp_path / "b")
    (first / "wavs/1.wav").write_bytes(b"RIFF")
    found = prepare(first, second)
    assert len(found.refused) == 1
    assert len(found.utterances) == 5


def test_another_corpus_in_the_way_is_replaced_and_said(tmp_path: Path) -> None:
    assert "held another" not in prepare(_corpus(tmp_path / "a")).said
    assert "held another" not in prepare(tmp_path / "a").said
    found = prepare(tmp_path / "a", _corpus(tmp_path / "b"))
    assert "held another prepared corpus (3 utterances), which this one replaces" in found.said


def test_a_file_that_is_not_there_gives_no_other_a_longer_id(tmp_path: Path) -> None:
    lines = ["gone/1.wav|one two", "here/1.wav|one two"]
    found = prepare(write_list(tmp_path / "list.txt", lines, ["here/1.wav"]))
    assert list(found.utterances) == ["1"]
    assert "audio missing" in found.refused["1"]
