"""A small spoken corpus whose phone times are known to the sample: eSpeak NG says when it starts each phone.

eSpeak's samples stay at its own rate (22,050 Hz). The package `espeakng-loader` (an extra: GPL-3.0) carries
it.
"""

import ctypes
import itertools
import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment
from aligner.corpus.sentences import GERMAN_SENTENCES, SENTENCES
from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE

_SPEAKERS = ("", "+f1", "+m3", "+steph")  # eSpeak's variants of a voice
VOICES = tuple(f"en-us{speaker}" for speaker in _SPEAKERS)
GERMAN_VOICES = tuple(f"de{speaker}" for speaker in _SPEAKERS)
# What there are sentences for: voices, sentences.
LANGUAGES = {"en-us": (VOICES, SENTENCES), "de": (GERMAN_VOICES, GERMAN_SENTENCES)}
SPEEDS_WPM = (140, 165, 190)
SLOWEST_WPM, FASTEST_WPM = (
    80,
    390,
)  # beyond that eSpeak resamples what it has said, and its times are not true

_EDGE_SILENCE_S = (0.05, 0.3)
_SHORTEST_PAUSE_S = 0.03  # a gap in the sound that eSpeak has no name for is a pause from here on
_STOPS = "pbtdkɡcɟqɢʔ"  # the first letter of every stop and affricate in IPA
_MARKS = str.maketrans("", "", "ˈˌːˑ:")
_ZERO_WIDTH_SPACE = "\u200b"

_WORD_EVENT, _PHONE_EVENT = 1, 7


@dataclass(frozen=True)
class SyntheticUtterance:
    """What was said and, exactly, when. `alignment` has the id, the speaker and the text."""

    audio_path: Path
    alignment: Alignment

    @property
    def token_text(self) -> str:
        """The phones as already tokenised text: `sil | ð ə | k æ t | sil`, "|" between words."""
        symbols: list[str] = []
        word = -1
        for token in self.alignment.tokens:
            symbols += ["|", token.symbol] if symbols and token.word != word else [token.symbol]
            word = token.word
        return " ".join(symbols)


def synthesise_corpus(
    out_dir: str | Path,
    utterances: int = 120,
    voices: Sequence[str] = VOICES,
    speeds_wpm: Sequence[int] = SPEEDS_WPM,
    seed: int = 0,
    sentences: Sequence[str] = SENTENCES,
) -> list[SyntheticUtterance]:
    """Speak `utterances` sentences, the `voices` by turns, at speeds (words a minute) from `speeds_wpm`.

    Writes `out_dir/SPEAKER/ID.wav` (16 bit, 22,050 Hz, mono), `.txt` (what was said) and `.TextGrid` (tiers
    words and phones), and two filelists: `text.txt` (`wav|speaker|text`) and `tokens.txt`
    (`wav|speaker|tokens`, pauses and word bounds included). Phones are eSpeak's in IPA without stress and
    length marks; every silence is a token "sil", except that a stop starts with its closure. About 500 times
    faster than speech; the same arguments give the same bytes.

    Raises AlignerError if eSpeak is not installed, a voice is unknown or blurs its pauses, a speed is outside
    80..390, or a sentence has a word that is not spoken.
    """
    _check(utterances, voices, speeds_wpm, sentences)
    espeak = _Espeak(seed)
    chooser = random.Random(seed)
    order = [
        sentence
        for _ in range(-(-utterances // len(sentences)))
        for sentence in chooser.sample(sentences, len(sentences))
    ][:utterances]
    spoken = []
    for number, text in enumerate(_progress(order)):
        voice, speed_wpm = voices[number % len(voices)], chooser.choice(speeds_wpm)
        speaker = re.sub(r"[^\w.-]+", "-", voice)
        id = f"{speaker}-{number:04d}"
        edges_s = (chooser.uniform(*_EDGE_SILENCE_S), chooser.uniform(*_EDGE_SILENCE_S))
        path = Path(out_dir, speaker, f"{id}.wav")
        samples, alignment = _speak(espeak, text, voice, speed_wpm, edges_s, id, speaker, path)
        _write(path, samples, espeak.sample_rate_hz, alignment)
        spoken.append(SyntheticUtterance(path, alignment))
    _write_filelist(Path(out_dir, "text.txt"), [(u, u.alignment.text) for u in spoken])
    _write_filelist(Path(out_dir, "tokens.txt"), [(u, u.token_text) for u in spoken])
    return spoken


@dataclass(frozen=True)
class _Event:
    kind: int
    character: int  # where in the text, from 0
    sample: int
    name: str


@dataclass
class _Phone:
    symbol: str
    start: int  # samples
    word: int


class _EventStruct(ctypes.Structure):
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


class _Espeak:
    """eSpeak NG with its state to itself: its own copy of the library, whose state is one for all callers.

    What it says depends on what it said before (the phase of the voice goes on), so a corpus is made by one
    copy.
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
        synchronous, phone_events, as_ipa, no_exit, buffer_ms = 2, 1, 2, 0x8000, 200
        self.sample_rate_hz: int = self._library.espeak_Initialize(
            synchronous,
            buffer_ms,
            espeakng_loader.get_data_path().encode(),
            phone_events | as_ipa | no_exit,
        )
        if self.sample_rate_hz <= 0:
            raise AlignerError("eSpeak NG does not start: install `espeakng-loader` again")
        self._library.espeak_ng_SetRandSeed(seed)
        self._sound: list[bytes] = []
        self._events: list[_Event] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_EventStruct))
        self._callback = kind(self._receive)  # eSpeak keeps the address: this must live as long as it does
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, speed_wpm: int) -> tuple[NDArray[np.int16], list[_Event]]:
        """The sound and what eSpeak reports of it, in order."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise AlignerError(f"eSpeak has no voice {voice!r}: see `espeak-ng --voices`")
        rate_parameter, by_character, utf8 = 1, 1, 1
        self._library.espeak_SetParameter(rate_parameter, speed_wpm, 0)
        self._sound, self._events = [], []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, by_character, 0, utf8, None, None)
        return np.frombuffer(b"".join(self._sound), "<i2"), self._events

    def _receive(self, sound: int | None, n_samples: int, events: Sequence[_EventStruct]) -> int:
        if sound and n_samples:
            self._sound.append(ctypes.string_at(sound, 2 * n_samples))
        for event in events:
            if event.kind == 0:
                break
            name = (
                bytes(event.name).split(b"\0")[0].decode(errors="replace")
                if event.kind == _PHONE_EVENT
                else ""
            )
            self._events.append(_Event(event.kind, event.text_position - 1, event.sample, name))
        return 0


def _speak(
    espeak: _Espeak,
    text: str,
    voice: str,
    speed_wpm: int,
    edges_s: tuple[float, float],
    id: str,
    speaker: str,
    path: Path,
) -> tuple[NDArray[np.int16], Alignment]:
    """The utterance with silence around it, and its alignment."""
    written = text.split()
    parted, samples, events = _say_every_word(espeak, text, voice, speed_wpm, id)
    phones = _phones(parted, samples, events, espeak.sample_rate_hz)
    _check_sound(samples, phones, f"{id} ({text!r}, {voice}, {speed_wpm} words a minute)")
    before, after = (round(edge_s * espeak.sample_rate_hz) for edge_s in edges_s)
    samples = np.concatenate([np.zeros(before, np.int16), samples, np.zeros(after, np.int16)])
    phones = [_Phone(PAUSE, -before, -1), *phones, _Phone(PAUSE, len(samples) - after - before, -1)]
    phones = [p for i, p in enumerate(phones) if i == 0 or (p.symbol, phones[i - 1].symbol) != (PAUSE, PAUSE)]
    boundaries = np.array([p.start + before for p in phones] + [len(samples)])
    alignment = Alignment.from_boundaries(
        id,
        [p.symbol for p in phones],
        [p.word for p in phones],
        [re.sub(r"^\W+|\W+$", "", word) for word in written],
        boundaries / espeak.sample_rate_hz,
        len(samples) / espeak.sample_rate_hz,
        speaker=speaker,
        text=text,
        audio=str(path),
    )
    return samples, alignment


def _say_every_word(
    espeak: _Espeak, text: str, voice: str, speed_wpm: int, id: str
) -> tuple[str, NDArray[np.int16], list[_Event]]:
    """The text with what it took to have every word reported, its sound and events.

    eSpeak says some pairs as one word ("of the") and tells of the first only; a zero-width space parts them.
    """
    words = text.split()
    while True:
        parted = " ".join(words)
        samples, events = espeak.say(parted, voice, speed_wpm)
        joined = _unspoken(parted, events)
        if not joined:
            return parted, samples, events
        for index in joined:
            if index == 0 or words[index - 1].endswith(_ZERO_WIDTH_SPACE):
                raise AlignerError(f"{id}: eSpeak does not say {words[index]!r} of {text!r} as a word")
            words[index - 1] += _ZERO_WIDTH_SPACE


def _word_at(text: str) -> list[int]:
    """For each character of `text` the number of its word, where single spaces stand between words."""
    return list(itertools.accumulate(character == " " for character in text))


def _unspoken(text: str, events: Iterable[_Event]) -> set[int]:
    """The words that eSpeak reports no start of."""
    word_at = _word_at(text)
    return set(word_at) - {word_at[event.character] for event in events if event.kind == _WORD_EVENT}


def _phones(
    text: str, samples: NDArray[np.int16], events: Iterable[_Event], sample_rate_hz: int
) -> list[_Phone]:
    """The phones that eSpeak reports, and the silences in the sound: a stop's closure is the stop's, the rest
    are pauses.

    eSpeak reports a phone when its sound starts; the silence that it puts before some belongs to none.
    """
    silent_since = _silent_since(samples)
    phones: list[_Phone] = []
    for phone in _sounding(_reported(text, events), samples):
        if phone.symbol != PAUSE and phones and phones[-1].symbol != PAUSE:
            silence = max(silent_since[phone.start], phones[-1].start)
            if phone.symbol[0] in _STOPS:
                phone.start = silence
            elif phone.start - silence >= _SHORTEST_PAUSE_S * sample_rate_hz:
                phones.append(_Phone(PAUSE, silence, -1))
        phones.append(phone)
    return phones


def _reported(text: str, events: Iterable[_Event]) -> list[_Phone]:
    """The phone events as they are, those without a name as pauses."""
    word_at = _word_at(text)
    word = -1
    phones = []
    for event in events:
        if event.kind == _WORD_EVENT:
            word = word_at[event.character]
        elif event.kind == _PHONE_EVENT:
            symbol = event.name.translate(_MARKS) or PAUSE
            phones.append(_Phone(symbol, event.sample, -1 if symbol == PAUSE else word))
    return phones


def _sounding(phones: list[_Phone], samples: NDArray[np.int16]) -> list[_Phone]:
    """Without what has no sound of its own.

    A nameless event is a pause if silence follows and otherwise a glide into the next phone, which starts
    there. An l after a vowel is spoken within that vowel: eSpeak says when both start and not when one ends,
    so they are one token, as eSpeak's own "əl" is.
    """
    kept: list[_Phone] = []
    glide_start: int | None = None
    for phone, following in itertools.pairwise([*phones, _Phone(PAUSE, len(samples), -1)]):
        sounds = bool(samples[phone.start : following.start].any())
        if phone.symbol == PAUSE:
            if sounds and following.symbol != PAUSE:
                glide_start = phone.start
            elif following.start > phone.start:
                kept.append(phone)
        elif sounds or not kept or kept[-1].word != phone.word:
            phone.start = phone.start if glide_start is None else glide_start
            glide_start = None
            kept.append(phone)
        else:
            kept[-1].symbol += phone.symbol
    return kept


def _silent_since(samples: NDArray[np.int16]) -> NDArray[np.int64]:
    """`[N + 1]`: at each sample the start of the run of zeros just before it, itself if there is none."""
    after_sound = np.where(samples != 0, np.arange(1, len(samples) + 1), 0)
    return np.concatenate([[0], np.maximum.accumulate(after_sound)])


def _check_sound(samples: NDArray[np.int16], phones: Sequence[_Phone], what: str) -> None:
    """Pauses are silent and phones are not: otherwise eSpeak's times are not those of the sound."""
    ends = [phone.start for phone in phones[1:]] + [len(samples)]
    for phone, end in zip(phones, ends, strict=True):
        sounds = bool(samples[phone.start : end].any())
        if sounds == (phone.symbol == PAUSE):
            raise AlignerError(
                f"{what}: at sample {phone.start} eSpeak reports {phone.symbol!r}, which its sound does not "
                "bear out (a voice with an echo does so); choose another voice or sentence"
            )


def _check(
    utterances: int, voices: Sequence[str], speeds_wpm: Sequence[int], sentences: Sequence[str]
) -> None:
    if utterances < 1 or not voices or not speeds_wpm or not sentences:
        raise AlignerError("a corpus needs at least one utterance, voice, speed and sentence")
    for speed_wpm in speeds_wpm:
        if not SLOWEST_WPM <= speed_wpm <= FASTEST_WPM:
            raise AlignerError(f"speed {speed_wpm}: must be {SLOWEST_WPM} to {FASTEST_WPM} words a minute")
    for sentence in sentences:
        if not sentence.split() or not all(re.search(r"\w", word) for word in sentence.split()):
            raise AlignerError(f"{sentence!r}: must be words between spaces, each with a letter in it")


def _write(path: Path, samples: NDArray[np.int16], sample_rate_hz: int, alignment: Alignment) -> None:
    import soundfile
    from praatio import textgrid

    path.parent.mkdir(parents=True, exist_ok=True)
    grid = textgrid.Textgrid(0, alignment.duration_s)
    for name, intervals in (("words", alignment.words), ("phones", alignment.tokens)):
        entries = [(i.start_s, i.end_s, i.symbol) for i in intervals]
        grid.addTier(textgrid.IntervalTier(name, entries, 0, alignment.duration_s))
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    soundfile.write(temporary, samples, sample_rate_hz, format="WAV", subtype="PCM_16")
    os.replace(temporary, path)
    grid.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)
    os.replace(temporary, path.with_suffix(".TextGrid"))
    temporary.write_text(alignment.text + "\n", encoding="utf-8")
    os.replace(temporary, path.with_suffix(".txt"))


def _write_filelist(path: Path, rows: Iterable[tuple[SyntheticUtterance, str]]) -> None:
    lines = [
        f"{u.audio_path.relative_to(path.parent).as_posix()}|{u.alignment.speaker}|{text}\n"
        for u, text in rows
    ]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text("".join(lines), encoding="utf-8")
    os.replace(temporary, path)


def _progress(texts: list[str]) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    quiet = len(texts) < 500 or not sys.stderr.isatty()  # that many take a second or two
    return track(texts, "speaking", console=Console(stderr=True), transient=True, disable=quiet)
