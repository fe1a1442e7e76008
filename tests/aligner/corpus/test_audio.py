"""Sound files: any format, rate and number of channels comes back as mono."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from corpus_cases import RATE_HZ, checked, prepared, tone

from aligner.corpus.audio import audio_format, read_audio, read_audio_part, write_wav
from aligner.corpus.prepared import load_audio, load_utterances
from aligner.corpus.readers import RawUtterance
from aligner.errors import AlignerError


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_format_rate_and_channels_load_as_mono(tmp_path: Path, suffix: str, channels: int) -> None:
    audio = tone(tmp_path / f"a.{suffix}", 1.0, rate_hz=44100, hertz=440.0, channels=channels)
    (utterance,) = load_utterances(prepared(tmp_path / "out", [checked(RawUtterance("a", audio, "hi"))]))
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


def test_audio_that_changed_since_is_an_error_that_names_the_utterance(tmp_path: Path) -> None:
    audio = tone(tmp_path / "a.wav")
    (utterance,) = load_utterances(prepared(tmp_path / "out", [checked(RawUtterance("utt7", audio, "hi"))]))
    tone(audio, 0.5)
    with pytest.raises(AlignerError, match="utt7.*prepare"):
        load_audio(utterance, RATE_HZ)
    audio.unlink()
    with pytest.raises(AlignerError, match="utt7"):
        load_audio(utterance, RATE_HZ)


def test_a_part_of_a_file_is_read_with_the_channels_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 3)).astype(np.float32)
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    assert audio_format(path).n_channels == 3
    assert audio_format(path).n_samples == 8000
    whole, rate_hz = read_audio(path)
    assert rate_hz == RATE_HZ
    assert np.array_equal(whole, samples.mean(1))
    part = read_audio_part(path, 0.1, 800, (0, 2), RATE_HZ)
    assert np.array_equal(part, samples[1600:2400, [0, 2]].mean(1))
    assert np.array_equal(read_audio_part(path, 0.4, None, (1,), RATE_HZ), samples[6400:, 1])


def test_what_is_no_recording_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "torn.wav").write_bytes(b"RIFFnonsense")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE_HZ)
    for name in ("torn.wav", "empty.wav", "absent.wav"):
        with pytest.raises(AlignerError, match=name):
            read_audio(tmp_path / name)
    with pytest.raises(AlignerError, match="torn.wav"):
        audio_format(tmp_path / "torn.wav")
    with pytest.raises(AlignerError, match="absent.wav"):
        audio_format(tmp_path / "absent.wav")


def test_a_file_of_another_rate_than_when_prepared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="a.wav.*prepare"):
        read_audio_part(tone(tmp_path / "a.wav"), 0, None, (0,), 8000)


def test_samples_are_written_as_they_are(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32767, -32768], np.int16)
    with open(tmp_path / "a.wav", "wb") as file:
        write_wav(file, samples, RATE_HZ)
    found, rate_hz = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate_hz == RATE_HZ
    assert np.array_equal(found, samples)
