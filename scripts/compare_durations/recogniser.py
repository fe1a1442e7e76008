"""What an offline recogniser understands: PocketSphinx with the American English model in its wheel.

N samples.
"""

import re
from functools import cache
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray
from torchaudio.functional import edit_distance as word_errors

__all__ = ["word_errors", "words_heard"]

RATE_HZ = 16000  # the model's
LEVEL = 0.5  # of full scale, the loudest sample of every sound
NO_WORD = re.compile(r"[<\[+]")  # <s>, <sil>, [NOISE], ++uh++
VARIANT = re.compile(r"\(\d+\)$")  # a word's second pronunciation


def words_heard(sound: NDArray[np.float32], rate_hz: int) -> list[str]:
    """The words, in small letters.

    Args:
        sound: `[N]`.
        rate_hz: Its sample rate.
    """
    at_16k = librosa.resample(sound, orig_sr=rate_hz, target_sr=RATE_HZ)
    samples = (32767 * LEVEL * at_16k / max(abs(at_16k).max(), 1e-3)).astype(np.int16)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), False, True)  # all of it: its mean is taken off at once
    decoder.end_utt()
    words = [segment.word for segment in decoder.seg() or ()]
    return [VARIANT.sub("", word) for word in words if not NO_WORD.match(word)]


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder  # only measuring needs it

    return Decoder(samprate=RATE_HZ, loglevel="FATAL")
