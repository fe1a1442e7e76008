"""eSpeak's times are checked against the sound itself."""

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from aligner.corpus.synthetic import (
    FASTEST_WPM,
    GERMAN_SENTENCES,
    GERMAN_VOICES,
    SENTENCES,
    VOICES,
    SyntheticUtterance,
    synthesise_corpus,
)
from aligner.errors import AlignerError
from aligner.formats import read

pytest.importorskip("espeakng_loader", reason="needs the extra mas-aligner[espeak]")

PHONES = """
b d f h j k l m n p s t v w z ð ŋ ɡ ɹ ʃ ʒ θ tʃ dʒ
i ɪ eɪ ɛ æ ɑ ɔ oʊ ʊ u ʌ ə ɚ ɜ aɪ aʊ ɔɪ
"""
GERMAN_PHONES = """
b d f h j k l m n p r s t v x z ç ŋ ɡ ʃ pf ts
a ɑ ɛ e ə ɪ i ɔ o œ ø ʊ u ʏ y aɪ aʊ ɔø
"""


Corpus = tuple[Path, list[SyntheticUtterance]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    return folder, synthesise_corpus(folder, len(SENTENCES), speeds_wpm=(100, 165, 250))


def sound(utterance: SyntheticUtterance) -> tuple[NDArray[np.int16], int]:
    samples, rate = soundfile.read(utterance.audio_path, dtype="int16")
    assert rate == 22050
    assert len(samples) == round(utterance.alignment.duration_s * rate)
    return samples, rate


def test_sentences_are_many_and_hold_every_english_phone(corpus: Corpus) -> None:
    assert len(set(SENTENCES)) == len(SENTENCES) >= 120
    counts = collections.Counter(t.symbol for u in corpus[1] for t in u.alignment.tokens)
    assert min(counts[phone] for phone in PHONES.split()) >= 10, counts


def test_german_is_spoken_with_all_its_phones(tmp_path: Path) -> None:
    spoken = synthesise_corpus(tmp_path, len(GERMAN_SENTENCES), GERMAN_VOICES, sentences=GERMAN_SENTENCES)
    counts = collections.Counter(t.symbol for u in spoken for t in u.alignment.tokens)
    assert min(counts[phone] for phone in GERMAN_PHONES.split()) >= 4, counts


def test_pauses_are_silent_and_phones_sound_from_their_first_sample(corpus: Corpus) -> None:
    onsets = []
    for utterance in corpus[1]:
        samples, rate = sound(utterance)
        tokens = utterance.alignment.tokens
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            start, end = round(token.start_s * rate), round(token.end_s * rate)
            assert samples[start:end].any() == (token.symbol != "sil"), (utterance.alignment.id, token)
            if token.symbol == "sil" and following:
                onsets.append(np.flatnonzero(samples[end:])[0])
    # breath starts so softly that it rounds to zero at first
    assert len(onsets) > 200
    assert np.median(onsets) == 0
    assert max(onsets) <= 10


def test_a_stop_starts_with_its_closure(corpus: Corpus) -> None:
    lengths_s = []
    for utterance in corpus[1]:
        samples, rate = sound(utterance)
        tokens = utterance.alignment.tokens
        for before, token in zip(tokens, tokens[1:], strict=False):
            if token.symbol in ("p", "t", "k") and before.symbol != "sil":
                start, end = round(token.start_s * rate), round(token.end_s * rate)
                assert samples[start - 1] != 0  # the closure is whole ...
                lengths_s.append(np.flatnonzero(samples[start:end])[0] / rate)  # ... and a burst follows it
    closures = np.array(lengths_s)
    assert (closures > 0.02).mean() > 0.8  # not after s, where eSpeak has none
    assert closures.max() < 0.12


def test_tokens_tile_the_recording_and_words_span_their_phones(corpus: Corpus) -> None:
    for utterance in corpus[1]:
        alignment = utterance.alignment
        edges = [t.start_s for t in alignment.tokens] + [alignment.duration_s]
        assert edges[0] == 0
        assert [t.end_s for t in alignment.tokens] == edges[1:]
        assert [w.symbol for w in alignment.words] == [w.strip(".,;?") for w in alignment.text.split()]
        for index, word in enumerate(alignment.words):
            phones = [t for t in alignment.tokens if t.word == index]
            assert (phones[0].start_s, phones[-1].end_s) == (word.start_s, word.end_s)


def test_words_that_espeak_joins_are_told_apart(tmp_path: Path) -> None:
    text = "Most of the time she sat on the top of a table for a while, each of the days."
    (utterance,) = synthesise_corpus(tmp_path, 1, ("en-us",), (160,), sentences=[text])
    tokens, words = utterance.alignment.tokens, utterance.alignment.words
    spoken = {word.symbol: [t.symbol for t in tokens if t.word == i] for i, word in enumerate(words)}
    assert len(words) == len(text.split())
    assert spoken["on"] == ["ɔ", "n"]
    assert spoken["the"] == ["ð", "ə"]
    assert spoken["Most"] == ["m", "oʊ", "s", "t"]


def test_files_say_the_same_as_the_objects(corpus: Corpus) -> None:
    folder, utterances = corpus
    by_id = {alignment.id: alignment for alignment in read(folder)}
    lines = (folder / "tokens.txt").read_text(encoding="utf-8").splitlines()
    for utterance, line in zip(utterances, lines, strict=True):
        alignment = utterance.alignment
        stored = by_id[alignment.id]
        assert [(t.symbol, t.word) for t in stored.tokens] == [(t.symbol, t.word) for t in alignment.tokens]
        assert [t.end_s for t in stored.tokens] == pytest.approx(
            [t.end_s for t in alignment.tokens], abs=1e-6
        )
        assert stored.speaker == alignment.speaker
        assert utterance.audio_path.with_suffix(".txt").read_text(encoding="utf-8").strip() == alignment.text
        wav, speaker, tokens = line.split("|", 2)
        assert (folder / wav, speaker, tokens) == (
            utterance.audio_path,
            alignment.speaker,
            utterance.token_text,
        )
        assert [t for t in tokens.split() if t != "|"] == [t.symbol for t in alignment.tokens]
    assert {u.alignment.speaker for u in utterances} == {voice.replace("+", "-") for voice in VOICES}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    def content(folder: str, seed: int) -> dict[Path, bytes]:
        synthesise_corpus(tmp_path / folder, 6, seed=seed)
        return {p.relative_to(tmp_path / folder): p.read_bytes() for p in (tmp_path / folder).rglob("*.*")}

    assert content("a", 0) == content("b", 0)
    assert content("a", 0) != content("c", 1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"voices": ["xx-nowhere"]}, "no voice 'xx-nowhere'"),
        ({"voices": ["en-us+f4"]}, "echo"),
        ({"speeds_wpm": [FASTEST_WPM + 1]}, "80 to 390"),
        ({"utterances": 0}, "at least one"),
        ({"sentences": ["One - two."]}, "with a letter"),
    ],
)
def test_what_would_give_untrue_times_is_refused(tmp_path: Path, wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(AlignerError, match=reason):
        synthesise_corpus(tmp_path, **{"utterances": 2, **wrong})
