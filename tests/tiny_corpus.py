"""A prepared corpus of tones, each symbol its own chord, whose boundaries are known to the sample."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile

from aligner.alignment import Alignment
from aligner.corpus.prepared import CorpusInfo, Utterance, save_corpus
from aligner.text.transcript import PAUSE, Tokens, Transcript, Word

SAMPLE_RATE_HZ = 16000
CHORDS_HZ = {
    "a": (220, 700, 1100),
    "e": (250, 450, 2300),
    "m": (130, 260, 390),
    "s": (4100, 5200, 6300),
    "t": (1700, 3000, 7000),
}
ONE_SPEAKER: Mapping[str, float] = {"anna": 1.0}
_WORDS = ("tea", "sam", "mesa", "at", "same", "eat", "seam", "team", "mate", "ate")


def write_tiny_corpus(
    folder: Path, utterances: int = 20, seed: int = 0, speakers: Mapping[str, float] = ONE_SPEAKER
) -> list[Utterance]:
    """Prepare a corpus of up to 4 words an utterance, with silence around them and sometimes between.

    Args:
        folder: where to write it.
        utterances: how many; fewer are the first of more.
        seed: of the words and lengths.
        speakers: by their names the factor of their chords' frequencies; they take turns.

    Returns:
        The utterances, with their exact times as reference.
    """
    draw = np.random.default_rng(seed)
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    turns = list(islice(cycle(speakers), utterances))
    spoken = [
        _speak(f"u{number:02d}", audio, draw, name, speakers[name]) for number, name in enumerate(turns)
    ]
    save_tiny_corpus(folder, spoken)
    return spoken


def save_tiny_corpus(folder: Path, utterances: list[Utterance]) -> None:
    """Store utterances as `aligner prepare` would."""
    info = CorpusInfo(
        symbols=(PAUSE, *sorted(CHORDS_HZ)),
        phonemizer="characters",
        language="en-us",
        options={},
        utterances=len(utterances),
        speakers=len({utterance.speaker for utterance in utterances}),
        hours=sum(utterance.duration_s for utterance in utterances) / 3600,
        with_reference=sum(utterance.reference is not None for utterance in utterances),
    )
    save_corpus(folder, utterances, info)


def with_symbols(utterance: Utterance, id: str, symbols: tuple[str, ...]) -> Utterance:
    """The same audio under another id with other fixed tokens, without known times."""
    fixed = Tokens(symbols, (0,) * len(symbols), (False,) * len(symbols))
    transcript = Transcript((Word("".join(symbols), (symbols,), "given"),), ("", ""), fixed)
    return replace(utterance, id=id, transcript=transcript, reference=None)


def _speak(id: str, folder: Path, draw: np.random.Generator, speaker: str, factor: float) -> Utterance:
    texts: list[str] = []
    for word in map(str, draw.permutation(_WORDS)[: draw.integers(2, 5)]):
        if not texts or texts[-1][-1] != word[0]:  # two equal symbols in a row have no audible boundary
            texts.append(word)
    symbols, words = [PAUSE], [-1]
    for index, text in enumerate(texts):
        symbols += list(text)
        words += [index] * len(text)
        if index + 1 == len(texts) or draw.random() < 0.4:
            symbols.append(PAUSE)
            words.append(-1)
    lengths = [
        int(draw.uniform(*((0.1, 0.3) if s == PAUSE else (0.06, 0.16))) * SAMPLE_RATE_HZ) for s in symbols
    ]
    edges = np.concatenate([[0], np.cumsum(lengths)])
    samples = draw.normal(0, 1e-3, edges[-1])
    time_s = np.arange(edges[-1]) / SAMPLE_RATE_HZ
    for symbol, start, end in zip(symbols, edges[:-1], edges[1:], strict=True):
        for hz in CHORDS_HZ.get(symbol, ()):
            samples[start:end] += 0.1 * np.sin(2 * np.pi * hz * factor * time_s[start:end])
    path = folder / f"{id}.wav"
    soundfile.write(path, samples.astype(np.float32), SAMPLE_RATE_HZ)
    duration_s = len(samples) / SAMPLE_RATE_HZ
    reference = Alignment.from_boundaries(id, symbols, words, texts, edges / SAMPLE_RATE_HZ, duration_s)
    transcript = Transcript(tuple(Word(text, (tuple(text),)) for text in texts), ("",) * (len(texts) + 1))
    return Utterance(
        id, path, SAMPLE_RATE_HZ, duration_s, " ".join(texts), transcript, speaker, reference=reference
    )
