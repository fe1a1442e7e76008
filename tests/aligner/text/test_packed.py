"""Texts as arrays against `Transcript`, which says what their tokens are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligner.errors import AlignerError
from aligner.text.packed import PackedTexts
from aligner.text.transcript import Tokens, Transcript, Word
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", *"abcd"])

phones = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(tuple)
words = st.builds(
    lambda variants: Word("w", tuple(variants)), st.lists(phones, min_size=1, max_size=3, unique=True)
)
worded = st.lists(words, max_size=4).map(lambda own: Transcript(tuple(own), ("",) * (len(own) + 1)))
fixed = st.lists(st.sampled_from([*"abcd", "sil"]), min_size=1, max_size=6).map(
    lambda own: Transcript(
        (Word("w", (("a",), ("b",))),), ("", ""), Tokens.given(own, [0 if s != "sil" else -1 for s in own])
    )
)


def packed(*transcripts: Transcript) -> PackedTexts:
    return PackedTexts.of(VOCABULARY, [f"u{number}" for number in range(len(transcripts))], transcripts)


def drawn(transcript: Transcript, seed: int) -> tuple[int, ...]:
    """A pronunciation of each word."""
    generator = np.random.default_rng(seed)
    if transcript.fixed is not None:
        return (0,) * len(transcript.words)
    return tuple(int(generator.integers(len(word.variants))) for word in transcript.words)


@given(st.lists(worded | fixed, min_size=1, max_size=4), st.integers(0, 99))
def test_tokens_are_those_of_the_transcripts(transcripts: list[Transcript], seed: int) -> None:
    texts = packed(*transcripts)
    chosen = [drawn(transcript, seed + b) for b, transcript in enumerate(transcripts)]
    for choice, expected in (
        (texts.choice_of(chosen), [t.tokens(v) for t, v in zip(transcripts, chosen, strict=True)]),
        (texts.choice_of([None] * len(chosen)), [t.tokens() for t in transcripts]),
        (None, [t.tokens() for t in transcripts]),
    ):
        found = texts.tokens(choice)
        assert found.unpack(VOCABULARY.symbols) == expected
        assert found.least_frames.tolist() == [own.least_frames for own in expected]
        assert found.padded().shape == (len(transcripts), max(len(own) for own in expected))
    assert texts.variants_of(texts.choice_of(chosen)) == chosen


@given(st.lists(worded | fixed, min_size=1, max_size=4))
def test_texts_encoded_one_by_one_are_those_encoded_together(transcripts: list[Transcript]) -> None:
    parts = [PackedTexts.of(VOCABULARY, [f"u{b}"], [own]) for b, own in enumerate(transcripts)]
    one, together = PackedTexts.cat(parts), packed(*transcripts)
    assert vars(one).keys() == vars(together).keys()
    for name, value in vars(together).items():
        assert np.array_equal(getattr(one, name), value), name


@given(st.lists(worded, min_size=1, max_size=4), st.integers(0, 12), st.integers(0, 99))
def test_a_choice_that_does_not_fit_becomes_the_shortest(
    transcripts: list[Transcript], n_frames: int, seed: int
) -> None:
    texts = packed(*transcripts)
    chosen = [drawn(transcript, seed + b) for b, transcript in enumerate(transcripts)]
    found = texts.fitting(np.full(len(transcripts), n_frames), texts.choice_of(chosen))
    for transcript, own, preferred in zip(transcripts, texts.variants_of(found), chosen, strict=True):
        if transcript.tokens(preferred).least_frames <= n_frames:
            assert own == preferred
        else:
            lengths = [[len(variant) for variant in word.variants] for word in transcript.words]
            assert own == tuple(each.index(min(each)) for each in lengths)


def test_an_unknown_symbol_in_any_pronunciation_names_the_utterance() -> None:
    known, other = Word("x", (("a",),)), Word("y", (("b",), ("b", "q")))
    with pytest.raises(AlignerError, match="^u1: the aligner has not learnt q; it knows sil, a, b, c, d"):
        packed(Transcript((known,)), Transcript((known, other)))


def test_no_text_is_no_error() -> None:
    nothing = packed()
    assert len(nothing.tokens()) == 0
    assert PackedTexts.cat([nothing, packed(Transcript(()))]).tokens().lengths.tolist() == [1]
