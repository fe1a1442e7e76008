"""Made-up and damaged input for every reader of a person's files, drawn from a random number generator.

A case writes its input into a folder and reads it. It may give anything back or raise `AlignerError`; any
other exception is a fault of the reader. `tests/test_fuzz.py` runs a few of each, `scripts/fuzz.py`
thousands.
"""

import contextlib
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile
import torch
from damage import damaged, mutated, odd, text, value, words_replaced, written

from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.corpus.check_corpus import check_corpus
from aligner.corpus.checks import check_audio
from aligner.corpus.plausibility import doubts_about_list, doubts_about_speech
from aligner.corpus.prepared import load_info, load_utterances
from aligner.corpus.readers import RawUtterance, read_corpus
from aligner.corpus.reference import reference_beside
from aligner.encoders import PhoneMixtures
from aligner.errors import AlignerError
from aligner.formats import read
from aligner.formats.json_file import alignment_to_json
from aligner.formats.lookup import AlignmentLookup
from aligner.formats.manifest import to_cut
from aligner.frontends import Mel
from aligner.text.lexicon import read_lexicon
from aligner.text.phonemizer import load_phonemizer
from aligner.text.transcript import Transcript, Word


@lru_cache
def _sound(format: str, subtype: str | None = None, channels: int = 1) -> bytes:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (2000, channels)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format=format, subtype=subtype)
    return file.getvalue()


def sounds(folder: Path) -> None:
    """Recordings that lists may name."""
    (folder / "wavs").mkdir(exist_ok=True)
    for name in ("a.wav", "wavs/a.wav", "wavs/b.wav"):
        (folder / name).write_bytes(_sound("WAV"))


def prepared(folder: Path, phonemizer: str = "characters", columns: str | None = None) -> None:
    """What `aligner prepare` does with a corpus, but for writing it."""
    corpus = read_corpus(folder, columns=columns)
    doubts_about_list(corpus.utterances, tokens=False)
    checked = check_corpus(corpus.utterances, _phonemizer(phonemizer))
    doubts_about_speech(checked)


def a_list(draw: Random, folder: Path) -> None:
    sounds(folder)
    separator = draw.choice(("|", "|", "|", " | ", "\t", ",", ";", " "))
    width = draw.choice((1, 2, 2, 3, 3, 3, 4, 6))
    lines = []
    for _ in range(draw.choice((0, 1, 2, 7, 30))):
        fields = [draw.choice(("wavs/a.wav", "a", "b.wav", odd(draw)))]
        fields += [text(draw) if draw.random() < 0.6 else odd(draw) for _ in range(width - 1)]
        if draw.random() < 0.1:
            fields = [f'"{field}"' for field in fields]
        lines.append(separator.join(fields[: draw.choice((width,) * 9 + (1,))]))
    if draw.random() < 0.2:
        lines.insert(0, separator.join(draw.choice(("path", "text", "speaker", "x")) for _ in range(width)))
    name = draw.choice(("list.txt", "metadata.csv", "validated.tsv"))
    path = written(folder / name, "\n".join(lines) + draw.choice(("", "\n")), draw)
    columns = draw.choice((None, None, "wav,text,speaker", "text,wav", "id,text,start,duration", odd(draw)))
    prepared(path, columns=columns)


def a_manifest(draw: Random, folder: Path) -> None:
    sounds(folder)
    lines = []
    for _ in range(draw.choice((1, 2, 7))):
        row: dict[str, Any] = {"audio_filepath": draw.choice(("a.wav", "wavs/b.wav")), "text": text(draw)}
        if draw.random() < 0.5:
            row["duration"] = draw.choice((0.1, 1.5, value(draw)))
            row["offset"] = draw.choice((0, 0.1, value(draw)))
        if draw.random() < 0.3:
            row[draw.choice(("speaker", "text", "audio_filepath", "id", odd(draw)))] = value(draw)
        lines.append(json.dumps(row))
    content = "\n".join(lines) if draw.random() < 0.8 else f"[{','.join(lines)}]"
    prepared(written(folder / draw.choice(("m.jsonl", "m.json")), content, draw))


def _cut(folder: Path) -> dict[str, Any]:
    from lhotse import MonoCut, Recording, SupervisionSegment

    sounds(folder)
    recording = Recording.from_file(folder / "a.wav")
    supervision = SupervisionSegment("u", recording.id, 0, 0.25, text="hello there", speaker="anna")
    data: dict[str, Any] = MonoCut("u", 0, 0.25, 0, [supervision], recording=recording).to_dict()
    items = {"word": [["hello", 0.0, 0.2, 0.5]], "phone": [["h", 0.0, 0.2, None]]}
    data["supervisions"][0]["alignment"] = items
    return data


def a_lhotse_manifest(draw: Random, folder: Path) -> None:
    rows = []
    for _ in range(draw.choice((1, 3))):
        cut = _cut(folder)
        if draw.random() < 0.2:
            name = draw.choice(("Speed", "Resample", odd(draw)))
            cut["recording"]["transforms"] = [{"name": name, "kwargs": {}}]
        rows.append(draw.choice((cut, cut, cut, cut["recording"], cut["supervisions"][0])))
    rows = [mutated(row, draw) if draw.random() < 0.7 else row for row in rows]
    content = "\n".join(json.dumps(row) for row in rows).encode()
    if draw.random() < 0.5:
        path = written(folder / "cuts.jsonl.gz", gzip.compress(content), draw)
    else:
        path = written(folder / "cuts.jsonl", content, draw)
    prepared(path)


def a_kaldi_folder(draw: Random, folder: Path) -> None:
    sounds(folder)
    files = {
        "wav.scp": ("r1 a.wav", "r2 wavs/b.wav", "r3 cat x |", "r4 x.ark:3"),
        "text": ("u1 hello there", "u2 good day", "u3 one"),
        "segments": ("u1 r1 0 0.1", "u2 r2 0.1 -1", "u3 r3 0 1"),
        "utt2spk": ("u1 anna", "u2 ben"),
    }
    for name, lines in files.items():
        if name in ("wav.scp", "text") or draw.random() < 0.6:
            written(folder / name, words_replaced("\n".join(lines), draw), draw)
    prepared(folder)


def a_folder(draw: Random, folder: Path) -> None:
    sounds(folder)
    names = ("a.txt", "wavs/a.lab", "wavs/b.normalized.txt", "x.trans.txt", "wavs/a.TextGrid", "wavs/b.wrd")
    for name in names:
        if draw.random() < 0.6:
            written(folder / name, _TEXTGRID if name.endswith("Grid") else text(draw), draw)
    prepared(folder)


_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.25
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.25
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = "hi"
        intervals [2]:
            xmin = 0.1
            xmax = 0.25
            text = ""
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.25
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = "h"
        intervals [2]:
            xmin = 0.1
            xmax = 0.25
            text = "aɪ"
"""


def a_textgrid(draw: Random, folder: Path) -> None:
    written(folder / "a.TextGrid", words_replaced(_TEXTGRID, draw), draw)
    _read_reference(folder)


def timit_times(draw: Random, folder: Path) -> None:
    for name in draw.choice((("a.phn",), ("a.wrd",), ("a.phn", "a.wrd"), ("a.PHN", "a.WRD"))):
        written(folder / name, words_replaced("0 800 sh\n800 1200 iy\n1200 2000 h#\n", draw), draw)
    _read_reference(folder)


def _read_reference(folder: Path) -> None:
    """Read times as a reference beside a recording, and as alignments of their own."""
    _each(lambda: reference_beside(folder / "a.wav", "a", 0.25), lambda: _read_alignments(folder))


def _each(*readers: Callable[[], object]) -> None:
    """Call all readers, even if the first say that they cannot read it."""
    for reader in readers:
        with contextlib.suppress(AlignerError):
            reader()


def _read_alignments(path: Path) -> None:
    _each(lambda: list(read(path)), lambda: AlignmentLookup(path).find("a"))


def a_ctm(draw: Random, folder: Path) -> None:
    lines = "a 1 0.0 0.1 sh\na 1 0.1 0.15 iy 0.9\nb 1 0.0 0.2 x NA lex anna\n"
    _read_alignments(written(folder / "phones.ctm", words_replaced(lines, draw), draw))


def _alignment() -> Alignment:
    edges_s = [0, 0.1, 0.25]
    return Alignment.from_boundaries("a", ["sil", "h"], [-1, 0], ["hi"], edges_s, 0.25, scores=[0.5, 1.0])


def alignment_json(draw: Random, folder: Path) -> None:
    data = alignment_to_json(_alignment())
    content = json.dumps(mutated(data, draw) if draw.random() < 0.7 else data)
    _read_alignments(written(folder / "a.json", content, draw))


def alignments_manifest(draw: Random, folder: Path) -> None:
    data = to_cut(_alignment()).to_dict()
    rows = [mutated(data, draw) if draw.random() < 0.7 else data for _ in range(draw.choice((1, 2)))]
    content = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    _read_alignments(written(folder / "alignments.jsonl.gz", content, draw))


def sound_headers(draw: Random, folder: Path) -> None:
    format, subtype = draw.choice(
        (("WAV", None), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", None), ("OGG", None), ("MP3", None))
        + (("AIFF", None), ("W64", None), ("CAF", None), ("AU", None), ("NIST", None), ("OGG", "OPUS"))
    )
    content = bytearray(_sound(format, subtype, draw.choice((1, 2))))
    for _ in range(draw.choice((1, 2, 4))):
        place = draw.randrange(min(len(content), draw.choice((64, 400))))
        number = draw.choice((b"\xff", b"\0\0", b"\xff\xff\xff\x7f", b"\x80"))
        content[place : place + draw.choice((1, 2, 4))] = number
    path = folder / draw.choice(("a.wav", "a.flac", "a.m4a"))
    path.write_bytes(bytes(content) if draw.random() < 0.8 else damaged(bytes(content), draw))
    raw = RawUtterance(
        id="a",
        audio=path,
        text="hi",
        start_s=draw.choice((0.0, 0.0, 0.1, 99.0)),
        duration_s=draw.choice((None, 0.1)),
        channels=draw.choice((None, (0,), (1,), (0, 5))),
    )
    check_audio(raw, Transcript((Word("hi", (("h", "i"),)),), ("", "")))


@lru_cache
def _phonemizer(name: str) -> Callable[[str], Transcript]:
    return load_phonemizer(name, "en-us")


def texts(draw: Random, folder: Path) -> None:
    name = draw.choice(("gruut", "gruut", "characters", "tokens", "cmudict"))
    pieces = [odd(draw) if draw.random() < 0.5 else text(draw) for _ in range(draw.randint(1, 4))]
    highest = draw.choice((0x250, 0xD7FF))
    pieces += [chr(draw.randrange(0x20, highest)) for _ in range(draw.randrange(4))]
    draw.shuffle(pieces)
    transcript = _phonemizer(name)(draw.choice(("", " ", ". ")).join(pieces))
    assert Transcript.from_dict(json.loads(json.dumps(transcript.to_dict()))) == transcript


def a_lexicon(draw: Random, folder: Path) -> None:
    lines = ("hello 0.9 h e l o", "hello\th a l o", "there 1.0 0.2 1.0 1.0 dh e r", "word\tcount\tphones")
    content = words_replaced("\n".join(draw.sample(lines, 3)), draw)
    read_lexicon([written(folder / "lexicon.txt", content, draw)])


@lru_cache
def _checkpoint() -> bytes:
    """A checkpoint of an aligner that has learnt nothing."""
    sizes = {"n_fft": 256, "hop_samples": 80, "window_samples": 200, "mels": 8}
    frontend = Mel(sample_rate_hz=8000, fmin_hz=0.0, fmax_hz=4000.0, log_mels=True, **sizes)
    encoder = PhoneMixtures(3, frontend.channel_names, streams=["mel"], states=1)
    aligner = Aligner(["sil", "a", "b"], frontend, encoder, {"phonemizer": "characters", "language": "en"})
    with tempfile.TemporaryDirectory() as folder:
        aligner.save(Path(folder, "last.ckpt"))
        return Path(folder, "last.ckpt").read_bytes()


def a_checkpoint(draw: Random, folder: Path) -> None:
    content = _checkpoint()
    if draw.random() < 0.5:
        state = torch.load(io.BytesIO(content), weights_only=True)
        name = next(name for name in state if name != "state_dict")
        whole = draw.random() < 0.2
        state = mutated(state, draw) if whole else {**state, name: mutated(state[name], draw)}
        file = io.BytesIO()
        torch.save(state, file)
        content = file.getvalue()
    if draw.random() < 0.6:
        content = damaged(content, draw)
    (folder / "last.ckpt").write_bytes(content)
    Aligner.load(folder / "last.ckpt").phonemizer()


def a_prepared_corpus(draw: Random, folder: Path) -> None:
    info = {"symbols": ["sil", "a"], "phonemizer": "characters", "language": "en", "options": {}}
    written(folder / "corpus.json", json.dumps(mutated(info, draw) if draw.random() < 0.7 else info), draw)
    cut = _cut(folder)
    transcript = {"words": [["a", ["a"], "given"]], "breaks": ["", ""]}
    cut["supervisions"][0]["custom"] = {"transcript": transcript}
    content = json.dumps(mutated(cut, draw) if draw.random() < 0.7 else cut).encode()
    written(folder / "cuts.jsonl.gz", gzip.compress(content), draw)
    _each(lambda: load_info(folder), lambda: load_utterances(folder))


READERS: dict[str, Callable[[Random, Path], None]] = {
    reader.__name__.replace("_", " ").removeprefix("a "): reader
    for reader in (
        *(a_list, a_manifest, a_lhotse_manifest, a_kaldi_folder, a_folder, a_textgrid, timit_times, a_ctm),
        *(
            alignment_json,
            alignments_manifest,
            sound_headers,
            texts,
            a_lexicon,
            a_checkpoint,
            a_prepared_corpus,
        ),
    )
}
