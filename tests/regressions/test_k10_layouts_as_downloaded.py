"""K10: corpora in the layouts in which people download or write them."""

import gzip
import json
from pathlib import Path

import pytest
import soundfile
from regressions.prepared_corpora import TEXTS, noise, prepare, write_list

COUNT = range(len(TEXTS))


@pytest.mark.parametrize("folder", ["wavs/", "wav/", "audio/", ""])
@pytest.mark.parametrize(
    "line",
    [
        "{n}|{text}|{text}",
        "{n}.wav|{text}",
        "{n} | {text}",
        "{n}|{text}",
        '"{n}"|"{text}"|"{text}"',
        "{n}|{text}\r",
        "{folder}{n}.wav|{text}",
        "{folder}{n}|{text}",
        "{n}|anna|{text}",
    ],
)
def test_ljspeech_and_its_variants(tmp_path: Path, folder: str, line: str) -> None:
    lines = [line.format(n=n, text=text, folder=folder) for n, text in enumerate(TEXTS)]
    path = write_list(tmp_path / "corpus" / "metadata.csv", lines, [f"{folder}{n}.wav" for n in COUNT])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = prepare(path.parent)
    assert found.status == 0
    assert found.texts == {str(n): TEXTS[n] for n in COUNT}
    assert set(found.speakers.values()) == {"anna" if "anna" in line else "corpus"}


def test_vctk(tmp_path: Path) -> None:
    for speaker in ("p225", "p226"):
        for n in (1, 2):
            for microphone in (1, 2):
                noise(tmp_path / f"V/wav48_silence_trimmed/{speaker}/{speaker}_00{n}_mic{microphone}.flac")
            text = tmp_path / f"V/txt/{speaker}/{speaker}_00{n}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(f"{TEXTS[n]} {speaker[-1] * 0}")
    (tmp_path / "V" / "speaker-info.txt").write_text("ID AGE\n")
    found = prepare(tmp_path / "V")
    assert found.speakers == {f"p22{s}_00{n}": f"p22{s}" for s in (5, 6) for n in (1, 2)}
    assert all(u.audio.name.endswith("_mic1.flac") for u in found.utterances.values())
    assert not found.refused
    assert "_mic2" in found.said


def test_libritts(tmp_path: Path) -> None:
    for n in range(3):
        audio = noise(tmp_path / f"L/84/121123/84_121123_00000{n}_000000.wav")
        audio.with_suffix(".normalized.txt").write_text(TEXTS[n])
        audio.with_suffix(".original.txt").write_text("as it was printed")
    found = prepare(tmp_path / "L")
    assert list(found.texts.values()) == list(TEXTS[:3])
    assert set(found.speakers.values()) == {"84"}


def test_librispeech(tmp_path: Path) -> None:
    for n in range(3):
        noise(tmp_path / f"L/84/121123/84-121123-000{n}.flac")
    lines = [f"84-121123-000{n} {TEXTS[n].upper()}" for n in range(4)]
    write_list(tmp_path / "L/84/121123/84-121123.trans.txt", lines)
    found = prepare(tmp_path / "L")
    assert list(found.texts) == ["84-121123-0000", "84-121123-0001", "84-121123-0002"]
    assert set(found.speakers.values()) == {"84"}
    assert "audio missing" in found.refused["84-121123-0003"]


def test_common_voice(tmp_path: Path) -> None:
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\tlocale"
    sentences = ['"Oh," she said.', 'He said "no" twice', '"never closed', *TEXTS[3:]]
    lines = [header, *(f"{'ab'[n % 2] * 64}\tcv_{n}.mp3\tx\t{s}\t2\ten" for n, s in enumerate(sentences))]
    write_list(tmp_path / "cv" / "validated.tsv", lines)
    for n in COUNT:
        noise(tmp_path / "cv" / "clips" / f"cv_{n}.mp3", 1.0, 16000)
    found = prepare(tmp_path / "cv")
    assert set(found.utterances) == {f"cv_{n}" for n in COUNT}
    assert found.texts["cv_3"] == TEXTS[3]
    assert len(set(found.speakers.values())) == 2


def test_nemo(tmp_path: Path) -> None:
    rows = [{"audio_filepath": f"{n}.wav", "duration": 1.0, "text": text} for n, text in enumerate(TEXTS)]
    rows[2]["duration"] = 1.02  # NeMo 5571: an MP3 is 0.02 s shorter than its manifest
    rows[3]["duration"] = 5.0
    path = write_list(tmp_path / "m.json", map(json.dumps, rows), [f"{n}.wav" for n in COUNT])
    found = prepare(path)
    assert set(found.utterances) == {str(n) for n in COUNT}
    assert "shorter than listed, by at most 0.020 s (2)" in found.said
    assert "(3: listed is 5.000 s, the file has 1.000 s)" in found.said


def test_parts_of_a_recording_in_a_manifest(tmp_path: Path) -> None:
    rows = [
        {"audio_filepath": "long.wav", "offset": n * 0.5, "duration": 0.5, "text": "hello"} for n in range(4)
    ]
    rows += [{**rows[0], "offset": -1}, {**rows[0], "offset": 99}, {**rows[0], "duration": "x", "offset": 7}]
    path = write_list(tmp_path / "m.jsonl", map(json.dumps, rows))
    noise(tmp_path / "long.wav", 2.0)
    found = prepare(path)
    assert [u.start_s for u in found.utterances.values()] == [0.0, 0.5, 1.0, 1.5]
    assert {u.duration_s for u in found.utterances.values()} == {0.5}
    assert found.summary["refused"] == 3


def test_kaldi(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    scp = ["ra a.wav", f"rc touch {tmp_path}/ran |", "rd foo.ark:12"]
    write_list(folder / "wav.scp", scp)
    write_list(folder / "text", ["ra-1 hello there", "ra-2 good day", "rc-1 one", "rd-1 two", "re-1 three"])
    write_list(
        folder / "segments", ["ra-1 ra 0 1.5", "ra-2 ra 1.5 -1", "rc-1 rc 0 1", "rd-1 rd 0 1", "re-1 re 0 1"]
    )
    write_list(folder / "utt2spk", ["ra-1 anna", "ra-2 anna"])
    noise(folder / "a.wav", 3.0)
    found = prepare(folder)
    assert {id: (u.start_s, u.duration_s, u.speaker) for id, u in found.utterances.items()} == {
        "ra-1": (0.0, 1.5, "anna"),
        "ra-2": (1.5, 1.5, "anna"),
    }
    assert "never run" in found.refused["rc-1"]
    assert "archive" in found.refused["rd-1"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("metadata.csv", "file_name,transcription", 'data/{n}.wav,"{text}"'),
        ("metadata.csv", "file_name,transcription", "{n}.wav,{text}"),
        ("metadata.jsonl", "", '{{"file_name": "data/{n}.wav", "text": "{text}"}}'),
        ("metadata.csv", "audio_file|text|speaker_name", "data/{n}.wav|{text}|x"),
        ("metadata.csv", "path,sentence,up_votes", "data/{n}.wav,{text},2"),
    ],
)
def test_hugging_face_and_coqui(tmp_path: Path, name: str, header: str, line: str) -> None:
    lines = [header, *(line.format(n=n, text=text) for n, text in enumerate(TEXTS))]
    path = write_list(tmp_path / "hf" / name, lines, [f"data/{n}.wav" for n in COUNT])
    assert prepare(path.parent).texts == {str(n): TEXTS[n] for n in COUNT}


def test_speaker_folders_with_texts_and_textgrids_of_sentences(tmp_path: Path) -> None:
    from praatio import textgrid

    for speaker in ("anna", "ben"):
        noise(tmp_path / "mfa" / speaker / "0.wav").with_suffix(".lab").write_text("hello")
    noise(tmp_path / "mfa" / "cat" / "talk.wav", 2.0)
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("cat", [(0.1, 0.9, "hello there"), (1, 1.9, "good day")], 0, 2))
    grid.save(str(tmp_path / "mfa" / "cat" / "talk.TextGrid"), "short_textgrid", includeBlankSpaces=True)
    found = prepare(tmp_path / "mfa")
    assert found.speakers == {"anna-0": "anna", "ben-0": "ben", "talk-001": "cat", "talk-002": "cat"}
    assert found.utterances["talk-002"].start_s == 1.0
    assert not found.references_refused


def test_timit_in_upper_case_with_sphere_files(tmp_path: Path) -> None:
    folder = tmp_path / "TIMIT" / "FCJF0"
    noise(folder / "SA1.WAV", 1.0, 16000, format="WAV")
    (folder / "SA1.PHN").write_text("0 8000 sh\n8000 16000 iy\n")
    noise(folder / "SA2.WAV", 1.0, 16000, format="NIST")
    (folder / "SX3.WAV").write_bytes(
        b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\n" + b" " * 2000
    )
    for name in ("SA1", "SA2", "SX3"):
        (folder / f"{name}.TXT").write_text("0 16000 She had it.\n")
    found = prepare(tmp_path / "TIMIT")
    assert found.texts == {"SA1": "She had it.", "SA2": "She had it."}
    assert found.utterances["SA1"].reference is not None
    assert "sph2pipe" in found.refused["SX3"]


def test_labels_are_no_texts(tmp_path: Path) -> None:
    noise(tmp_path / "htk" / "a.wav").with_suffix(".lab").write_text("0 1200000 sil\n1200000 3000000 ah\n")
    noise(tmp_path / "htk" / "b.wav").with_suffix(".lab").write_text("0 1200000 sil\n")
    (tmp_path / "htk" / "b.txt").write_text("hello")
    found = prepare(tmp_path / "htk")
    assert found.texts == {"b": "hello"}
    assert "HTK" in found.refused["a"]


def test_lists_in_folders_below(tmp_path: Path) -> None:
    for book in ("x", "y"):
        lines = [f"{book}{n}|{text}" for n, text in enumerate(TEXTS)]
        write_list(tmp_path / "m" / book / "metadata.csv", lines, [f"wavs/{book}{n}.wav" for n in COUNT])
    assert len(prepare(tmp_path / "m").utterances) == 2 * len(TEXTS)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("folder", ["", "data/"])
def test_splits_of_hugging_face(tmp_path: Path, kind: str, folder: str) -> None:
    for split, count in (("train", 4), ("test", 2)):
        rows = [json.dumps({"file_name": f"{n}.wav", "transcription": TEXTS[n]}) for n in range(count)]
        if kind == "csv":
            rows = ["file_name,transcription", *(f"{n}.wav,{TEXTS[n]}" for n in range(count))]
        sounds = [f"{n}.wav" for n in range(count)]
        write_list(tmp_path / f"hf/{folder}{split}/metadata.{kind}", rows, sounds)
    write_list(tmp_path / f"hf/{folder}broken/metadata.jsonl", ['{"a": 1}'])
    found = prepare(tmp_path / "hf")
    ids = {"2", "3", "train-0", "train-1", "test-0", "test-1"}
    assert set(found.utterances) == ids
    assert set(found.speakers.values()) == {""}
    assert "names of audio and text" in found.refused["metadata"]
    assert "4 utterances have the file name of another" in found.said


@pytest.mark.parametrize("name", ["data/train-00000-of-00001.parquet", "train/data-00000.arrow"])
def test_tables_with_the_audio_in_them_say_how_to_unpack_them(tmp_path: Path, name: str) -> None:
    write_list(tmp_path / "hf" / name, ["PAR1"])
    write_list(tmp_path / "hf" / "README.md", ["A corpus."])
    for given in (tmp_path / "hf", tmp_path / "hf" / name):
        found = prepare(given)
        assert found.status == 1
        assert "metadata.jsonl beside the files" in found.said


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.wav", None, "no .txt or .lab beside it; write what is said to a.txt"),
        ("a.zip", b"PK\3\4\0\0\0", "binary"),
        ("prose.txt", b"Hello there.\nHow are you\n", "not a list"),
        ("empty.txt", b"", "no utterances found"),
        ("other.jsonl", b'{"a": 1}\n', "names of audio and text"),
        ("list.json", b"[1, 2", "not JSON"),
        ("cuts.jsonl.gz", gzip.compress(b"", mtime=0), "recordings and supervisions"),
        ("cuts.jsonl.gz", b"not packed", "cannot be read"),
        ("cuts.jsonl.gz", gzip.compress(b'{"id": "x"}' * 999, mtime=0)[:-20], "cannot be read"),
    ],
)
def test_what_is_no_corpus_is_one_line_that_says_so(
    tmp_path: Path, name: str, content: bytes | None, what: str
) -> None:
    if content is None:
        noise(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    found = prepare(tmp_path / name)
    assert found.status == 1
    assert what in found.said
    assert len(found.said.splitlines()) == 1


def test_a_folder_that_lhotse_knows_names_its_command(tmp_path: Path) -> None:
    (tmp_path / "ted").mkdir()
    (tmp_path / "ted" / "a.stm").write_text("x")
    assert "lhotse prepare tedlium" in prepare(tmp_path / "ted").said


@pytest.mark.parametrize("suffix", ["m4a", "webm"])
def test_what_needs_pyav_is_read_by_it_or_says_so(tmp_path: Path, suffix: str) -> None:
    sign = {"m4a": b"\0\0\0\x20ftypM4A ", "webm": b"\x1a\x45\xdf\xa3"}[suffix]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / f"a.{suffix}").write_bytes(sign + bytes(500))
    (tmp_path / "c" / "a.txt").write_text("hello")
    noise(tmp_path / "c" / "b.wav").with_suffix(".txt").write_text("hello")
    found = prepare(tmp_path / "c")
    assert list(found.utterances) == ["b"]
    assert "mas-aligner[av]" in found.refused["a"] or "cannot be read as audio" in found.refused["a"]


def test_pyav_reads_m4a(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    wav = noise(tmp_path / "source.wav", 2.0, 16000)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.txt").write_text("hello there")
    with av.open(str(wav)) as source, av.open(str(tmp_path / "c" / "a.m4a"), "w") as packed:
        stream = packed.add_stream("aac", rate=16000)
        for frame in source.decode(audio=0):
            packed.mux(stream.encode(frame))
        packed.mux(stream.encode(None))
    (only,) = prepare(tmp_path / "c").utterances.values()
    assert only.audio_rate_hz == 16000
    assert only.duration_s == pytest.approx(2.0, abs=0.15)
    assert soundfile.info(wav).frames == 32000


@pytest.mark.parametrize("arguments", [("--jobs", "0"), ("--jobs", "-3"), ("--jobs", "two")])
def test_numbers_out_of_range_are_refused_by_argument(tmp_path: Path, arguments: tuple[str, str]) -> None:
    noise(tmp_path / "c" / "a.wav").with_suffix(".txt").write_text("hello")
    found = prepare(tmp_path / "c", *arguments)
    assert found.status == 2
    assert "--jobs" in found.said
