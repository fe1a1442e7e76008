"""The synthetic corpus: sentences spoken by eSpeak NG, with the exact time of every phone.

`aligner demo` trains on it, and its times are what boundary errors can be measured against. Samples stay at
eSpeak's own rate of 22,050 Hz.

N samples.
"""

import importlib.resources
import itertools
import random
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment
from aligner.corpus.audio import write_wav
from aligner.corpus.espeak_events import PHONE_EVENT, WORD_EVENT, Espeak, Event
from aligner.errors import AlignerError
from aligner.formats.atomic import atomic_write
from aligner.text.transcript import PAUSE


def _read_sentences(name: str) -> tuple[str, ...]:
    """The sentences of `sentences/NAME.txt`, one a line, written for this project.

    They contain every phone of their language, and many pauses.
    """
    file = importlib.resources.files("aligner.corpus") / "sentences" / f"{name}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


SENTENCES, GERMAN_SENTENCES = _read_sentences("en"), _read_sentences("de")
_SPEAKERS = ("", "+f1", "+m3", "+steph")  # eSpeak's variants of a voice
VOICES = tuple(f"en-us{speaker}" for speaker in _SPEAKERS)
GERMAN_VOICES = tuple(f"de{speaker}" for speaker in _SPEAKERS)
# The voices and sentences of each language that has sentences.
LANGUAGES = {"en-us": (VOICES, SENTENCES), "de": (GERMAN_VOICES, GERMAN_SENTENCES)}
SPEEDS_WPM = (140, 165, 190)  # a slow, a usual and a fast reader
# Outside these eSpeak resamples the sound after it has given its times, which are then wrong.
SLOWEST_WPM, FASTEST_WPM = 80, 390

_EDGE_SILENCE_S = (0.05, 0.3)  # least and most silence at each end, as recordings have
_SHORTEST_PAUSE_S = 0.03  # a silence that eSpeak does not name is a pause from this length on
_STOPS = "pbtdkɡcɟqɢʔ"  # the first letter of every stop and affricate in IPA
_MARKS = str.maketrans("", "", "ˈˌːˑ:")  # stress and length
_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True)
class SyntheticUtterance:
    """One utterance that eSpeak spoke.

    Args:
        audio_path: Its sound file.
        alignment: Its exact times, with the id, the speaker and the text.
    """

    audio_path: Path
    alignment: Alignment

    @property
    def token_text(self) -> str:
        """The phones as a text of tokens, with "|" between words: `sil | ð ə | k æ t | sil`."""
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
    """Make a corpus of sentences spoken by eSpeak NG, about 500 times faster than speech.

    Writes `out_dir/SPEAKER/ID.wav` (16 bit, 22,050 Hz, mono), `.txt` (the sentence) and `.TextGrid` (tiers
    words and phones), and two file lists: `text.txt` (`wav|speaker|text`) and `tokens.txt`
    (`wav|speaker|tokens`, with pauses and word bounds). Phones are eSpeak's, in IPA without stress and length
    marks. Every silence is a token "sil", except the closure of a stop, which belongs to the stop. The same
    arguments give the same bytes.

    Args:
        out_dir: The folder to write.
        utterances: How many sentences to speak; beyond their number they are repeated in another order.
        voices: eSpeak's voices, which take turns.
        speeds_wpm: Speeds in words a minute; one is drawn for each utterance.
        seed: Of everything drawn: the order, speeds, silences at the ends, and noise in the voices.
        sentences: What to speak.

    Returns:
        The utterances, in order.

    Raises:
        AlignerError: If eSpeak is not installed, a voice is unknown or has sound in its pauses, a speed is
            outside 80 to 390, or a sentence has a word that is not spoken.
    """
    _check(utterances, voices, speeds_wpm, sentences)
    espeak = Espeak(seed)
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


@dataclass
class _Phone:
    symbol: str
    start: int  # in samples
    word: int  # index, -1 for a pause


def _speak(
    espeak: Espeak,
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
    separated, samples, events = _say_every_word(espeak, text, voice, speed_wpm, id)
    phones = _phones(separated, samples, events, espeak.sample_rate_hz)
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
    espeak: Espeak, text: str, voice: str, speed_wpm: int, id: str
) -> tuple[str, NDArray[np.int16], list[Event]]:
    """Speak a text so that eSpeak reports every word. Returns the text as spoken, the sound and the events.

    eSpeak says some pairs as one word ("of the") and reports the first only. A zero-width space between the
    two separates them.
    """
    words = text.split()
    while True:
        separated = " ".join(words)
        samples, events = espeak.say(separated, voice, speed_wpm)
        joined = _unspoken(separated, events)
        if not joined:
            return separated, samples, events
        for index in joined:
            if index == 0 or words[index - 1].endswith(_ZERO_WIDTH_SPACE):
                raise AlignerError(f"{id}: eSpeak does not say {words[index]!r} of {text!r} as a word")
            words[index - 1] += _ZERO_WIDTH_SPACE


def _word_at(text: str) -> list[int]:
    """For each character of `text` the index of its word. Words have single spaces between them."""
    return list(itertools.accumulate(character == " " for character in text))


def _unspoken(text: str, events: Iterable[Event]) -> set[int]:
    """The words that eSpeak reports no start of."""
    word_at = _word_at(text)
    return set(word_at) - {word_at[event.character] for event in events if event.kind == WORD_EVENT}


def _phones(
    text: str, samples: NDArray[np.int16], events: Iterable[Event], sample_rate_hz: int
) -> list[_Phone]:
    """The phones that eSpeak reports, and the silences between them.

    eSpeak reports a phone when its sound starts, and reports no silence before it. Before a stop that silence
    is the stop's closure; elsewhere it is a pause.
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


def _reported(text: str, events: Iterable[Event]) -> list[_Phone]:
    """The phone events one by one; those without a name are pauses."""
    word_at = _word_at(text)
    word = -1
    phones = []
    for event in events:
        if event.kind == WORD_EVENT:
            word = word_at[event.character]
        elif event.kind == PHONE_EVENT:
            symbol = event.name.translate(_MARKS) or PAUSE
            phones.append(_Phone(symbol, event.sample, -1 if symbol == PAUSE else word))
    return phones


def _sounding(phones: list[_Phone], samples: NDArray[np.int16]) -> list[_Phone]:
    """The phones that have a sound of their own, and the pauses.

    An event without a name is a pause if silence follows. Otherwise it is a glide into the next phone, which
    starts there. An l after a vowel is spoken within that vowel: eSpeak reports both starts and no end, so
    the two are one token, as eSpeak's own "əl" is.
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
    """For each sample the start of the run of zeros just before it; itself if there is none. `[N + 1]`."""
    after_sound = np.where(samples != 0, np.arange(1, len(samples) + 1), 0)
    return np.concatenate([[0], np.maximum.accumulate(after_sound)])


def _check_sound(samples: NDArray[np.int16], phones: Sequence[_Phone], what: str) -> None:
    """Check that pauses are silent and phones are not: otherwise eSpeak's times do not fit the sound."""
    ends = [phone.start for phone in phones[1:]] + [len(samples)]
    for phone, end in zip(phones, ends, strict=True):
        sounds = bool(samples[phone.start : end].any())
        if sounds == (phone.symbol == PAUSE):
            raise AlignerError(
                f"{what}: eSpeak reports {phone.symbol!r} at sample {phone.start}, where there is "
                f"{'sound' if sounds else 'silence'} (a voice with an echo does this); choose another "
                "voice or sentence"
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
    """The utterance's WAV, TextGrid and text."""
    from praatio import textgrid

    path.parent.mkdir(parents=True, exist_ok=True)
    grid = textgrid.Textgrid(0, alignment.duration_s)
    for name, intervals in (("words", alignment.words), ("phones", alignment.tokens)):
        entries = [(i.start_s, i.end_s, i.symbol) for i in intervals]
        grid.addTier(textgrid.IntervalTier(name, entries, 0, alignment.duration_s))
    with atomic_write(path) as file:
        write_wav(file, samples, sample_rate_hz)
    with atomic_write(path.with_suffix(".TextGrid")) as file:  # praatio takes a path only
        grid.save(file.name, format="long_textgrid", includeBlankSpaces=True)
    with atomic_write(path.with_suffix(".txt")) as file:
        file.write(f"{alignment.text}\n".encode())


def _write_filelist(path: Path, rows: Iterable[tuple[SyntheticUtterance, str]]) -> None:
    with atomic_write(path) as file:
        for utterance, text in rows:
            wav = utterance.audio_path.relative_to(path.parent).as_posix()
            file.write(f"{wav}|{utterance.alignment.speaker}|{text}\n".encode())


def _progress(texts: list[str]) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    quiet = len(texts) < 500 or not sys.stderr.isatty()  # that many take a second or two
    return track(texts, "speaking", console=Console(stderr=True), transient=True, disable=quiet)
