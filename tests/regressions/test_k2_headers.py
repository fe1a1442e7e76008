"""K2: a header is a header though it has names that nobody knows; it is never an utterance."""

from pathlib import Path

import pytest
from regressions.prepared_corpora import TEXTS, prepare, write_list


@pytest.mark.parametrize(
    ("header", "line", "unused"),
    [
        ("filename,label,gender,age", "{n}.wav,{text},f,20", "gender, age"),
        (",filename,duration,label", "{n},{n}.wav,1.0,{text}", "1"),
        ("filename,label", "{n}.wav,{text}", ""),
        ("Audio File,Transcription Text,Narrator", "{n}.wav,{text},anna", ""),
        ("Audio-File|Spoken Text|READER", "{n}.wav|{text}|anna", ""),
        ("filename\tlabel\ttranscript", "{n}.wav\t3\t{text}", "label"),
        ("filename|what is said", "{n}.wav|{text}", ""),
        ("clip,said,gender", "{n}.wav,{text},f", "gender"),
        ("the sound,text,speaker", "{n}.wav,{text},anna", ""),
        ("duration;speaker;where;what", "1.0;anna;{n}.wav;{text}", ""),
        ('"path","up votes","sentence"', '"{n}.wav","2","{text}"', "up votes"),
        ("path|duration[ms]|sentence", "{n}.wav|1000|{text}", "duration[ms]"),
        ("wav,path,text", "{n}.wav,/somewhere/{n}.wav,{text}", "path"),
    ],
)
def test_a_first_line_of_known_names_is_a_header(tmp_path: Path, header: str, line: str, unused: str) -> None:
    lines = [header, *(line.format(n=n, text=text) for n, text in enumerate(TEXTS))]
    found = prepare(write_list(tmp_path / "list.csv", lines, [f"{n}.wav" for n in range(len(TEXTS))]))
    assert found.texts == {str(n): text for n, text in enumerate(TEXTS)}
    assert not found.refused
    assert ("not used: column" in found.said) == bool(unused)
    assert unused in found.said
    assert set(found.speakers.values()) == {"anna" if "anna" in line else ""}


@pytest.mark.parametrize("first", ["file|hello there", "text|speaker", "path.wav|text", "name|start"])
def test_a_first_utterance_is_no_header(tmp_path: Path, first: str) -> None:
    sound = first.partition("|")[0].removesuffix(".wav") + ".wav"
    found = prepare(write_list(tmp_path / "list.txt", [first, "1.wav|The other."], [sound, "1.wav"]))
    assert found.texts == {sound.removesuffix(".wav"): first.partition("|")[2], "1": "The other."}


@pytest.mark.parametrize("header", ["wav,speaker", "audio_file,duration,speaker_id", "path,lang"])
def test_a_header_without_a_text_makes_no_text_of_another_column(tmp_path: Path, header: str) -> None:
    row = ",".join(["{n}.wav", "1.0", "anna"][: header.count(",")] + ["anna"])
    lines = [header, *(row.format(n=n) for n in range(len(TEXTS)))]
    path = write_list(tmp_path / "list.csv", lines, [f"{n}.wav" for n in range(len(TEXTS))])
    found = prepare(path)
    assert found.status != 0
    assert "and none for the text" in found.said
