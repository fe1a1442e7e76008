"""eSpeak NG as a library: speech, and the sample at which each word and phone of it starts.

The package `espeakng-loader` (an extra, GPL-3.0) carries the library. N samples.

Source: eSpeak NG's src/include/espeak-ng/speak_lib.h and espeak_ng.h.
"""

import ctypes
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.errors import AlignerError

# espeak_EVENT_TYPE
_LAST_EVENT, WORD_EVENT, PHONE_EVENT = 0, 1, 7
# espeak_AUDIO_OUTPUT, and flags of espeak_Initialize
_SYNCHRONOUS = 2
_PHONE_EVENTS, _PHONES_AS_IPA, _DO_NOT_EXIT = 1, 2, 0x8000
_BUFFER_MS = 200  # of sound in each call of the callback
# espeak_PARAMETER, espeak_POSITION_TYPE, flags of espeak_Synth
_RATE, _POSITION_BY_CHARACTER, _UTF8 = 1, 1, 1


@dataclass(frozen=True)
class Event:
    """The start of a word or phone, as eSpeak reports it.

    Args:
        kind: `WORD_EVENT`, `PHONE_EVENT` or another of eSpeak's kinds.
        character: Where in the text it is, from 0.
        sample: Where in the sound it starts, from 0.
        name: The phone in IPA with stress marks; "" for other kinds, and for sound that eSpeak does not name.
    """

    kind: int
    character: int
    sample: int
    name: str


class Espeak:
    """eSpeak NG with a state of its own.

    The library has one state for all callers, so each instance loads its own copy of it. What it says
    depends on what it said before (the phase of the voice goes on), so one corpus is made by one instance.

    Args:
        seed: Of the noise in its voices.

    Raises:
        AlignerError: If `espeakng-loader` is not installed, or the library does not start.
    """

    def __init__(self, seed: int) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise AlignerError(
                "synthetic speech needs eSpeak NG: `pip install 'mas-aligner[espeak]'`"
            ) from error
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            self._library = ctypes.CDLL(shutil.copy(espeakng_loader.get_library_path(), folder))
        self.sample_rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS,
            _BUFFER_MS,
            espeakng_loader.get_data_path().encode(),
            _PHONE_EVENTS | _PHONES_AS_IPA | _DO_NOT_EXIT,
        )
        if self.sample_rate_hz <= 0:
            raise AlignerError("eSpeak NG does not start: install `espeakng-loader` again")
        self._library.espeak_ng_SetRandSeed(seed)
        self._sound: list[bytes] = []
        self._events: list[Event] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_EventStruct))
        self._callback = kind(self._receive)  # eSpeak keeps the address: this must live as long as it does
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, speed_wpm: int) -> tuple[NDArray[np.int16], list[Event]]:
        """Speak a text.

        Args:
            text: The text.
            voice: One of eSpeak's voices, such as "en-us+f1".
            speed_wpm: Words a minute.

        Returns:
            The samples `[N]` at `sample_rate_hz`, and the events in them in order.

        Raises:
            AlignerError: If eSpeak has no such voice.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise AlignerError(f"eSpeak has no voice {voice!r}; name one like en-us, de or en-us+f1")
        self._library.espeak_SetParameter(_RATE, speed_wpm, 0)
        self._sound, self._events = [], []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, _POSITION_BY_CHARACTER, 0, _UTF8, None, None)
        return np.frombuffer(b"".join(self._sound), "<i2"), self._events

    def _receive(self, sound: int | None, n_samples: int, events: "Sequence[_EventStruct]") -> int:
        """eSpeak's callback; 0 asks it to go on."""
        if sound and n_samples:
            self._sound.append(ctypes.string_at(sound, 2 * n_samples))
        for event in events:
            if event.kind == _LAST_EVENT:
                break
            name = ""
            if event.kind == PHONE_EVENT:
                name = bytes(event.name).split(b"\0")[0].decode(errors="replace")
            self._events.append(Event(event.kind, event.text_position - 1, event.sample, name))
        return 0


class _EventStruct(ctypes.Structure):
    """espeak_EVENT, whose last field is a union that holds a phone's name in its 8 bytes."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_ubyte * 8),
    )
