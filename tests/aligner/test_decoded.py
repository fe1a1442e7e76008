"""Gaps from end to end: an utterance whose text is not what is said, beside one whose text is."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from aligner.aligner import Aligner
from aligner.alignment import Alignment, Gap
from aligner.corpus.audio import read_audio, resample
from aligner.corpus.kept import Kept
from aligner.corpus.prepared import load_utterances
from aligner.corpus.recording import Recording, load_recording
from aligner.text.transcript import GAP, Tokens, Transcript, Word

RATE_HZ = 16000
# Of these nobody takes one that is missing for another, or for a part of two.
SAID = ("at sam tea", "at mate sam", "tea mate sam", "mate sam at", "tea sam at")


@pytest.fixture(scope="module")
def aligner(checkpoint: Path) -> Aligner:
    return Aligner.load(checkpoint)


@pytest.fixture(scope="module")
def recordings(tiny_corpus: Path) -> list[Recording]:
    """Three words each, spliced."""
    spoken: dict[str, tuple[torch.Tensor, Word]] = {}
    for utterance in load_utterances(tiny_corpus):
        assert utterance.reference is not None
        audio = load_recording(utterance, RATE_HZ).audio
        for word, span in zip(utterance.transcript.words, utterance.reference.words, strict=True):
            part = audio[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)]
            spoken.setdefault(word.text, (part, word))
        silence = audio[: RATE_HZ // 10]  # all of them begin with more
    found = []
    for number, words in enumerate(own.split() for own in SAID):
        parts = [spoken[word][0] for word in words]
        audio = torch.cat([silence, *parts, silence])
        text = Transcript(tuple(spoken[word][1] for word in words))
        found.append(Recording(f"r{number}", audio, text, len(audio) / RATE_HZ))
    return found


@pytest.fixture(scope="module")
def said(aligner: Aligner, recordings: list[Recording]) -> list[Alignment]:
    return aligner.align_batch(recordings)


def without(recording: Recording, word: int) -> Recording:
    words = recording.transcript.words
    return replace(recording, transcript=Transcript((*words[:word], *words[word + 1 :])))


def with_another(recording: Recording) -> Recording:
    words = recording.transcript.words
    put_in = Word("steamed", (tuple("steamet"),))
    return replace(recording, transcript=Transcript((*words[:2], put_in, *words[2:])))


def times(alignment: Alignment) -> list[tuple[str, float, float]]:
    return [(word.symbol, word.start_s, word.end_s) for word in alignment.words]


def test_with_its_own_text_no_utterance_has_a_gap(said: list[Alignment]) -> None:
    assert all(own.gaps == () for own in said)


def test_a_word_that_the_text_lacks_is_a_token_of_no_word(
    aligner: Aligner, recordings: list[Recording], said: list[Alignment]
) -> None:
    for own, as_said in zip(aligner.align_batch([without(r, 1) for r in recordings]), said, strict=True):
        (gap,), word = own.gaps, as_said.words[1]
        assert gap.unsaid == ()
        assert (gap.start_s, gap.end_s) == (
            pytest.approx(word.start_s, abs=0.03),
            pytest.approx(word.end_s, abs=0.03),
        )
        (token,) = (token for token in own.tokens if token.symbol == GAP)
        assert (token.start_s, token.end_s, token.word, token.score) == (gap.start_s, gap.end_s, -1, 0.0)
        expected = [own for n, own in enumerate(times(as_said)) if n != 1]
        for (symbol, *found_s), (name, *known_s) in zip(times(own), expected, strict=True):
            assert symbol == name
            assert found_s == pytest.approx(known_s, abs=0.03)
        assert [word.word for word in own.words] == list(range(len(own.words)))


def test_a_word_that_is_not_said_is_among_the_gaps_and_not_among_the_words(
    aligner: Aligner, recordings: list[Recording], said: list[Alignment]
) -> None:
    found = aligner.align_batch([with_another(own) for own in recordings])
    for own, as_said in zip(found, said, strict=True):
        (gap,) = own.gaps
        assert gap.unsaid == ("steamed",)
        assert gap.start_s == gap.end_s == own.words[1].end_s
        assert GAP not in [token.symbol for token in own.tokens]
        for (symbol, *found_s), (name, *known_s) in zip(times(own), times(as_said), strict=True):
            assert symbol == name
            assert found_s == pytest.approx(known_s, abs=0.03)


def test_a_gap_changes_no_other_utterance_of_its_batch_by_a_bit(
    aligner: Aligner, recordings: list[Recording], said: list[Alignment]
) -> None:
    mixed = [without(own, 1) if n % 2 else own for n, own in enumerate(recordings)]
    found = aligner.align_batch(mixed)
    assert found[::2] == said[::2]
    assert all(own.gaps for own in found[1::2])
    for own in found:
        assert all(before.end_s == after.start_s for before, after in pairwise(own.tokens))
        assert (own.tokens[0].start_s, own.tokens[-1].end_s) == (0.0, own.duration_s)


def test_the_score_is_of_the_whole_text(aligner: Aligner, recordings: list[Recording]) -> None:
    changed = [without(own, 1) for own in recordings]
    for alignment, found in zip(aligner.align_batch(changed), changed, strict=True):
        own = aligner.align_batch([replace(found, kept=Kept(boundaries_s={0: 0.0}))])[0]
        assert own.gaps == ()
        assert alignment.score == own.score


def test_own_tokens_are_taken_as_said(aligner: Aligner, recordings: list[Recording]) -> None:
    words = recordings[0].transcript.words[1:]
    symbols = [phone for word in words for phone in word.variants[0]]
    owners = [n for n, word in enumerate(words) for _ in word.variants[0]]
    own = replace(recordings[0], transcript=Transcript(words, (), Tokens.given(symbols, owners)))
    fixed, plain = aligner.align_batch([own, without(recordings[1], 1)])
    assert fixed.gaps == ()
    assert [token.symbol for token in fixed.tokens if not token.added] == symbols
    assert len(plain.gaps) == 1


def test_a_gap_says_what_it_is() -> None:
    assert str(Gap(1.0, 1.5)) == "0.50 s of speech that the text lacks, at 1.00 s"
    assert str(Gap(1.0, 1.0, ("it", "is"))) == "'it is' is not said at 1.00 s"
    assert (
        str(Gap(1.0, 1.5, ("it",)))
        == "'it' is not said at 1.00 s, instead 0.50 s of speech that the text lacks"
    )


def test_a_sentence_that_was_cut_out_and_one_that_the_text_lacks(speech_data: Path) -> None:
    aligner = Aligner.load("en-us")
    read = aligner.phonemizer()
    audio, texts = [], []
    for name in ("a0001", "a0003", "a0007"):
        samples, rate_hz = read_audio(speech_data / "kathleen" / "wavs" / f"arctic_{name}.ogg")
        audio.append(resample(samples, rate_hz, RATE_HZ))
        lines = (speech_data / "kathleen" / "metadata.csv").read_text(encoding="utf-8").splitlines()
        texts.append(next(line.split("|")[1] for line in lines if line.startswith(f"arctic_{name}|")))
    cut_out = Recording("cut", torch.cat([audio[0], audio[2]]), read(" ".join(texts)), 0.0)
    lacking = Recording("lacking", torch.cat(audio), read(f"{texts[0]} {texts[2]}"), 0.0)
    recordings = [replace(own, duration_s=len(own.audio) / RATE_HZ) for own in (cut_out, lacking)]
    (unsaid,), (extra,) = (own.gaps for own in aligner.align_batch(recordings))
    middle = [word.text for word in read(texts[1]).words]
    assert len(set(unsaid.unsaid) & set(middle)) > 0.8 * len(set(middle))
    edges_s = np.cumsum([len(own) for own in audio]) / RATE_HZ
    assert extra.unsaid == ()
    assert edges_s[0] < extra.start_s < edges_s[0] + 0.5
    assert edges_s[1] - 0.5 < extra.end_s < edges_s[1] + 0.2


def test_a_text_may_be_taken_as_said(
    aligner: Aligner, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligner, "text_as_said", True)
    found = aligner.align_batch([with_another(own) for own in recordings])
    assert all(own.gaps == () and own.words[2].symbol == "steamed" for own in found)
