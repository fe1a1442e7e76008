"""Durations by each TTS trainer's reading rule, taken from the trainer's code and not from the writer."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_alignments import PHONES, RATE_HZ, alignments, example, files, n_samples, property_test, write

from aligner.alignment import Alignment, FrameGrid
from aligner.errors import AlignerError
from aligner.formats import (
    PRESETS,
    export,
)


def fits(alignment: Alignment, format: str = "espnet") -> bool:
    return len(alignment.tokens) <= PRESETS[format].frame_count(n_samples(alignment))


@property_test
@given(alignments())
def test_fastspeech2_reads_the_textgrid(tmp_path: Path, one: Alignment) -> None:
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


def tier_of(text: str, name: str) -> list[tuple[float, float, str]]:
    """As tgt reads it: intervals without a label are dropped."""
    tier = text[text.index(f'name = "{name}"') :].split("item [")[0]
    number = r"([\d.e-]+)"
    found = re.findall(rf"xmin = {number} \n\s+xmax = {number} \n\s+text = \"(.*)\" \n", tier)
    return [(float(start), float(end), label) for start, end, label in found if label]


@property_test
@given(
    alignments(symbols=[phone for phone in PHONES if phone != "spn"]),
    st.sampled_from(["fastspeech2", "textgrid"]),
)
def test_portaspeech_counts_the_phones_of_each_word(tmp_path: Path, one: Alignment, format: str) -> None:
    """keonlee9420/PortaSpeech, preprocessor.py: the next word's turn where a phone ends as the word does, to
    the last bit; pauses have a label among the phones and none among the words."""
    if n_samples(one) / 256 < len(one.tokens) + 1:
        return
    root = write(one, format, tmp_path / format)
    text = next(root.rglob(f"{one.id}.TextGrid")).read_text()
    phones, words = tier_of(text, "phones"), tier_of(text, "words")
    assert [label for _, _, label in words] == [word.symbol for word in one.words]
    labels, per_word, count, last, word = [], [], 0, 0, 0
    for _, end_s, label in phones:
        pause = label in ("sil", "sp", "spn")
        if pause and not labels:
            continue
        labels.append(label)
        if pause:
            per_word.append(1)
            count = 0
            continue
        last, count = len(labels), count + 1
        if words[word][1] == end_s:
            per_word.append(count)
            word, count = word + 1, 0
    assert word == len(words)
    trailing = len(labels) - last
    assert sum(per_word[: len(per_word) - trailing]) == last


@property_test
@given(alignments(count=3))
def test_fastspeech2_loads_durations_for_its_lists(tmp_path: Path, many: list[Alignment]) -> None:
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


def test_fastspeech2_sets_some_apart_for_validation(tmp_path: Path) -> None:
    many = [example(id=f"LJ{i:03d}") for i in range(200)]
    export(many, {"fastspeech2": tmp_path})
    train, val = ((tmp_path / name).read_text().splitlines() for name in ("train.txt", "val.txt"))
    assert len(train) + len(val) == 200
    assert 3 <= len(val) <= 25


def test_fastspeech2_names_pauses_as_it_knows_them(tmp_path: Path) -> None:
    one = Alignment.from_boundaries(
        "u", ["_", "B", ",", "AH0", "h#"], [-1, 0, -1, 1, -1], ["b", "a"], [0, 0.1, 0.2, 0.3, 0.4, 0.5], 0.5
    )
    write(one, "fastspeech2", tmp_path)
    assert "{sil B sp AH0 sil}" in (tmp_path / "val.txt").read_text()


def test_fastspeech2_refuses_symbols_it_would_drop(tmp_path: Path) -> None:
    one = Alignment.from_boundaries("u", ["ʃ", "AH0"], [0, 0], ["sha"], [0, 0.1, 0.2], 0.2)
    results = export([one, example()], {"fastspeech2": tmp_path / "a"})
    assert results["fastspeech2"].utterances == 1
    assert "would drop 'ʃ'" in results["fastspeech2"].refused[0]
    write(one, "fastspeech2", tmp_path / "b", any_symbols=True)
    write(one, "fastspeech2", tmp_path / "c", symbols={"ʃ": "SH"})
    assert "{SH AH0}" in (tmp_path / "c" / "val.txt").read_text()


@property_test
@given(alignments(), st.booleans())
def test_matcha_loads_as_many_durations_as_tokens(tmp_path: Path, one: Alignment, blanks: bool) -> None:
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


def test_blanks_take_one_frame_each_and_leave_the_rest(tmp_path: Path) -> None:
    one = Alignment.from_boundaries("u", ["B", "AH0"], [0, 0], ["ba"], [0, 0.256, 0.512], 0.512)
    root = write(one, "npy", tmp_path, blank="_", grid=FrameGrid(256, 22050, "same"))
    durations = np.load(root / "durations" / "u.npy")
    assert durations[0::2].tolist() == [1, 1, 1]
    assert abs(int(durations[1]) - 22) <= 2
    assert durations.sum() == 44


@property_test
@given(alignments(count=2))
def test_espnet_reads_a_row_of_numbers_ending_in_0(tmp_path: Path, many: list[Alignment]) -> None:
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
def test_coqui_gets_the_same_durations_back_from_the_attention(tmp_path: Path, one: Alignment) -> None:
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
def test_nemo_loads_one_dictionary(tmp_path: Path, many: list[Alignment]) -> None:
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
def test_everyvoice_loads_a_tensor_by_speaker_and_language(tmp_path: Path, one: Alignment) -> None:
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
def test_tensorflowtts_loads_int32(tmp_path: Path, one: Alignment) -> None:
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
def test_npy_takes_any_grid(
    tmp_path: Path, one: Alignment, hop_and_rate: tuple[int, int], same: bool
) -> None:
    hop, rate_hz = hop_and_rate
    frames = FrameGrid(hop, rate_hz, "same" if same else "center").sample_count(one.duration_s) // hop + (
        not same
    )
    if len(one.tokens) > frames:
        return
    write(one, "npy", tmp_path, grid=FrameGrid(hop, rate_hz, "same" if same else "center"))
    durations = np.load(tmp_path / f"durations/{one.id}.npy")
    assert durations.sum() == frames
    assert durations.shape == (len(one.tokens),)
    assert durations.min() >= 1


def test_npy_without_a_grid_says_what_to_state(tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="say hop, sample rate and frame rule"):
        export([example()], {"npy": tmp_path})
    assert files(tmp_path) == []
