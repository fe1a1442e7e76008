"""K2: a corpus that is read as something else than it is: recognised, or said loudly, or refused."""

import json
from pathlib import Path

import pytest
from regressions.prepared_corpora import TEXTS, noise, prepare, write_list

SOUNDS = [f"wavs/{n}.wav" for n in range(len(TEXTS))]


def listed(path: Path, line: str, *, sounds: list[str] = SOUNDS) -> Path:
    """A list of one line for each text; `{n}`, `{text}`, `{speaker}` and `{s}` (seconds) stand in `line`."""
    lines = [
        line.format(n=n, text=text, speaker=("anna", "ben")[n % 2], s=f"{1.2 + n / 10:.2f}")
        for n, text in enumerate(TEXTS)
    ]
    return write_list(path, lines, sounds)


@pytest.mark.parametrize(
    ("line", "read_as", "first_speaker"),
    [
        ("wavs/{n}.wav|{text}|0", "wav|text|speaker", "0"),  # StyleTTS2
        ("wavs/{n}.wav|{text}|{speaker}", "wav|text|speaker", "anna"),
        ("wavs/{n}.wav|{speaker}|{text}", "wav|speaker|text", "anna"),
        ("wavs/{n}.wav|3|{text}", "wav|speaker|text", "3"),  # VITS
        ("wavs/{n}.wav|{text}|{s}", "wav|text|ignore", ""),
        ("wavs/{n}.wav|{speaker}|EN|{text}", "wav|speaker|language|text", "anna"),  # Bert-VITS2
        ("wavs/{n}.wav|{text}|{text} (read)", "wav|text|normalized", ""),
        ("{speaker}|{text}|wavs/{n}.wav", "speaker|text|wav", "anna"),
        ("wavs/{n}.wav\t{text}\t{speaker}", "wav\ttext\tspeaker", "anna"),
        ("wavs/{n}.wav;{text};{speaker}", "wav;text;speaker", "anna"),
        ("wavs/{n}.wav {text}", "wav text", ""),
        ("wavs\\{n}.wav|{text}", "wav|text", ""),
    ],
)
def test_columns_are_known_by_their_values(
    tmp_path: Path, line: str, read_as: str, first_speaker: str
) -> None:
    found = prepare(listed(tmp_path / "list.txt", line))
    assert found.status == 0
    assert found.summary["layouts"] == [f"list.txt: {read_as}"]
    assert set(found.utterances) == {str(n) for n in range(len(TEXTS))}
    assert found.utterances["0"].text.startswith(TEXTS[0])
    assert found.utterances["0"].speaker == first_speaker
    assert TEXTS[0] in " ".join(found.printed.split())  # shown as it was understood


@pytest.mark.parametrize("third", ["{s}", "3.52", "2,5"])
def test_a_duration_in_metadata_is_no_text(tmp_path: Path, third: str) -> None:
    """coqui 1203: `a|This is my sentence.|3.52` was trained on "three point five two"."""
    found = prepare(listed(tmp_path / "metadata.csv", "{n}|{text}|" + third).parent)
    assert list(found.texts.values()) == list(TEXTS)
    assert "column 3 is not used" in found.said


def test_a_single_line_is_understood_too(tmp_path: Path) -> None:
    found = prepare(write_list(tmp_path / "metadata.csv", ["0|This is my sentence.|3.52"], SOUNDS[:1]).parent)
    assert found.texts == {"0": "This is my sentence."}


@pytest.mark.parametrize(
    "line", ["wavs/{n}.wav|0", "wavs/{n}.wav|0|1", "wavs/{n}.wav|mels/{n}.npy", "wavs/{n}.wav|3.5|2.5"]
)
def test_what_is_certainly_no_text_is_refused(tmp_path: Path, line: str) -> None:
    found = prepare(listed(tmp_path / "list.txt", line))
    assert found.status == 1
    assert "--columns" in found.said
    assert not (tmp_path / "list.txt-prepared" / "cuts.jsonl.gz").exists()


def test_the_person_says_what_the_columns_are(tmp_path: Path) -> None:
    path = listed(tmp_path / "list.txt", "{text};x;wavs/{n}.wav;7;de")
    found = prepare(path, "--columns", "text,ignore,wav,speaker,language")
    assert list(found.texts.values()) == list(TEXTS)
    assert set(found.speakers.values()) == {"7"}
    for wrong, what in (("wav,txt", "'txt'"), ("wav,speaker", "one text"), ("text,text,wav", "twice")):
        failed = prepare(path, "--columns", wrong)
        assert (failed.status, what in failed.said) == (1, True)


def test_a_last_column_of_text_has_the_separator_in_it(tmp_path: Path) -> None:
    path = write_list(tmp_path / "list.txt", ["wavs/0.wav,Oh, well, yes.", "wavs/1.wav,No."], SOUNDS[:2])
    assert prepare(path).texts == {"0": "Oh, well, yes.", "1": "No."}
    path = write_list(tmp_path / "x.txt", ["wavs/0.wav|a|b c|d"], SOUNDS[:1])
    found = prepare(path, "--columns", "wav,text", "--phonemizer", "tokens")
    assert found.texts == {"0": "a|b c|d"}


def test_columns_are_for_lists(tmp_path: Path) -> None:
    noise(tmp_path / "folder" / "a.wav").with_suffix(".txt").write_text("hello")
    found = prepare(tmp_path / "folder", "--columns", "wav,text")
    assert found.status == 1
    assert "no list" in found.said


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("wavs/{n}.wav|hello world", "7 of 7 texts are 'hello world'"),
        ("wavs/{n}.wav|{n}", "texts are numbers"),
        ("wavs/0.wav|{text}", "share their audio"),
        ("wavs/{n}.wav|" + "{text} " * 20, "too many for speech"),
        ("wavs/{n}.wav|a", "too few for speech"),
    ],
)
def test_what_looks_wrong_is_said_and_strict_makes_it_fatal(tmp_path: Path, line: str, what: str) -> None:
    path = listed(tmp_path / "list.txt", line)
    for n in range(len(TEXTS)):
        noise(tmp_path / f"wavs/{n}.wav", 3.0)
    options = ["--phonemizer", "gruut"] if "{n}|{n}" in line or line.endswith("|{n}") else []
    if "{text}" in line and "wavs/{n}" in line:
        path.write_text(path.read_text().replace(".", " ").replace(" wav", ".wav").replace("?", " "))
    assert what in prepare(path, *options).said
    assert prepare(path, *options, "--strict").status == 1


def test_speakers_as_many_as_utterances_are_said(tmp_path: Path) -> None:
    lines = [f"wavs/{n}.wav|speaker{n}|{TEXTS[n % 7]}" for n in range(12)]
    found = prepare(write_list(tmp_path / "list.txt", lines, [f"wavs/{n}.wav" for n in range(12)]))
    assert "12 speakers have 12 utterances" in found.said


def test_texts_of_other_recordings_are_noticed(tmp_path: Path) -> None:
    def corpus(name: str, shift: int) -> Path:
        texts = ["so " * (3 + n % 9) for n in range(27)]
        for n in range(27):
            noise(tmp_path / name / f"{n}.wav", len(texts[n]) / 12).with_suffix(".txt").write_text(
                texts[(n + shift) % 27]
            )
        return tmp_path / name

    assert "long texts do not have long recordings" not in prepare(corpus("right", 0)).said
    assert "long texts do not have long recordings" in prepare(corpus("shifted", 5)).said


def test_single_texts_that_are_too_long_or_short_are_named(tmp_path: Path) -> None:
    for n in range(12):
        text = "so it is said here " * (12 if n == 4 else 2) if n != 7 else "oh"
        noise(tmp_path / "c" / f"u{n}.wav", 3.0).with_suffix(".txt").write_text(text)
    found = prepare(tmp_path / "c")
    assert "too many words for their length (u4" in found.said
    assert "too few words for their length (u7" in found.said
    suspects = (tmp_path / "c-prepared" / "suspects.tsv").read_text().splitlines()[1:]
    assert {line.split("\t")[0] for line in suspects} == {"u4", "u7"}


def test_spelt_words_are_noticed(tmp_path: Path) -> None:
    for n, text in enumerate(TEXTS):
        spelt = " ".join(letter for letter in text.upper() if letter.isalpha())
        noise(tmp_path / "c" / f"{n}.wav", 4.0).with_suffix(".txt").write_text(spelt)
    assert "spelt letter by letter" in prepare(tmp_path / "c", "--phonemizer", "gruut").said


@pytest.mark.parametrize("suffix", ["wav", "ogg", "mp3"])
def test_files_that_stop_before_their_end_are_named(tmp_path: Path, suffix: str) -> None:
    for n in range(3):
        noise(tmp_path / "c" / f"{n}.{suffix}", 3.0, 16000).with_suffix(".txt").write_text("hello there")
    content = (tmp_path / "c" / f"1.{suffix}").read_bytes()
    (tmp_path / "c" / f"1.{suffix}").write_bytes(content[: len(content) // 2])
    found = prepare(tmp_path / "c")
    assert "1 files stop before the end that they name (1)" in found.said


def test_ids_are_the_names_that_consumers_look_for(tmp_path: Path) -> None:
    """TensorFlowTTS 254: durations were written as 3-p225_001.npy, which no trainer looks for."""
    lines = [f"DUMMY2/p{n}/p{n}_001.wav|{n}|Please call Stella." for n in (225, 226)]
    sounds = [f"DUMMY2/p{n}/p{n}_001.wav" for n in (225, 226)]
    found = prepare(write_list(tmp_path / "list.txt", lines, sounds))
    assert list(found.utterances) == ["p225_001", "p226_001"]
    assert list(found.speakers.values()) == ["225", "226"]


def test_names_that_clash_are_told_apart_and_said(tmp_path: Path) -> None:
    lines = ["x/001.wav|one", "y/001.wav|two", "y/002.wav|three", "z/y/001.wav|four"]
    sounds = [line.split("|")[0] for line in lines]
    found = prepare(write_list(tmp_path / "list.txt", lines, sounds))
    texts = found.texts
    assert texts.pop("002") == "three"
    assert sorted(texts.values()) == ["four", "one", "two"]
    assert "3 utterances have the file name of another" in found.said
    for id, utterance in found.utterances.items():
        assert utterance.audio.stem == id.split("-")[-1]


def test_cuts_that_change_their_audio_are_refused_by_name(tmp_path: Path) -> None:
    from lhotse import MonoCut, Recording, SupervisionSegment

    recording = Recording.from_file(noise(tmp_path / "c" / "long.wav", 4.0))
    plain = MonoCut("plain", 0, 4, 0, [SupervisionSegment("plain", recording.id, 0, 4, text="hello there")])
    plain.recording = recording
    changed = {
        "Speed": plain.perturb_speed(0.9),
        "Volume": plain.perturb_volume(2.0),
        "Tempo": plain.perturb_tempo(1.1),
        "Reverb": plain.reverb_rir(),
        "MixedCut": plain.pad(6),
    }
    cuts = [plain, *changed.values()]
    (tmp_path / "c" / "cuts.jsonl").write_text("\n".join(json.dumps(cut.to_dict()) for cut in cuts) + "\n")
    found = prepare(tmp_path / "c")
    assert list(found.utterances) == ["plain"]
    for name in changed:
        assert any(name in reason for reason in found.refused.values()), name


def test_cuts_are_read_from_the_file_and_channel_that_they_name(tmp_path: Path) -> None:
    from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment

    files = [noise(tmp_path / "c" / name, 2.0) for name in ("left.wav", "right.wav")]
    sources = [AudioSource("file", [n], str(file)) for n, file in enumerate(files)]
    recording = Recording("both", sources, 8000, 16000, 2.0)
    command = Recording("run", [AudioSource("command", [0], f"touch {tmp_path}/ran")], 8000, 16000, 2.0)
    cuts = [
        MonoCut("r", 0.5, 1, 1, recording=recording, supervisions=[
            SupervisionSegment("r", "both", 0, 1, channel=1, text="hi"),
        ]),
        MonoCut("run", 0, 2, 0, [SupervisionSegment("run", "run", 0, 2, text="hi")], recording=command),
        MonoCut("two", 0, 2, 0, recording=recording, supervisions=[
            SupervisionSegment("two-a", "both", 0, 0.5, text="one"),
            SupervisionSegment("two-b", "both", 1, 1, text="two"),
            SupervisionSegment("two-c", "both", 1, 9, text="longer than its recording"),
        ]),
    ]  # fmt: skip
    (tmp_path / "c" / "cuts.jsonl").write_text("\n".join(json.dumps(cut.to_dict()) for cut in cuts) + "\n")
    found = prepare(tmp_path / "c")
    assert {id: (u.audio.name, u.channels, u.start_s) for id, u in found.utterances.items()} == {
        "r": ("right.wav", (0,), 0.5),
        "two-a": ("left.wav", (0,), 0.0),
        "two-b": ("left.wav", (0,), 1.0),
    }
    assert "command" in found.refused["run"]
    assert "two-c" in found.refused
    assert not (tmp_path / "ran").exists()


def test_a_third_field_on_single_lines_is_no_speaker(tmp_path: Path) -> None:
    lines = [f"{sound}|{text}" for sound, text in zip(SOUNDS, TEXTS, strict=True)]
    lines[1] += "|and more"
    found = prepare(write_list(tmp_path / "list.txt", lines, SOUNDS))
    assert set(found.utterances) == {"0", *map(str, range(2, len(TEXTS)))}
    assert "3 fields, not wav|text" in found.refused["1"]


def test_lines_of_two_kinds_are_said(tmp_path: Path) -> None:
    lines = [f"{n}.wav|{TEXTS[n % 7]} {n}" + "|anna" * (n % 2) for n in range(14)]
    found = prepare(write_list(tmp_path / "list.txt", lines, [f"{n}.wav" for n in range(14)]))
    assert "lines have 3 fields and were read as wav,text,speaker, others as wav,text" in found.said


@pytest.mark.parametrize("last", ["", "\r", "\n"])
def test_lines_that_end_as_old_macs_end_them(tmp_path: Path, last: str) -> None:
    path = write_list(tmp_path / "l.txt", [], ["a.wav", "b.wav", "c.wav"])
    path.write_bytes(("a.wav|hello\rb.wav|there\rc.wav|you" + last).encode())
    assert prepare(path).texts == {"a": "hello", "b": "there", "c": "you"}


@pytest.mark.parametrize("column", ["language", "locale", "lang"])
def test_a_text_listed_as_of_another_language_is_refused_alone(tmp_path: Path, column: str) -> None:
    """The column was documented and not looked at: German was read as English."""
    codes = ("en", "EN-us", "eng", "English", "", "?", "de", "fra")
    lines = [f"wav|text|{column}", *(f"{n}.wav|{TEXTS[n % 7]}|{code}" for n, code in enumerate(codes))]
    path = write_list(tmp_path / "l.csv", lines, [f"{n}.wav" for n in range(8)])
    found = prepare(path, "--phonemizer", "gruut")
    assert set(found.refused) == {"6", "7"}
    assert "listed as de, and texts are read as en-us" in found.refused["6"]
    assert not prepare(path).refused  # of letters as tokens nothing depends on the language
