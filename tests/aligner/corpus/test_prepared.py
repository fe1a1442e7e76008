"""The prepared corpus: what is stored comes back."""

import gzip
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from corpus_cases import RATE_HZ, checked, prepared, timit_recording, tone

from aligner.corpus.prepared import (
    CorpusInfo,
    load_audio,
    load_info,
    load_lengths,
    load_utterances,
    vocabulary,
)
from aligner.corpus.readers import RawUtterance
from aligner.errors import AlignerError
from aligner.text.phonemizer import load_phonemizer
from aligner.text.transcript import PAUSE, Transcript


@pytest.fixture
def timit_audio(tmp_path: Path) -> Path:
    return timit_recording(tmp_path)


def test_prepared_utterances_come_back_as_they_went_in(timit_audio: Path, tmp_path: Path) -> None:
    utterances = [checked(RawUtterance("x", timit_audio, "two daw", "s"))]
    (back,) = load_utterances(prepared(tmp_path / "out", utterances))
    assert replace(back, reference=None) == replace(utterances[0], reference=None)
    for ours, theirs in zip(back.reference.tokens, utterances[0].reference.tokens, strict=True):
        assert (ours.symbol, ours.word) == (theirs.symbol, theirs.word)
        assert ours.start_s == pytest.approx(theirs.start_s, abs=1e-8)
    assert [word.symbol for word in back.reference.words] == ["two", "daw"]


def test_the_manifest_is_valid_lhotse_and_the_same_bytes_again(timit_audio: Path, tmp_path: Path) -> None:
    from lhotse import CutSet, validate

    utterances = [checked(RawUtterance("x", timit_audio, "two daw", "s"))]
    first, second = (prepared(tmp_path / name, utterances) / "cuts.jsonl.gz" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    (cut,) = CutSet.from_file(first)
    validate(cut)
    assert cut.load_audio().shape == (1, RATE_HZ)
    assert cut.supervisions[0].text == "two daw"


def test_relative_paths_let_a_corpus_move(tmp_path: Path) -> None:
    tone(tmp_path / "old" / "wavs" / "a.wav")
    prepared(
        tmp_path / "old" / "out",
        [checked(RawUtterance("a", tmp_path / "old" / "wavs" / "a.wav", "hi"))],
        relative_paths=True,
    )
    (tmp_path / "old").rename(tmp_path / "new")
    (utterance,) = load_utterances(tmp_path / "new" / "out")
    assert len(load_audio(utterance, RATE_HZ)) == RATE_HZ


def test_what_is_not_prepared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="aligner prepare"):
        load_utterances(tmp_path)
    with pytest.raises(AlignerError, match="aligner prepare"):
        load_info(tmp_path)
    (tmp_path / "corpus.json").write_text('{"symbols": 3}')
    with gzip.open(tmp_path / "cuts.jsonl.gz", "wb") as file:
        file.write(b'{"id": 1}\n')
    with pytest.raises(AlignerError, match="prepare` again"):
        load_info(tmp_path)
    with pytest.raises(AlignerError, match="prepare` again"):
        load_utterances(tmp_path)


def test_vocabulary_has_the_pause_first_then_all_variants_sorted() -> None:
    transcript = load_phonemizer("gruut")("a read")
    assert vocabulary([transcript]) == (PAUSE, "d", "eɪ", "i", "ə", "ɛ", "ɹ")
    assert CorpusInfo((PAUSE, "a"), "gruut", "en-us", {}).token_ids == {PAUSE: 0, "a": 1}


@pytest.mark.parametrize("channels", [1, 2])
def test_the_manifest_is_what_lhotse_itself_would_write(tmp_path: Path, channels: int) -> None:
    import json

    from lhotse.serialization import deserialize_item

    audio = tone(tmp_path / "a.wav", channels=channels)
    audio.with_suffix(".phn").write_text("0 8000 h\n8000 16000 i\n")
    folder = prepared(
        tmp_path / "out", [checked(RawUtterance("a", audio, "hi", speaker="anna" * (channels % 2)))]
    )
    with gzip.open(folder / "cuts.jsonl.gz", "rt") as lines:
        (line,) = lines
    assert json.loads(line)["supervisions"][0]["alignment"]["phone"]
    again = deserialize_item(json.loads(line)).to_dict()
    assert json.loads(json.dumps(again)) == json.loads(line)


def test_a_part_of_a_corpus_is_read_without_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = tone(tmp_path / "a.wav", 1.25)
    ids = ["plain", "ä", 'with"quote', "back\\slash", "last"]
    one = checked(RawUtterance("x", audio, "hi"))
    folder = prepared(tmp_path / "out", [replace(one, id=id) for id in ids])
    assert load_lengths(folder) == dict.fromkeys(ids, 1.25)
    read: list[str] = []
    from_dict = Transcript.from_dict
    monkeypatch.setattr(Transcript, "from_dict", lambda data: read.append(data) or from_dict(data))
    assert [u.id for u in load_utterances(folder, {"ä", "back\\slash"})] == ["ä", "back\\slash"]
    assert len(read) == 2


def test_an_utterance_of_a_large_corpus_is_small(tmp_path: Path) -> None:
    audio = tone(tmp_path / "a.wav")
    one = checked(RawUtterance("x", audio, "some words that many utterances have", speaker="anna"))
    n_utterances = 2000
    folder = prepared(tmp_path / "out", [replace(one, id=f"u{n}") for n in range(n_utterances)])
    load_utterances(folder)  # what is made once
    tracemalloc.start()
    utterances = load_utterances(folder)
    per_utterance = tracemalloc.get_traced_memory()[0] / len(utterances)
    tracemalloc.stop()
    assert per_utterance < 1100  # 5.5 million of them are 10,000 hours


def test_two_utterances_of_one_id_are_damage(timit_audio: Path, tmp_path: Path) -> None:
    """Edited by hand or put together of several: every list by id would lose one of them."""
    folder = prepared(tmp_path / "out", [checked(RawUtterance("x", timit_audio, "two daw", "s"))] * 2)
    with pytest.raises(AlignerError, match=r"damaged \(2 of its utterances have the id x\)"):
        load_utterances(folder)
    with pytest.raises(AlignerError, match=r"damaged \(2 of its utterances have the id x\)"):
        load_lengths(folder)


@pytest.mark.parametrize("text", ["two dogs", ""])
def test_a_text_edited_in_the_manifest_is_damage(timit_audio: Path, tmp_path: Path, text: str) -> None:
    """Its words and phones stay those of the text before, and nobody would see it."""
    folder = prepared(tmp_path / "out", [checked(RawUtterance("x", timit_audio, "two daw", "s"))])
    cuts = gzip.decompress((folder / "cuts.jsonl.gz").read_bytes())
    (folder / "cuts.jsonl.gz").write_bytes(gzip.compress(cuts.replace(b'"two daw"', f'"{text}"'.encode())))
    with pytest.raises(AlignerError, match="the text of x is not the one that its words were made of"):
        load_utterances(folder)
