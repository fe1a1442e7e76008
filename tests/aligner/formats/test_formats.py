"""Every format by its consumer's reading rule, written here from that consumer's code and not from the
writer.
"""

import gzip
import json
import os
import random
import re
import string
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligner.alignment import Alignment, FrameGrid
from aligner.errors import AlignerError
from aligner.formats import (
    PRESETS,
    WRITERS,
    AlignmentWriter,
    ExportSettings,
    export,
    read,
    read_alignments,
    read_ctm,
    read_textgrid,
    read_timit,
    to_cut,
    write_alignments,
)
from aligner.formats.atomic import safe_name

RATE_HZ = 22050
PHONES = ["AH0", "B", "EH1", "D", "spn", "Z", "NG", "OY2"]
NONSENSE = ['a"b', "x y", "ʃː", "<&>", "t͡ʃ", "=", "@"]


@st.composite
def alignments(draw, symbols=tuple(PHONES), count=1, max_tokens=12):
    """Pauses anywhere, words of one to three phones, a whole number of samples, tokens from one sample up."""
    made = []
    for number in range(count):
        words = draw(
            st.lists(st.lists(st.sampled_from(symbols), min_size=1, max_size=3), min_size=1, max_size=4)
        )
        names, owners = [], []
        for index, phones in enumerate(words):
            if draw(st.booleans()):
                names, owners = [*names, "sil"], [*owners, -1]
            names, owners = names + phones, owners + [index] * len(phones)
        if draw(st.booleans()):
            names, owners = [*names, "sil"], [*owners, -1]
        lengths = draw(st.lists(st.integers(1, 9000), min_size=len(names), max_size=len(names)))
        edges = np.concatenate([[0], np.cumsum(lengths)]) / RATE_HZ
        texts = [f"w{index}" for index in range(len(words))]
        scores = [0.5] * len(names) if draw(st.booleans()) else None
        made.append(
            Alignment.from_boundaries(
                f"LJ-{number}",
                names,
                owners,
                texts,
                edges,
                edges[-1],
                scores=scores,
                text="what, was | said",
                audio=f"/corpus/wavs/LJ-{number}.wav",
            )  # fmt: skip
        )
    return made if count > 1 else made[0]


def example(seed=0, n_words=6, id="LJ001-0001", speaker=""):
    rng = random.Random(seed)
    names, owners = ["sil"], [-1]
    for index in range(n_words):
        n_phones = rng.randint(1, 4)
        names += [rng.choice(PHONES) for _ in range(n_phones)]
        owners += [index] * n_phones
        if rng.random() < 0.3:
            names, owners = [*names, "sil"], [*owners, -1]
    if names[-1] != "sil":
        names, owners = [*names, "sil"], [*owners, -1]
    edges = np.concatenate([[0], np.cumsum([rng.randint(900, 4000) for _ in names])]) / RATE_HZ
    return Alignment.from_boundaries(
        id, names, owners, [f"word{i}" for i in range(n_words)], edges, edges[-1], scores=[0.5] * len(names),
        speaker=speaker, score=0.25, text="Some words, said.", audio=f"/corpus/wavs/{id}.wav",
    )  # fmt: skip


def write(alignment, format, root, **more):
    (result,) = export([alignment], {format: root}, ExportSettings(**more)).values()
    assert not result.refused
    return root


def n_samples(alignment):
    return round(alignment.duration_s * RATE_HZ)


def fits(alignment, format="espnet"):
    return len(alignment.tokens) <= PRESETS[format].frame_count(n_samples(alignment))


def files(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


property_test = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# ---- consumers in frames ----


@property_test
@given(alignments())
def test_fastspeech2_reads_the_textgrid(tmp_path, one):
    """preprocessor.py: skip edge pauses, round boundaries to frames, crop the trimmed mel to the sum."""
    if n_samples(one) / 256 < len(one.tokens) + 1:
        return
    root = write(one, "fastspeech2", tmp_path / "fs2")
    text = (root / "TextGrid" / "default" / f"{one.id}.TextGrid").read_text()
    tier = text[text.index('name = "phones"') :]
    number = r"([\d.e-]+)"
    intervals = re.findall(rf"xmin = {number} \n\s+xmax = {number} \n\s+text = \"(.*)\" \n", tier)
    spoken = [i for i, (_, _, label) in enumerate(intervals) if label not in ("sil", "sp", "spn")]
    assert all(label for _, _, label in intervals)
    assert len(intervals) == len(one.tokens)
    if not spoken:
        return
    durations = [
        int(np.round(float(end) * RATE_HZ / 256) - np.round(float(start) * RATE_HZ / 256))
        for start, end, _ in intervals[spoken[0] : spoken[-1] + 1]
    ]
    assert min(durations) >= 1
    start_s, end_s = float(intervals[spoken[0]][0]), float(intervals[spoken[-1]][1])
    trimmed = min(int(RATE_HZ * end_s), n_samples(one)) - int(RATE_HZ * start_s)
    assert (
        sum(durations) <= 1 + trimmed // 256
    )  # so that mel[:, :sum] has as many frames as the durations say


@property_test
@given(alignments(count=3))
def test_fastspeech2_loads_durations_for_the_phones_of_its_lists(tmp_path, many):
    many = [one for one in many if fits(one, "fastspeech2") and n_samples(one) / 256 > len(one.tokens) + 1]
    if not many:
        return
    root = tmp_path / "fs2"
    export(many, {"fastspeech2": root})
    speakers = json.loads((root / "speakers.json").read_text())
    lines = [*(root / "train.txt").read_text().splitlines(), *(root / "val.txt").read_text().splitlines()]
    assert len(lines) == len(many)
    for line in lines:
        name, speaker, phones, _raw = line.split("|")
        (one,) = (one for one in many if one.id == name)
        assert speakers[speaker] == 0
        assert (phones[0], phones[-1]) == ("{", "}")
        durations = torch.from_numpy(np.load(root / "duration" / f"{speaker}-duration-{name}.npy")).long()
        assert len(durations) == len(phones[1:-1].split()) == len(one.tokens)
        assert durations.sum() == 1 + n_samples(one) // 256
        assert durations.min() >= 1


def test_fastspeech2_sets_some_apart_for_validation(tmp_path):
    many = [example(id=f"LJ{i:03d}") for i in range(200)]
    export(many, {"fastspeech2": tmp_path})
    train, val = ((tmp_path / name).read_text().splitlines() for name in ("train.txt", "val.txt"))
    assert len(train) + len(val) == 200
    assert 3 <= len(val) <= 25


def test_fastspeech2_names_pauses_as_it_knows_them(tmp_path):
    one = Alignment.from_boundaries(
        "u", ["_", "B", ",", "AH0", "h#"], [-1, 0, -1, 1, -1], ["b", "a"], [0, 0.1, 0.2, 0.3, 0.4, 0.5], 0.5
    )
    write(one, "fastspeech2", tmp_path)
    assert "{sil B sp AH0 sil}" in (tmp_path / "val.txt").read_text()


def test_fastspeech2_refuses_symbols_it_would_drop(tmp_path):
    one = Alignment.from_boundaries("u", ["ʃ", "AH0"], [0, 0], ["sha"], [0, 0.1, 0.2], 0.2)
    results = export([one, example()], {"fastspeech2": tmp_path / "a"})
    assert results["fastspeech2"].utterances == 1
    assert "would drop 'ʃ'" in results["fastspeech2"].refused[0]
    write(one, "fastspeech2", tmp_path / "b", any_symbols=True)
    write(one, "fastspeech2", tmp_path / "c", symbols={"ʃ": "SH"})
    assert "{SH AH0}" in (tmp_path / "c" / "val.txt").read_text()


@property_test
@given(alignments(), st.booleans())
def test_matcha_loads_as_many_durations_as_tokens(tmp_path, one, blanks):
    """text_mel_datamodule.py: np.load(...).astype(int); len == len(text), 2n+1 with blanks; mel is N//hop."""
    n_tokens = 2 * len(one.tokens) + 1 if blanks else len(one.tokens)
    frames = n_samples(one) // 256
    if n_tokens > frames:
        return
    root = write(one, "matcha", tmp_path / "matcha", blank="_" if blanks else None)
    durations = torch.from_numpy(np.load(root / "durations" / f"{one.id}.npy").astype(int))
    assert len(durations) == n_tokens
    assert durations.sum() == frames
    assert durations.min() >= 1
    _, tokens = (root / "tokens.txt").read_text().strip().split("|")
    expected = [t.symbol for t in one.tokens]
    assert tokens.split()[1::2] == expected if blanks else tokens.split() == expected


def test_blanks_take_one_frame_each_and_leave_the_rest(tmp_path):
    one = Alignment.from_boundaries("u", ["B", "AH0"], [0, 0], ["ba"], [0, 0.256, 0.512], 0.512)
    root = write(one, "npy", tmp_path, blank="_", grid=FrameGrid(256, 22050, "tiled"))
    durations = np.load(root / "durations" / "u.npy")
    assert durations[0::2].tolist() == [1, 1, 1]
    assert abs(int(durations[1]) - 22) <= 2
    assert durations.sum() == 44


@property_test
@given(alignments(count=2))
def test_espnet_reads_a_row_of_numbers_ending_in_0(tmp_path, many):
    """fileio/read_text.py: two columns at the first white space, then int() of what single spaces part."""
    if not all(fits(one) for one in many):
        return
    root = tmp_path / "espnet"
    export(many, {"espnet": root})
    lines = (root / "durations").read_text().splitlines()
    text = dict(line.split(maxsplit=1) for line in (root / "text").read_text().splitlines())
    assert len(lines) == len(many)
    for line in lines:
        id, values = line.rstrip().split(maxsplit=1)
        durations = [int(value) for value in values.split(" ")]
        (one,) = (one for one in many if one.id == id)
        assert durations[-1] == 0
        assert len(durations) == len(text[id].split()) + 1  # <eos>
        assert sum(durations) == int(one.duration_s * RATE_HZ / 256 + 1e-9) + 1


@property_test
@given(alignments())
def test_coqui_gets_the_same_durations_back_from_the_attention(tmp_path, one):
    """datasets/dataset.py transposes to [tokens, frames]; models/base_tts.py takes each frame's argmax."""
    if not fits(one):
        return
    root = write(one, "coqui", tmp_path / "coqui")
    (line,) = (root / "metadata_attn_mask.txt").read_text().splitlines(keepends=True)
    wav, npy = line.split("|")
    assert wav == f"/corpus/wavs/{one.id}.wav"
    attention = torch.FloatTensor(np.load(npy.strip()).T[None])
    assert attention.shape[1:] == (len(one.tokens), 1 + n_samples(one) // 256)
    owners, counts = torch.unique(attention[0].max(0)[1], return_counts=True)
    assert owners.tolist() == list(range(len(one.tokens)))
    assert counts.tolist() == one.durations(256, RATE_HZ).tolist()


@property_test
@given(alignments(count=2))
def test_nemo_loads_one_dictionary(tmp_path, many):
    """tts/data/dataset.py: torch.load, then by stem; features.py: N // hop frames of a centred STFT."""
    if not all(fits(one, "nemo") for one in many):
        return
    root = tmp_path / "nemo"
    export(many, {"nemo": root})
    durations = torch.load(root / "durations.pt", weights_only=True)
    assert sorted(durations) == sorted(one.id for one in many)
    for one in many:
        assert durations[one.id].dtype == torch.int64
        assert durations[one.id].shape == (len(one.tokens),)
        assert durations[one.id].sum() == n_samples(one) // 256


@property_test
@given(alignments())
def test_everyvoice_loads_a_tensor_by_speaker_and_language(tmp_path, one):
    """fs2/dataset.py: torch.load of base--speaker--language--duration.pt; its mel has N // hop frames."""
    if not fits(one, "everyvoice"):
        return
    root = write(one, "everyvoice", tmp_path, language="eng", speaker="anna")
    durations = torch.load(root / f"duration/{one.id}--anna--eng--duration.pt", weights_only=True)
    assert durations.dtype == torch.int64
    assert durations.shape == (len(one.tokens),)
    assert durations.sum() == n_samples(one) // 256
    assert durations.min() >= 1


@property_test
@given(alignments())
def test_tensorflowtts_loads_int32(tmp_path, one):
    """fastspeech2_dataset.py: np.load of {id}-durations.npy, tf.int32; preprocess.py: 1 + N // hop frames."""
    if not fits(one, "tensorflowtts"):
        return
    root = write(one, "tensorflowtts", tmp_path)
    durations = np.load(root / f"{one.id}-durations.npy")
    assert durations.dtype == np.int32
    assert durations.shape == (len(one.tokens),)
    assert durations.sum() == 1 + n_samples(one) // 256
    assert durations.min() >= 1


@property_test
@given(alignments(), st.sampled_from([(80, 16000), (256, 22050), (300, 24000), (512, 44100)]), st.booleans())
def test_npy_takes_any_grid(tmp_path, one, hop_and_rate, tiled):
    hop, rate_hz = hop_and_rate
    frames = round(one.duration_s * rate_hz) // hop + (not tiled)
    if len(one.tokens) > frames:
        return
    write(one, "npy", tmp_path, grid=FrameGrid(hop, rate_hz, "tiled" if tiled else "centred"))
    durations = np.load(tmp_path / f"durations/{one.id}.npy")
    assert durations.sum() == frames
    assert durations.shape == (len(one.tokens),)
    assert durations.min() >= 1


def test_npy_without_a_grid_says_what_to_state(tmp_path):
    with pytest.raises(AlignerError, match="say hop, sample rate and frame rule"):
        export([example()], {"npy": tmp_path})
    assert files(tmp_path) == []


# ---- formats in seconds, there and back ----


def same(one, other, tolerance_s=1e-6, scores=True, symbols=True):
    assert len(one.tokens) == len(other.tokens)
    assert len(one.words) == len(other.words)
    for ours, theirs in (
        *zip(one.tokens, other.tokens, strict=True),
        *zip(one.words, other.words, strict=True),
    ):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=tolerance_s)
        assert ours.end_s == pytest.approx(theirs.end_s, abs=tolerance_s)
        if symbols:
            assert ours.symbol == theirs.symbol
        assert ours.word == theirs.word
        if scores:
            assert (ours.score is None) == (theirs.score is None)
    assert one.duration_s == pytest.approx(other.duration_s, abs=tolerance_s)


@property_test
@given(alignments(symbols=tuple(PHONES + NONSENSE)), st.sampled_from(["json", "lhotse", "textgrid", "ctm"]))
def test_what_is_written_can_be_read_back(tmp_path, one, format):
    for stale in tmp_path.rglob("*.*"):
        stale.unlink()
    write(one, format, tmp_path)
    (back,) = read(tmp_path)
    same(one, back, scores=format != "textgrid", symbols=format != "ctm")  # no white space in a CTM label
    assert back.id == one.id
    if format in ("json", "lhotse"):
        assert back == one if format == "json" else (back.text, back.audio) == (one.text, one.audio)


@property_test
@given(alignments(symbols=tuple(PHONES + NONSENSE)))
def test_textgrid_tiers_tile_the_recording_without_an_empty_label(tmp_path, one):
    write(one, "textgrid", tmp_path)
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(tmp_path / f"{one.id}.TextGrid"), includeEmptyIntervals=True)
    assert grid.tierNames == ("words", "phones")
    for name in grid.tierNames:
        entries = grid.getTier(name).entries
        assert entries[0].start == 0
        assert entries[-1].end == pytest.approx(one.duration_s, abs=1e-9)
        assert all(a.end == b.start for a, b in zip(entries, entries[1:], strict=False))
        assert all(entry.label.strip() for entry in entries)


def test_audacity_labels_and_subtitles(tmp_path):
    one = Alignment.from_boundaries(
        "u", ["sil", "b", "c"], [-1, 0, 1], ["<b>", "c"], [0, 3661.5, 3661.75, 3662], 3662.0
    )
    for format in ("audacity", "srt", "vtt"):
        write(one, format, tmp_path)
    assert (tmp_path / "u.words.txt").read_text() == (
        "3661.500000\t3661.750000\t<b>\n3661.750000\t3662.000000\tc\n"
    )
    assert (tmp_path / "u.phones.txt").read_text().splitlines()[0] == "0.000000\t3661.500000\tsil"
    assert (tmp_path / "u.srt").read_text() == (
        "1\n01:01:01,500 --> 01:01:01,750\n<b>\n\n2\n01:01:01,750 --> 01:01:02,000\nc\n\n"
    )
    assert (tmp_path / "u.vtt").read_text() == (
        "WEBVTT\n\n01:01:01.500 --> 01:01:01.750\n&lt;b&gt;\n\n01:01:01.750 --> 01:01:02.000\nc\n\n"
    )


@property_test
@given(alignments(symbols=tuple(PHONES + NONSENSE)))
def test_labels_and_subtitles_hold_every_word_in_order(tmp_path, one):
    for format in ("audacity", "srt", "vtt"):
        write(one, format, tmp_path)
    for level, intervals in (("words", one.words), ("phones", one.tokens)):
        labels = [line.split("\t") for line in (tmp_path / f"{one.id}.{level}.txt").read_text().splitlines()]
        assert [label for _, _, label in labels] == [i.symbol for i in intervals]
        assert [(float(start), float(end)) for start, end, _ in labels] == [
            pytest.approx((i.start_s, i.end_s), abs=1e-6) for i in intervals
        ]
    clock = r"(\d\d):(\d\d):(\d\d)[.,](\d{3})"
    for suffix in ("srt", "vtt"):
        cues = re.findall(rf"{clock} --> {clock}\n(.+)\n\n", (tmp_path / f"{one.id}.{suffix}").read_text())
        assert [cue[-1] for cue in cues] == [word.symbol for word in one.words]
        for cue, word in zip(cues, one.words, strict=True):
            h, m, s, ms, *end, _ = map(float, (*cue[:-1], 0))
            assert 3600 * h + 60 * m + s + ms / 1000 == pytest.approx(word.start_s, abs=5.1e-4)
            assert 3600 * end[0] + 60 * end[1] + end[2] + end[3] / 1000 == pytest.approx(
                word.end_s, abs=5.1e-4
            )


def test_ctm_lines(tmp_path):
    one = Alignment.from_boundaries("u", ["a", "b"], [0, 0], ["ab"], [0, 0.5, 1.25], 1.25, scores=[0.5, 0.25])
    write(one, "ctm", tmp_path)
    assert (tmp_path / "phones.ctm").read_text() == (
        "u 1 0.000000 0.500000 a 0.5000\nu 1 0.500000 0.750000 b 0.2500\n"
    )
    assert (tmp_path / "words.ctm").read_text().startswith("u 1 0.000000 1.250000 ab 0.3500")


def test_kaldi_ctm_with_gaps_and_rounding(tmp_path):
    (tmp_path / "x.ctm").write_text(
        ";; a comment\nu 1 0.10 0.20 AH\nu 1 0.30 0.101 B 0.9\nu 1 0.40 0.10 D\nv 1 0 1 Z\n"
    )
    u, v = read_ctm(tmp_path / "x.ctm")
    assert [(t.symbol, t.start_s, t.end_s) for t in u.tokens] == [
        ("sil", 0, 0.1), ("AH", 0.1, pytest.approx(0.3)), ("B", pytest.approx(0.3), 0.4), ("D", 0.4, 0.5)
    ]  # fmt: skip
    assert v.id == "v"
    (tmp_path / "bad.ctm").write_text("u 1 zero 1 Z\n")
    with pytest.raises(AlignerError, match="bad.ctm: u: not"):
        list(read_ctm(tmp_path / "bad.ctm"))


MFA = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.0
<exists>
2
"IntervalTier"
"anna - words"
0
1.0
3
0
0.2
""
0.2
0.6
"hi"
0.6
1.0
""
"IntervalTier"
"anna - phones"
0
1.0
4
0
0.2
""
0.2
0.4
"HH"
0.4
0.6
"AY1"
0.6
1.0
"spn"
"""


def test_mfa_folders_are_read_by_speaker(tmp_path):
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "u1.TextGrid").write_text(MFA.replace("<exists>", "<exists>"))
    (one,) = read(tmp_path)
    assert (one.id, one.speaker) == ("u1", "anna")
    assert [(t.symbol, t.word) for t in one.tokens] == [("sil", -1), ("HH", 0), ("AY1", 0), ("spn", -1)]
    assert [(w.symbol, w.start_s, w.end_s) for w in one.words] == [("hi", 0.2, 0.6)]


def test_textgrids_say_what_is_wrong_with_them(tmp_path):
    path = tmp_path / "u.TextGrid"
    path.write_text(MFA.replace("anna - words", "ORT").replace("anna - phones", "MAU"))
    with pytest.raises(AlignerError, match="no tier of words or phones"):
        read_textgrid(path, "u")
    assert read_textgrid(path, "u", words_tier="ORT", phones_tier="MAU").words[0].symbol == "hi"
    with pytest.raises(AlignerError, match="no tier 'KAN'"):
        read_textgrid(path, "u", words_tier="KAN")
    path.write_text("nothing of the kind")
    with pytest.raises(AlignerError, match="u.TextGrid"):
        read_textgrid(path, "u")


def test_timit_times_are_samples_at_16_khz(tmp_path):
    (tmp_path / "sa1.PHN").write_text("0 1600 h#\n1600 4000 sh\n4000 8000 h#\n")
    one = read_timit(tmp_path / "sa1.PHN", "sa1")
    assert [(t.symbol, t.start_s, t.end_s) for t in one.tokens] == [
        ("h#", 0.0, 0.1), ("sh", 0.1, 0.25), ("h#", 0.25, 0.5)
    ]  # fmt: skip
    assert one.words == ()


def test_overlapping_times_are_an_error(tmp_path):
    (tmp_path / "u.phn").write_text("0 1600 a\n800 4000 b\n")
    with pytest.raises(AlignerError, match="'b' at 0.050-0.250 s overlaps"):
        read_timit(tmp_path / "u.phn", "u")


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(AlignerError, match="holds no lhotse manifest"):
        list(read(tmp_path))
    with pytest.raises(AlignerError, match="no such file"):
        list(read(tmp_path / "none"))
    (tmp_path / "x.json").write_text('{"id": 3')
    with pytest.raises(AlignerError, match="x.json: cannot be read"):
        list(read(tmp_path))


# ---- the manifest ----


def test_the_manifest_is_lhotses_own(tmp_path):
    from lhotse import CutSet

    one = example(speaker="anna")
    write_alignments(tmp_path / "a.jsonl.gz", [one])
    (cut,) = CutSet.from_file(tmp_path / "a.jsonl.gz")
    supervision = cut.supervisions[0]
    assert supervision.speaker == "anna"
    assert [(i.symbol, i.start, i.score) for i in supervision.alignment["phone"]] == [
        (t.symbol, round(t.start_s, 8), t.score) for t in one.tokens
    ]
    assert [i.symbol for i in supervision.alignment["word"]] == [w.symbol for w in one.words]
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    same(one, back)
    assert (back.speaker, back.score, back.text, back.audio) == (one.speaker, one.score, one.text, one.audio)


def test_the_manifest_keeps_the_recording(tmp_path):
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    one = example()
    samples = n_samples(one)
    recording = Recording("rec", [AudioSource("file", [0], "rec.flac")], RATE_HZ, samples, samples / RATE_HZ)
    supervision = SupervisionSegment("s", "rec", 0, one.duration_s, text="as written", language="en")
    cut = MonoCut(one.id, 0.0, one.duration_s, 0, [supervision], recording=recording)
    with AlignmentWriter(tmp_path / "a.jsonl.gz") as writer:
        writer.write(Alignment(one.id, one.duration_s, one.tokens, one.words), cut)
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    assert (back.text, back.audio) == ("as written", "rec.flac")
    aligned = to_cut(one, cut)
    assert aligned.recording == recording
    assert aligned.supervisions[0].language == "en"


def test_alignments_without_our_notes_get_words_by_time(tmp_path):
    cut = to_cut(example())
    cut.supervisions[0].custom = None
    from lhotse import CutSet

    CutSet([cut]).to_file(tmp_path / "a.jsonl.gz")
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    assert [t.word for t in back.tokens] == [t.word for t in example().tokens]


def test_manifests_of_others_are_read_as_lhotse_reads_them(tmp_path):
    from lhotse import CutSet, MonoCut, Recording, SupervisionSegment, SupervisionSet
    from lhotse.audio import AudioSource
    from lhotse.supervision import AlignmentItem

    items = {
        "word": [AlignmentItem("be", 3.1, 0.2)],
        "phone": [AlignmentItem("B", 3.1, 0.1), AlignmentItem("IY", 3.2, 0.1, 0.5)],
    }
    segment = SupervisionSegment("s", "rec", 3.0, 0.5, text="be", alignment=items)
    SupervisionSet.from_segments([segment]).to_file(tmp_path / "supervisions.jsonl.gz")
    own = segment.with_offset(-3.0)
    recording = Recording("rec", [AudioSource("file", [0], "rec.wav")], 16000, 160000, 10.0)
    cuts = [MonoCut("s", 3.0, 0.5, 0, [own], recording=recording), MonoCut("none", 0.0, 0.5, 0)]
    CutSet.from_cuts(cuts).to_file(tmp_path / "cuts.jsonl")
    (of_segment,) = read_alignments(tmp_path / "supervisions.jsonl.gz")
    (of_cut,) = read_alignments(tmp_path / "cuts.jsonl")
    for one in (of_segment, of_cut):
        assert [t.symbol for t in one.tokens] == ["sil", "B", "IY", "sil"]
        assert [t.start_s for t in one.tokens] == pytest.approx([0, 0.1, 0.2, 0.3])
        assert [t.word for t in one.tokens] == [-1, 0, 0, -1]
        assert [t.score for t in one.tokens] == [None, None, 0.5, None]
        assert (one.id, one.duration_s, one.text) == ("s", 0.5, "be")
    CutSet.from_cuts([cuts[0].pad(1.0)]).to_file(tmp_path / "padded.jsonl")
    with pytest.raises(AlignerError, match="is a MixedCut; take cuts before"):
        list(read_alignments(tmp_path / "padded.jsonl"))


@pytest.mark.parametrize("line", ['{"id": "r", "sources": [], "duration": 1.0}', "{", "[]"])
def test_other_manifests_are_refused(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(AlignerError, match="a.jsonl: not a"):
        list(read_alignments(tmp_path / "a.jsonl"))


def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path):
    many = [example(seed=i, id=f"u{i}") for i in range(7)]
    write_alignments(tmp_path / "whole.jsonl.gz", many)
    path = tmp_path / "alignments.jsonl.gz"
    with pytest.raises(KeyboardInterrupt), AlignmentWriter(path) as writer:  # noqa: PT012
        for one in many[4:]:
            writer.write(one)
        raise KeyboardInterrupt
    assert files(tmp_path) == ["alignments.partial.jsonl", "whole.jsonl.gz"]
    with open(tmp_path / "alignments.partial.jsonl", "ab") as file:
        file.write(b'{"id": "u0", "start": 0.0, "dur')  # a kill in the middle of a line
    with AlignmentWriter(path) as writer:
        assert writer.done == {"u4", "u5", "u6"}
        for one in many[:4]:
            writer.write(one)
    assert files(tmp_path) == ["alignments.jsonl.gz", "whole.jsonl.gz"]
    assert path.read_bytes() == (tmp_path / "whole.jsonl.gz").read_bytes()
    with AlignmentWriter(path) as writer:
        assert len(writer.done) == 7
    assert path.read_bytes() == (tmp_path / "whole.jsonl.gz").read_bytes()
    assert gzip.decompress(path.read_bytes()).count(b"\n") == 7


def test_one_id_is_aligned_once(tmp_path):
    with pytest.raises(AlignerError, match="u: aligned twice"):
        write_alignments(tmp_path / "a.jsonl.gz", [example(id="u"), example(id="u")])


# ---- files ----


@pytest.mark.parametrize("format", list(WRITERS))
def test_nothing_is_written_outside_the_folder(tmp_path, format):
    root = tmp_path / "out"
    evil = [example(id="../../evil"), example(id="/etc/x", speaker="../up"), example(id="a\nb|c d\x00e")]
    export(evil, {format: root}, ExportSettings(grid=PRESETS["fastspeech2"]))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    names = " ".join(files(root))
    assert not set(names) & set("\n|\x00")
    if "durations" in files(root):
        assert all(len(line.split()) > 2 for line in (root / "durations").read_text().splitlines())


@pytest.mark.parametrize("format", [name for name in WRITERS if name not in ("lhotse",)])
def test_two_ids_of_one_name_are_an_error(tmp_path, format):
    with pytest.raises(AlignerError, match="'a/b' and 'a b' would both be written as 'a_b'"):
        export(
            [example(id="a/b"), example(id="a b")], {format: tmp_path}, ExportSettings(grid=PRESETS["vits"])
        )
    lists = ("tokens.txt", "train.txt", "durations", "durations.pt", "phones.ctm", "metadata_attn_mask.txt")
    assert not set(lists) & set(files(tmp_path))
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("id", ["", "..", "/", "...", "a" * 300])
def test_ids_that_make_no_name_are_an_error(id):
    with pytest.raises(AlignerError):
        safe_name(id)


@given(st.text(max_size=40))
def test_safe_names_are_one_plain_part_of_a_path(id):
    try:
        name = safe_name(id)
    except AlignerError:
        return
    assert os.path.basename(name) == name
    assert not name.startswith(".")
    assert not set(name) & set(string.whitespace + "/\\|:*?\"<>'")


def test_utterances_that_do_not_fit_are_named_and_the_others_written(tmp_path):
    edges = np.linspace(0, 0.02, 9)
    crowded = Alignment.from_boundaries("crowded", ["B"] * 8, [0] * 8, ["b"], edges, 0.02)
    results = export([crowded, example()], {"matcha": tmp_path / "m", "textgrid": tmp_path / "t"})
    assert results["matcha"].utterances == 1
    assert "crowded: 8 tokens do not fit 1 frames" in results["matcha"].refused[0]
    assert results["textgrid"].utterances == 2
    assert files(tmp_path / "m") == ["durations/LJ001-0001.npy", "tokens.txt"]


def test_tokens_are_checked_against_the_consumers(tmp_path):
    one = Alignment.from_boundaries("u", ["B", "AH0"], [0, 0], ["ba"], [0, 0.1, 0.2], 0.2)
    for theirs, complaint in (
        ({"u": ("B",)}, "2 tokens, but the consumer has 1"),
        ({"u": ("B", "AH1")}, "token 1 is 'AH0', but the consumer's is 'AH1'"),
        ({}, "not among the tokens"),
    ):
        results = export([one], {"matcha": tmp_path}, ExportSettings(tokens=theirs))
        assert complaint in results["matcha"].refused[0]
    write(one, "matcha", tmp_path, tokens={"u": ("_", "B", "_", "AH0", "_")}, blank="_")


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """Peak allocations of an export of 400 utterances are those of 100, less what a name a file costs."""
    script = """
import sys, tracemalloc
from aligner.formats import PRESETS, ExportSettings, export
sys.path.insert(0, sys.argv[1])
from test_formats import example
formats = [name for name in sys.argv[3].split(",")]
settings = ExportSettings(grid=PRESETS["fastspeech2"])
def run(n):
    tracemalloc.reset_peak()
    roots = {f: f"{sys.argv[2]}/{n}/{f}" for f in formats}
    export((example(i, id=f"u{i}") for i in range(n)), roots, settings)
    return tracemalloc.get_traced_memory()[1]
run(3)
tracemalloc.start()
print(run(100), run(400))
"""
    names = ",".join(
        name for name in WRITERS if name not in ("nemo",)
    )  # one dictionary by its consumer's wish
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", script, here, str(tmp_path), names], capture_output=True, text=True, check=True
    )
    small, large = map(int, done.stdout.split())
    assert large - small < 300 * 10_000  # ten kilobytes an utterance for 14 formats: names, not alignments
