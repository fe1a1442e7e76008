"""Reading corpora as people have them, checking utterances, loading what was prepared, batches."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aligner.alignment import Interval
from aligner.corpus.prepared import (
    CorpusInfo,
    Refused,
    Utterance,
    check_audio,
    check_id,
    check_text,
    load_audio,
    load_cuts,
    load_info,
    save_corpus,
    transcript_of,
    vocabulary,
)
from aligner.corpus.readers import Source, read_corpus, reference_beside
from aligner.errors import AlignerError
from aligner.formats.timit import merge_phones
from aligner.text.phonemizer import characters, load_phonemizer
from aligner.text.transcript import PAUSE

RATE_HZ = 16000


def tone(
    path: Path, seconds: float = 1.0, rate_hz: int = RATE_HZ, hertz: float = 440.0, channels: int = 1
) -> Path:
    """A sine of half amplitude; with two channels the second is silent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = np.zeros((round(seconds * rate_hz), channels), np.float32)
    audio[:, 0] = 0.5 * np.sin(2 * np.pi * hertz * np.arange(len(audio)) / rate_hz)
    soundfile.write(path, audio, rate_hz)
    return path


def checked(source: Source) -> Utterance:
    return check_audio(source, check_text(source, characters, frozenset()))


def refusal(source: Source) -> str:
    with pytest.raises(Refused) as caught:
        checked(source)
    return caught.value.reason


def prepared(folder: Path, utterances: list[Utterance], **options) -> Path:
    symbols = vocabulary(utterance.transcript for utterance in utterances)
    save_corpus(folder, utterances, CorpusInfo(symbols, "characters", "en-us", {}), **options)
    return folder


# Sources


def test_ljspeech_folder(tmp_path):
    tone(tmp_path / "LJ" / "wavs" / "a1.flac")
    lines = "a1|5 dogs|five dogs\na2|only raw text\nno-text\n\n"
    (tmp_path / "LJ" / "metadata.csv").write_text("\ufeff" + lines, encoding="utf-8")
    first, second, third = read_corpus(tmp_path / "LJ")
    assert (first.id, first.text, first.speaker) == ("a1", "five dogs", "LJ")
    assert first.audio == tmp_path / "LJ" / "wavs" / "a1.flac"
    assert (second.text, second.audio) == ("only raw text", None)
    assert "id|text" in third.problem


def test_file_lists_with_and_without_speakers(tmp_path):
    (tmp_path / "list.txt").write_text("wavs/a.wav|hello\nwavs/b.wav|anna|good day\nwavs/c.wav|x|y|z|w\n")
    a, b, c = read_corpus(tmp_path / "list.txt")
    assert (a.id, a.text, a.speaker, a.audio) == ("a", "hello", "", tmp_path / "wavs" / "a.wav")
    assert (b.id, b.text, b.speaker) == ("anna-b", "good day", "anna")
    assert c.problem
    assert read_corpus(tmp_path / "list.txt", "/other")[0].audio == Path("/other/wavs/a.wav")


def test_folder_of_audio_and_texts(tmp_path):
    tone(tmp_path / "anna" / "one.wav")
    (tmp_path / "anna" / "one.lab").write_text("hello there")
    tone(tmp_path / "anna" / "my take.wav")
    (tmp_path / "anna" / "orphan.txt").write_text("no audio")
    (tmp_path / "anna" / "README.txt").write_text("about")
    found = {source.id: source for source in read_corpus(tmp_path)}
    assert set(found) == {"anna-one", "anna-my_take", "anna-orphan"}
    assert (found["anna-one"].text, found["anna-one"].speaker) == ("hello there", "anna")
    assert "no .txt or .lab" in found["anna-my_take"].problem
    assert found["anna-orphan"].audio is None


def test_timit_folder_has_ids_of_speaker_and_sentence_and_texts_without_samples(tmp_path):
    tone(tmp_path / "dr3-falk0" / "sx276.flac")
    (tmp_path / "dr3-falk0" / "sx276.txt").write_text("0 16000 Two dogs.\n")
    (tmp_path / "dr3-falk0" / "sx276.phn").write_text("0 16000 h#\n")
    tone(tmp_path / "x" / "y.flac")
    (tmp_path / "x" / "y.txt").write_text("10 20 thirty\n")
    timit, other = read_corpus(tmp_path)
    assert (timit.id, timit.speaker, timit.text) == ("dr3-falk0-sx276", "dr3-falk0", "Two dogs.")
    assert other.text == "10 20 thirty"  # numbers are text where nothing else says TIMIT


def test_lhotse_manifests_one_utterance_a_supervision(tmp_path):
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
    first, second = read_corpus(tmp_path)
    assert (first.id, first.text, first.speaker, first.start_s, first.duration_s) == (
        "u1",
        "one",
        "anna",
        0.5,
        1.0,
    )
    assert first.reference is None
    assert second.reference.words[0].start_s == pytest.approx(0.25)
    loaded = load_cuts(prepared(tmp_path / "out", [checked(first), checked(second)]))
    assert [u.start_s for u in loaded] == [0.5, 2.0]
    whole, _ = soundfile.read(tmp_path / "long.wav", dtype="float32")
    assert torch.equal(
        load_audio(loaded[1], RATE_HZ), torch.from_numpy(whole[2 * RATE_HZ : 3 * RATE_HZ + 8000])
    )


def test_a_prepared_corpus_is_a_corpus(tmp_path):
    tone(tmp_path / "wavs" / "a.wav")
    (tmp_path / "list").write_text("wavs/a.wav|anna|hello\n")
    (source,) = read_corpus(tmp_path / "list")
    again = read_corpus(prepared(tmp_path / "out", [checked(source)]))
    assert [(s.id, s.text, s.speaker, s.audio) for s in again] == [
        ("anna-a", "hello", "anna", tmp_path / "wavs/a.wav")
    ]


def test_what_is_no_corpus_is_an_error(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path, message in (
        (tmp_path / "none", "no such"),
        (tmp_path, "no utterances"),
        (tmp_path / "binary", "UTF-8"),
    ):
        with pytest.raises(AlignerError, match=message):
            read_corpus(path)


# Checks


@pytest.mark.parametrize(
    "id", ["", "a/b", "..", "../x", "a\\b", "a b", "a\nb", ".hidden", "-rf", "x" * 300, "a..b"]
)
def test_ids_that_are_no_names_are_refused(id):
    with pytest.raises(Refused):
        check_id(id)


def test_usual_ids_pass():
    for id in ("LJ001-0001", "dr3-falk0-sx276", "p225_001.mic1", "größe"):
        check_id(id)


def test_every_kind_of_bad_utterance_is_refused_with_its_reason(tmp_path):
    good = tone(tmp_path / "good.wav")
    (tmp_path / "torn.wav").write_bytes(b"RIFFnonsense")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE_HZ)
    soundfile.write(tmp_path / "zeros.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)
    hum = np.float32(0.3) + np.random.default_rng(0).uniform(-3e-5, 3e-5, RATE_HZ).astype(np.float32)
    soundfile.write(tmp_path / "offset.wav", hum, RATE_HZ, subtype="FLOAT")
    nan = np.full(RATE_HZ, 0.1, np.float32)
    nan[5] = np.nan
    soundfile.write(tmp_path / "nan.wav", nan, RATE_HZ, subtype="FLOAT")
    assert refusal(Source("a", tmp_path / "absent.wav", "hi")) == "audio missing"
    assert refusal(Source("a", None, "hi")) == "audio missing"
    assert refusal(Source("a", tmp_path / "torn.wav", "hi")) == "audio undecodable"
    assert refusal(Source("a", tmp_path / "empty.wav", "hi")) == "audio too short"
    assert refusal(Source("a", good, "hi", duration_s=2.0)) == "audio too short"
    assert refusal(Source("a", tmp_path / "zeros.wav", "hi")) == "audio silent"
    assert refusal(Source("a", tmp_path / "offset.wav", "hi")) == "audio silent"
    assert refusal(Source("a", tmp_path / "nan.wav", "hi")) == "audio not finite"
    assert refusal(Source("a", good, " \t")) == "no text"
    assert refusal(Source("a", good, "?!")) == "text cannot be spoken"
    assert refusal(Source("a", good, "x" * 101)) == "shorter than its text"
    assert checked(Source("a", good, "x" * 100)).duration_s == 1.0
    assert refusal(Source("../a", good, "hi")) == "unsafe id"
    assert refusal(Source("a", good, "hi", problem="line 3")) == "not readable as listed"
    assert refusal(Source("a", good, "hi", channels=(1,))) == "audio undecodable"


def test_symbols_outside_a_vocabulary_are_refused():
    with pytest.raises(Refused, match="ß") as caught:
        check_text(Source("a", None, "Maß"), characters, frozenset("abcmas"))
    assert caught.value.reason == "unknown symbols"


# Reference times


def test_timit_closures_join_their_bursts():
    labels = ["h#", "bcl", "b", "dcl", "jh", "tcl", "kcl", "k", "gcl", "q", "pau", "epi", "tcl", "dh", "h#"]
    merged = merge_phones(tuple(Interval(label, i, i + 1) for i, label in enumerate(labels)))
    assert [phone.symbol for phone in merged] == [
        "sil",
        "b",
        "jh",
        "t",
        "k",
        "g",
        "q",
        "sil",
        "t",
        "dh",
        "sil",
    ]
    assert [phone.start_s for phone in merged] == [0, 1, 3, 5, 6, 8, 9, 10, 12, 13, 14]
    assert all(a.end_s == b.start_s for a, b in zip(merged, merged[1:], strict=False))


@pytest.fixture
def timit_audio(tmp_path):
    audio = tone(tmp_path / "s" / "x.wav", 1.0)
    audio.with_suffix(".phn").write_text(
        "0 2000 h#\n2000 3000 tcl\n3000 4000 t\n4000 6000 uw\n6000 7000 pau\n7000 9000 dcl\n9000 11000 ao\n"
        "11000 15900 h#\n"
    )
    audio.with_suffix(".wrd").write_text("2000 6000 two\n7000 11000 daw\n")
    return audio


def test_reference_times_cover_the_audio_in_words(timit_audio):
    reference = reference_beside(timit_audio, "x", 1.0)
    assert [token.symbol for token in reference.tokens] == ["sil", "t", "uw", "sil", "d", "ao", "sil"]
    assert [token.word for token in reference.tokens] == [-1, 0, 0, -1, 1, 1, -1]
    assert reference.tokens[1].start_s == 0.125
    assert reference.tokens[-1].end_s == 1.0


def test_reference_times_of_another_recording_are_refused(timit_audio):
    tone(timit_audio, 0.5)
    with pytest.raises(Refused, match="reference times end") as caught:
        checked(Source("x", timit_audio, "two"))
    assert caught.value.reason == "reference times unusable"


def test_phones_of_the_reference_as_tokens(timit_audio):
    utterance = check_audio(Source("x", timit_audio, "two daw"), None)
    tokens = utterance.transcript.tokens()
    assert tokens.symbols == ("sil", "t", "uw", "sil", "d", "ao", "sil")
    assert tokens.words == (-1, 0, 0, -1, 1, 1, -1)
    assert not any(tokens.skippable)
    assert [word.text for word in utterance.transcript.words] == ["two", "daw"]
    with pytest.raises(Refused, match="no .phn"):
        transcript_of(None)


def test_textgrid_beside_the_audio_is_a_reference(tmp_path):
    from praatio import textgrid

    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", [(0.2, 0.8, "hi")], 0, 1.0))
    grid.addTier(textgrid.IntervalTier("phones", [(0.2, 0.4, "h"), (0.4, 0.8, "aɪ")], 0, 1.0))
    audio = tone(tmp_path / "a.wav")
    grid.save(str(audio.with_suffix(".TextGrid")), "long_textgrid", includeBlankSpaces=True)
    utterance = checked(Source("a", audio, "hi"))
    assert [(word.symbol, word.start_s) for word in utterance.reference.words] == [("hi", 0.2)]
    assert [token.symbol for token in utterance.reference.tokens if token.word == 0] == ["h", "aɪ"]


# Loading


def test_prepared_utterances_come_back_as_they_went_in(timit_audio, tmp_path):
    utterances = [checked(Source("x", timit_audio, "two daw", "s"))]
    (back,) = load_cuts(prepared(tmp_path / "out", utterances))
    assert replace(back, reference=None) == replace(utterances[0], reference=None)
    for ours, theirs in zip(back.reference.tokens, utterances[0].reference.tokens, strict=True):
        assert (ours.symbol, ours.word) == (theirs.symbol, theirs.word)
        assert ours.start_s == pytest.approx(theirs.start_s, abs=1e-8)
    assert [word.symbol for word in back.reference.words] == ["two", "daw"]


def test_the_manifest_is_valid_lhotse_and_the_same_bytes_again(timit_audio, tmp_path):
    from lhotse import CutSet, validate

    utterances = [checked(Source("x", timit_audio, "two daw", "s"))]
    first, second = (prepared(tmp_path / name, utterances) / "cuts.jsonl.gz" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    (cut,) = CutSet.from_file(first)
    validate(cut)
    assert cut.load_audio().shape == (1, RATE_HZ)
    assert cut.supervisions[0].text == "two daw"


def test_relative_paths_let_a_corpus_move(tmp_path):
    tone(tmp_path / "old" / "wavs" / "a.wav")
    prepared(
        tmp_path / "old" / "out",
        [checked(Source("a", tmp_path / "old" / "wavs" / "a.wav", "hi"))],
        relative_paths=True,
    )
    (tmp_path / "old").rename(tmp_path / "new")
    (utterance,) = load_cuts(tmp_path / "new" / "out")
    assert len(load_audio(utterance, RATE_HZ)) == RATE_HZ


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_rate_and_channel_count_loads_as_mono(tmp_path, suffix, channels):
    audio = tone(tmp_path / f"a.{suffix}", 1.0, rate_hz=44100, hertz=440.0, channels=channels)
    (utterance,) = load_cuts(prepared(tmp_path / "out", [checked(Source("a", audio, "hi"))]))
    samples = load_audio(utterance, 22050)
    assert samples.dtype == torch.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(utterance.duration_s * 22050, abs=1)
    spectrum = torch.fft.rfft(samples[2205:19845]).abs()
    peak_hz = spectrum.argmax().item() * 22050 / 17640
    assert peak_hz == pytest.approx(440, abs=1.5)
    # The second channel is silent, so mixing halves the amplitude of 0.5.
    assert samples[2205:19845].abs().max().item() == pytest.approx(0.5 / channels, rel=0.03)
    assert torch.equal(samples, load_audio(utterance, 22050))


def test_audio_that_changed_since_is_an_error_that_names_the_utterance(tmp_path):
    audio = tone(tmp_path / "a.wav")
    (utterance,) = load_cuts(prepared(tmp_path / "out", [checked(Source("utt7", audio, "hi"))]))
    tone(audio, 0.5)
    with pytest.raises(AlignerError, match="utt7.*prepare"):
        load_audio(utterance, RATE_HZ)
    audio.unlink()
    with pytest.raises(AlignerError, match="utt7"):
        load_audio(utterance, RATE_HZ)


def test_what_is_not_prepared_is_an_error(tmp_path):
    with pytest.raises(AlignerError, match="aligner prepare"):
        load_cuts(tmp_path)
    with pytest.raises(AlignerError, match="aligner prepare"):
        load_info(tmp_path)
    (tmp_path / "corpus.json").write_text('{"symbols": 3}')
    with gzip.open(tmp_path / "cuts.jsonl.gz", "wb") as file:
        file.write(b'{"id": 1}\n')
    with pytest.raises(AlignerError, match="prepare` again"):
        load_info(tmp_path)
    with pytest.raises(AlignerError, match="prepare` again"):
        load_cuts(tmp_path)


def test_vocabulary_has_the_pause_first_then_all_variants_sorted():
    transcript = load_phonemizer("gruut")("a read")
    assert vocabulary([transcript]) == (PAUSE, "d", "eɪ", "i", "ə", "ɛ", "ɹ")
    assert CorpusInfo((PAUSE, "a"), "gruut", "en-us", {}).token_ids == {PAUSE: 0, "a": 1}


# Batches


@pytest.fixture
def batches(tmp_path):
    from aligner.training.data import AlignerData

    utterances = []
    for index in range(40):
        audio = tone(tmp_path / "wavs" / f"u{index}.wav", 0.3 + 0.02 * index)
        utterances.append(checked(Source(f"u{index}", audio, "ab cd"[: 1 + index % 5])))
    data = AlignerData(str(prepared(tmp_path / "out", utterances)), 8000, batch_duration_s=3.0)
    data.setup()
    return data


def test_batches_hold_every_utterance_once_within_the_limit(batches):
    loader = batches.train_dataloader()
    seen = []
    for batch in loader:
        seen += batch.ids
        assert batch.audio.shape == (len(batch), batch.audio_lengths.max())
        assert batch.audio.numel() <= (3.0 + 1.1) * 8000  # the utterance that fills it may pass the limit
        for row in range(len(batch)):
            length = batch.audio_lengths[row]
            assert length == pytest.approx(8000 * (0.3 + 0.02 * int(batch.ids[row][1:])), abs=1)
            assert not batch.audio[row, length:].any()
            tokens = batch.transcripts[row].tokens()
            assert batch.text_lengths[row] == len(tokens)
            assert [batches.symbols[i] for i in batch.token_ids[row, : len(tokens)]] == list(tokens.symbols)
            assert batch.skippable[row, : len(tokens)].tolist() == list(tokens.skippable)
            assert not batch.skippable[row, len(tokens) :].any()
    assert sorted(seen) == sorted(f"u{index}" for index in range(40))


def test_batches_repeat_with_the_seed_and_change_with_the_epoch(batches):
    def order(epoch: int) -> list[list[str]]:
        loader = batches.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [batch.ids for batch in loader]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_prediction_keeps_the_order_of_the_manifest(batches):
    assert [id for batch in batches.predict_dataloader() for id in batch.ids] == [f"u{i}" for i in range(40)]


def test_batches_move_to_a_device_whole(batches):
    from lightning.fabric.utilities.apply_func import move_data_to_device

    batch = next(iter(batches.val_dataloader()))
    moved = move_data_to_device(batch, torch.device("meta"))
    assert moved.audio.device.type == moved.token_ids.device.type == moved.skippable.device.type == "meta"
    assert moved.ids == batch.ids
    assert batch.audio.device.type == "cpu"
