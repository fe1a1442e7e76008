"""Reference times beside the audio."""

from pathlib import Path

import pytest
from corpus_cases import checked, timit_recording, tone

from aligner.corpus.checks import RefusedUtterance, check_audio, check_text
from aligner.corpus.readers import RawUtterance
from aligner.corpus.reference import reference_beside, transcript_of_reference
from aligner.errors import AlignerError
from aligner.text.phonemizer import characters


@pytest.fixture
def timit_audio(tmp_path: Path) -> Path:
    return timit_recording(tmp_path)


def test_reference_times_cover_the_audio_in_words(timit_audio: Path) -> None:
    reference = reference_beside(timit_audio, "x", 1.0)
    assert [token.symbol for token in reference.tokens] == ["sil", "t", "uw", "sil", "d", "ao", "sil"]
    assert [token.word for token in reference.tokens] == [-1, 0, 0, -1, 1, 1, -1]
    assert reference.tokens[1].start_s == 0.125
    assert reference.tokens[-1].end_s == 1.0


def test_reference_times_of_another_recording_are_refused(timit_audio: Path) -> None:
    tone(timit_audio, 0.5)
    raw = RawUtterance("x", timit_audio, "two")
    found = check_audio(raw, check_text(raw, characters, frozenset()))
    assert found.utterance.reference is None
    assert "reference times end" in found.reference_problem
    with pytest.raises(RefusedUtterance, match="reference times end"):
        check_audio(raw, None)  # whose phones were to be taken


def test_phones_of_the_reference_as_tokens(timit_audio: Path) -> None:
    utterance = check_audio(RawUtterance("x", timit_audio, "two daw"), None).utterance
    tokens = utterance.transcript.tokens()
    assert tokens.symbols == ("sil", "t", "uw", "sil", "d", "ao", "sil")
    assert tokens.words == (-1, 0, 0, -1, 1, 1, -1)
    assert not any(tokens.skippable)
    assert [word.text for word in utterance.transcript.words] == ["two", "daw"]
    with pytest.raises(AlignerError, match="no .phn"):
        transcript_of_reference(None)


def test_textgrid_beside_the_audio_is_a_reference(tmp_path: Path) -> None:
    from praatio import textgrid

    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", [(0.2, 0.8, "hi")], 0, 1.0))
    grid.addTier(textgrid.IntervalTier("phones", [(0.2, 0.4, "h"), (0.4, 0.8, "aɪ")], 0, 1.0))
    audio = tone(tmp_path / "a.wav")
    grid.save(str(audio.with_suffix(".TextGrid")), "long_textgrid", includeBlankSpaces=True)
    utterance = checked(RawUtterance("a", audio, "hi"))
    assert [(word.symbol, word.start_s) for word in utterance.reference.words] == [("hi", 0.2)]
    assert [token.symbol for token in utterance.reference.tokens if token.word == 0] == ["h", "aɪ"]
