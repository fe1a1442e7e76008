"""Which utterances are refused, and for what reason."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_cases import RATE_HZ, checked, refusal, tone

from aligner.corpus.checks import RefusedUtterance, check_id, check_text
from aligner.corpus.readers import RawUtterance
from aligner.text.phonemizer import characters


@pytest.mark.parametrize(
    "id", ["", "a/b", "..", "../x", "a\\b", "a b", "a\nb", ".hidden", "-rf", "x" * 300, "a..b"]
)
def test_ids_that_are_no_names_are_refused(id: str) -> None:
    with pytest.raises(RefusedUtterance):
        check_id(id)


def test_usual_ids_pass() -> None:
    for id in ("LJ001-0001", "dr3-falk0-sx276", "p225_001.mic1", "größe"):
        check_id(id)


def test_every_kind_of_bad_utterance_is_refused_with_its_reason(tmp_path: Path) -> None:
    good = tone(tmp_path / "good.wav")
    (tmp_path / "torn.wav").write_bytes(b"RIFFnonsense")
    (tmp_path / "headless.raw").write_bytes(bytes(100))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE_HZ)
    soundfile.write(tmp_path / "zeros.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)
    hum = np.float32(0.3) + np.random.default_rng(0).uniform(-3e-5, 3e-5, RATE_HZ).astype(np.float32)
    soundfile.write(tmp_path / "offset.wav", hum, RATE_HZ, subtype="FLOAT")
    nan = np.full(RATE_HZ, 0.1, np.float32)
    nan[5] = np.nan
    soundfile.write(tmp_path / "nan.wav", nan, RATE_HZ, subtype="FLOAT")
    assert refusal(RawUtterance("a", tmp_path / "absent.wav", "hi")) == "audio missing"
    assert refusal(RawUtterance("a", None, "hi")) == "audio missing"
    assert refusal(RawUtterance("a", tmp_path / "torn.wav", "hi")) == "audio undecodable"
    assert refusal(RawUtterance("a", tmp_path / "headless.raw", "hi")) == "audio undecodable"
    assert refusal(RawUtterance("a", tmp_path / "empty.wav", "hi")) == "audio too short"
    assert refusal(RawUtterance("a", good, "hi", duration_s=2.0)) == "audio too short"
    assert refusal(RawUtterance("a", tmp_path / "zeros.wav", "hi")) == "audio silent"
    assert refusal(RawUtterance("a", tmp_path / "offset.wav", "hi")) == "audio silent"
    assert refusal(RawUtterance("a", tmp_path / "nan.wav", "hi")) == "audio not finite"
    assert refusal(RawUtterance("a", good, " \t")) == "no text"
    assert refusal(RawUtterance("a", good, "?!")) == "text cannot be spoken"
    assert refusal(RawUtterance("a", good, "x" * 101)) == "shorter than its text"
    assert checked(RawUtterance("a", good, "x" * 100)).duration_s == 1.0
    assert refusal(RawUtterance("../a", good, "hi")) == "unsafe id"
    assert refusal(RawUtterance("a", good, "hi", problem="line 3")) == "not readable as listed"
    assert refusal(RawUtterance("a", good, "hi", channels=(1,))) == "audio undecodable"


def test_symbols_outside_a_vocabulary_are_refused() -> None:
    with pytest.raises(RefusedUtterance, match="ß") as caught:
        check_text(RawUtterance("a", None, "Maß"), characters, frozenset("abcmas"))
    assert caught.value.reason == "unknown symbols"
