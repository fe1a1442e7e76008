"""Frames of each token: the vote of joint and per-stream paths, states added up to tokens, errors.

F packed frames, M states.
"""

import numpy as np
import pytest
import torch
from stub_encoder import StubEncoder, emissions_of, features_of, transcript_of

from aligner.encoders.base import Emissions
from aligner.errors import AlignerError
from aligner.search import TokenDurations, align_states, align_tokens, forced_alignment
from aligner.text.transcript import Tokens
from aligner.text.vocabulary import Reading, Vocabulary

VOCABULARY = Vocabulary(["sil", "a", "b", "c"])


def reading(id: str, *words: str) -> Reading:
    return VOCABULARY.reading(id, transcript_of(*words).tokens())


def durations(*frames: int) -> np.ndarray:
    return np.array(frames, np.int64)


def test_edges_are_the_mean_over_the_joint_and_all_stream_paths() -> None:
    frames = TokenDurations(durations(2, 4, 4), (durations(3, 3, 4), durations(4, 5, 1), durations(2, 6, 2)))
    assert frames.boundaries_frames().tolist() == [0, (2 + 3 + 4 + 2) / 4, (6 + 6 + 9 + 8) / 4, 10]


def test_edges_of_a_single_stream_are_those_of_its_path() -> None:
    assert TokenDurations(durations(2, 0, 4), ()).boundaries_frames().tolist() == [0, 2, 2, 6]


def test_each_stream_and_the_joint_path_find_their_own_frames() -> None:
    early = 3 * emissions_of(VOCABULARY, "aabbbb")  # surer, so that the joint path follows it
    late = emissions_of(VOCABULARY, "aaaabb")
    frames = forced_alignment(StubEncoder(), Emissions((early, late)), features_of(6), [reading("u1", "ab")])
    assert len(frames) == 1
    assert [row.tolist() for row in frames[0].per_stream] == [[0, 2, 4, 0], [0, 4, 2, 0]]
    assert frames[0].joint.tolist() == [0, 2, 4, 0]
    assert frames[0].boundaries_frames().tolist() == pytest.approx([0, 0, 8 / 3, 6, 6])


def test_a_single_stream_is_aligned_once() -> None:
    emissions = Emissions((emissions_of(VOCABULARY, "..aab."),))
    (frames,) = forced_alignment(StubEncoder(), emissions, features_of(6), [reading("u1", "ab")])
    assert frames.joint.tolist() == [2, 2, 1, 1]
    assert frames.per_stream == ()


def test_utterances_of_a_batch_keep_their_own_frames() -> None:
    spoken = ["..aabb.", "ccc", ".c..ab"]
    readings = [reading("u1", "ab"), reading("u2", "c"), reading("u3", "c", "ab")]
    emissions = emissions_of(VOCABULARY, "".join(spoken))
    found = align_tokens(StubEncoder(), emissions, features_of(7, 3, 6), readings)
    assert [row.tolist() for row in found] == [[2, 2, 2, 1], [0, 3, 0], [1, 1, 2, 1, 1, 0]]
    assert all(row.dtype == np.int64 for row in found)


def test_frames_of_a_phones_states_add_up_to_its_token() -> None:
    encoder, features = StubEncoder(states=3), features_of(20, 13)
    emissions = torch.randn(33, 1 + 3 * 3, generator=torch.Generator().manual_seed(0))
    readings = [reading("u1", "ab", "c"), reading("u2", "cc")]
    tokens = align_tokens(encoder, emissions, features, readings)
    paths, sequences = align_states(encoder, emissions, features, readings)
    for b, own in enumerate(readings):
        by_state = paths.durations[b].tolist()
        expected = [0] * len(own.tokens)
        for position, frames in zip(sequences[b].token_of_state, by_state, strict=False):
            expected[position] += frames
        assert tokens[b].tolist() == expected
        assert all(n >= 3 for n, id in zip(expected, own.token_ids, strict=True) if id)


@pytest.mark.parametrize("n_frames", [3, 4])
def test_more_tokens_than_frames_name_the_utterance(n_frames: int) -> None:
    """Pauses that may be skipped do not count."""
    emissions, features = emissions_of(VOCABULARY, "." * (9 + n_frames)), features_of(9, n_frames)
    readings = [reading("u1", "ab"), reading("short-one", "ab", "ca")]
    if n_frames == 4:
        found = align_tokens(StubEncoder(), emissions, features, readings)
        assert found[1].tolist() == [0, 1, 1, 0, 1, 1, 0]
        return
    for align in (align_states, align_tokens):
        with pytest.raises(AlignerError, match="^short-one: 4 tokens in 3 frames"):
            align(StubEncoder(), emissions, features, readings)
    with pytest.raises(AlignerError, match="^short-one: 4 tokens in 3 frames"):
        forced_alignment(StubEncoder(), Emissions((emissions,)), features, readings)


def test_pauses_among_the_users_own_tokens_are_never_skipped() -> None:
    tokens = Tokens(("sil", "a", "sil"), (0, 0, 0), (False,) * 3)
    own = VOCABULARY.reading("u1", tokens)
    found = align_tokens(StubEncoder(), emissions_of(VOCABULARY, "aaaa"), features_of(4), [own])
    assert found[0].tolist() == [1, 2, 1]
