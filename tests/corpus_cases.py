"""Small recordings and corpora for the tests of `aligner.corpus`."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligner.corpus.checks import RefusedUtterance, check_audio, check_found, check_text
from aligner.corpus.prepared import CorpusInfo, Utterance, save_corpus, vocabulary
from aligner.corpus.readers import RawUtterance
from aligner.text.phonemizer import characters

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


def timit_recording(folder: Path) -> Path:
    """One second of audio with TIMIT's two files of times: the words "two" and "daw"."""
    audio = tone(folder / "s" / "x.wav", 1.0)
    audio.with_suffix(".phn").write_text(
        "0 2000 h#\n2000 3000 tcl\n3000 4000 t\n4000 6000 uw\n6000 7000 pau\n7000 9000 dcl\n9000 11000 ao\n"
        "11000 15900 h#\n"
    )
    audio.with_suffix(".wrd").write_text("2000 6000 two\n7000 11000 daw\n")
    return audio


def checked(raw: RawUtterance) -> Utterance:
    """The utterance with letters as tokens."""
    check_found(raw)
    return check_audio(raw, check_text(raw, characters, frozenset())).utterance


def refusal(raw: RawUtterance) -> str:
    """The reason why an utterance is rejected."""
    with pytest.raises(RefusedUtterance) as caught:
        checked(raw)
    return caught.value.reason


def prepared(folder: Path, utterances: list[Utterance], *, relative_paths: bool = False) -> Path:
    """A prepared corpus in `folder`."""
    symbols = vocabulary(utterance.transcript for utterance in utterances)
    info = CorpusInfo(symbols, "characters", "en-us", {})
    save_corpus(folder, utterances, info, relative_paths=relative_paths)
    return folder
