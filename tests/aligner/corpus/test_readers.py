"""Reading corpora as people have them."""

from pathlib import Path

import pytest
import soundfile
import torch
from corpus_cases import RATE_HZ, checked, prepared, tone

from aligner.corpus.prepared import load_audio, load_utterances
from aligner.corpus.readers import read_corpus
from aligner.errors import AlignerError


def test_ljspeech_folder(tmp_path: Path) -> None:
    tone(tmp_path / "LJ" / "wavs" / "a1.flac")
    lines = "a1|5 dogs|five dogs\na2|only raw text\nno-text\n\n"
    (tmp_path / "LJ" / "metadata.csv").write_text("\ufeff" + lines, encoding="utf-8")
    first, second, third = read_corpus(tmp_path / "LJ").utterances
    assert (first.id, first.text, first.speaker) == ("a1", "five dogs", "LJ")
    assert first.audio == tmp_path / "LJ" / "wavs" / "a1.flac"
    assert (second.text, second.audio) == ("only raw text", None)
    assert "line 3" in third.problem


def test_file_lists_with_and_without_speakers(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("wavs/a.wav|hello\nwavs/b.wav|anna|good day\nwavs/c.wav|x|y|z|w\n")
    a, b, c = read_corpus(tmp_path / "list.txt").utterances
    assert (a.id, a.text, a.speaker, a.audio) == ("a", "hello", "", tmp_path / "wavs" / "a.wav")
    assert (b.id, b.text, b.speaker) == ("b", "good day", "anna")
    assert c.problem
    (tmp_path / "other").mkdir()
    a, *_ = read_corpus(tmp_path / "list.txt", tmp_path / "other").utterances
    assert a.audio == tmp_path / "other" / "wavs" / "a.wav"


def test_folder_of_audio_and_texts(tmp_path: Path) -> None:
    tone(tmp_path / "anna" / "one.wav")
    (tmp_path / "anna" / "one.lab").write_text("hello there")
    tone(tmp_path / "anna" / "my take.wav")
    (tmp_path / "anna" / "orphan.txt").write_text("no audio")
    (tmp_path / "anna" / "README.txt").write_text("about")
    found = {source.id: source for source in read_corpus(tmp_path).utterances}
    assert set(found) == {"one", "my_take", "orphan"}
    assert (found["one"].text, found["one"].speaker) == ("hello there", "anna")
    assert "no .txt or .lab" in found["my_take"].problem
    assert found["orphan"].audio is None


def test_timit_texts_lose_their_numbers(tmp_path: Path) -> None:
    tone(tmp_path / "dr3-falk0" / "sx276.flac")
    (tmp_path / "dr3-falk0" / "sx276.txt").write_text("0 16000 Two dogs.\n")
    (tmp_path / "dr3-falk0" / "sx276.phn").write_text("0 16000 h#\n")
    tone(tmp_path / "x" / "y.flac")
    (tmp_path / "x" / "y.txt").write_text("10 20 thirty\n")
    timit, other = read_corpus(tmp_path).utterances
    assert (timit.id, timit.speaker, timit.text) == ("sx276", "dr3-falk0", "Two dogs.")
    assert other.text == "10 20 thirty"  # numbers are text where nothing else says TIMIT


def test_lhotse_manifests_one_utterance_a_supervision(tmp_path: Path) -> None:
    from lhotse import Recording, RecordingSet, SupervisionSegment, SupervisionSet
    from lhotse.supervision import AlignmentItem

    recording = Recording.from_file(tone(tmp_path / "long.wav", 4.0))
    words = {"word": [AlignmentItem("two", 2.25, 0.5)], "phone": [AlignmentItem("t", 2.25, 0.5)]}
    segments = [
        SupervisionSegment("u1", "long", 0.5, 1.0, text="one", speaker="anna"),
        SupervisionSegment("u2", "long", 2.0, 1.5, text="two", speaker="ben", alignment=words),
    ]
    RecordingSet.from_recordings([recording]).to_file(tmp_path / "x_recordings.jsonl.gz")
    SupervisionSet.from_segments(segments).to_file(tmp_path / "x_supervisions.jsonl.gz")
    first, second = read_corpus(tmp_path).utterances
    assert (first.id, first.text, first.speaker, first.start_s, first.duration_s) == (
        "u1",
        "one",
        "anna",
        0.5,
        1.0,
    )
    assert first.reference is None
    assert second.reference.words[0].start_s == pytest.approx(0.25)
    loaded = load_utterances(prepared(tmp_path / "out", [checked(first), checked(second)]))
    assert [u.start_s for u in loaded] == [0.5, 2.0]
    whole, _ = soundfile.read(tmp_path / "long.wav", dtype="float32")
    assert torch.equal(
        load_audio(loaded[1], RATE_HZ), torch.from_numpy(whole[2 * RATE_HZ : 3 * RATE_HZ + 8000])
    )


def test_a_prepared_corpus_is_a_corpus(tmp_path: Path) -> None:
    tone(tmp_path / "wavs" / "a.wav")
    (tmp_path / "list").write_text("wavs/a.wav|anna|hello\n")
    (source,) = read_corpus(tmp_path / "list").utterances
    again = read_corpus(prepared(tmp_path / "out", [checked(source)])).utterances
    assert [(s.id, s.text, s.speaker, s.audio) for s in again] == [
        ("a", "hello", "anna", tmp_path / "wavs/a.wav")
    ]


def test_what_is_no_corpus_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfa\x00")
    for path, message in (
        (tmp_path / "none", "no such"),
        (tmp_path, "no utterances"),
        (tmp_path / "binary", "UTF-8"),
    ):
        with pytest.raises(AlignerError, match=message):
            read_corpus(path)
