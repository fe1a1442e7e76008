"""Frames of each token: the vote of joint and per-stream paths, states added up to tokens, errors.

F packed frames, M states.
"""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stub_encoder import StubEncoder, emissions_of, features_of, tokens_of, transcript_of
from torch import Tensor

from aligner.encoders.base import Emissions
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, edges_of
from aligner.search import TokenDurations, align_states, forced_alignment, states_of
from aligner.text.packed import PackedTokens
from aligner.text.transcript import Tokens, Transcript
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", "a", "b", "c"])


def align_tokens(
    encoder: StubEncoder, emissions: Tensor, features: PackedFeatures, tokens: PackedTokens
) -> list[Indices]:
    """The frames of each token by one path, of each utterance."""
    found = forced_alignment(encoder, Emissions(emissions[None]), features, tokens).joint
    return np.split(found, np.cumsum(tokens.lengths)[:-1])


def edges_after(*frames: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(frames)])


def test_edges_are_the_mean_over_the_joint_emissions_and_all_streams() -> None:
    edges = (edges_after(2, 4, 4), edges_after(3, 3, 4), edges_after(4, 5, 1), edges_after(2, 6, 2))
    frames = TokenDurations(np.array([2, 4, 4]), edges)
    assert frames.boundaries_frames(np.array([3])).tolist() == [
        0,
        (2 + 3 + 4 + 2) / 4,
        (6 + 6 + 9 + 8) / 4,
        10,
    ]


def test_each_stream_and_the_joint_emissions_find_their_own_boundaries() -> None:
    early = 300 * emissions_of(VOCABULARY, "aabbbb")  # so sure that one path is all
    late = 100 * emissions_of(VOCABULARY, "aaaabb")
    tokens = tokens_of(VOCABULARY, transcript_of("ab"))
    frames = forced_alignment(StubEncoder(), Emissions(torch.stack([early, late])), features_of(6), tokens)
    assert frames.joint.tolist() == [0, 2, 4, 0]
    assert [own.tolist() for own in frames.edges] == [
        pytest.approx([0, 0, 2, 6, 6]),
        pytest.approx([0, 0, 2, 6, 6]),
        pytest.approx([0, 0, 4, 6, 6]),
    ]
    assert frames.boundaries_frames(tokens.lengths).tolist() == pytest.approx([0, 0, 8 / 3, 6, 6])


def test_a_boundary_is_the_mean_over_all_paths_by_their_probability() -> None:
    """Between a and b lie two frames that sound like neither: each of the three paths is as good."""
    emissions = emissions_of(VOCABULARY, "aaccbb", -200.0)
    tokens = tokens_of(VOCABULARY, transcript_of("ab"))
    frames = forced_alignment(StubEncoder(), Emissions(torch.stack([emissions] * 2)), features_of(6), tokens)
    assert frames.joint.tolist() in ([0, 2, 4, 0], [0, 3, 3, 0], [0, 4, 2, 0])
    assert frames.boundaries_frames(tokens.lengths).tolist() == pytest.approx([0, 0, 3, 6, 6], abs=1e-3)


def test_a_pause_is_there_where_the_joint_path_has_it() -> None:
    with_pause = 100 * emissions_of(VOCABULARY, "aa.bb.")
    without = 90 * emissions_of(VOCABULARY, "aaabbb")
    tokens = tokens_of(VOCABULARY, transcript_of("a", "b"))
    frames = forced_alignment(
        StubEncoder(), Emissions(torch.stack([with_pause, without])), features_of(6), tokens
    )
    assert frames.joint.tolist() == [0, 2, 1, 2, 1]
    for edges in frames.edges:
        assert edges[0] == edges[1] == 0
        assert (np.diff(edges[1:]) > 0.9).all()  # in the stream without a pause, too


def test_a_single_stream_is_aligned_once() -> None:
    emissions = Emissions(emissions_of(VOCABULARY, "..aab.")[None])
    tokens = tokens_of(VOCABULARY, transcript_of("ab"))
    frames = forced_alignment(StubEncoder(), emissions, features_of(6), tokens)
    assert frames.joint.tolist() == [2, 2, 1, 1]
    assert [edges.tolist() for edges in frames.edges] == [[0, 2, 4, 5, 6]]


def test_utterances_of_a_batch_keep_their_own_frames() -> None:
    spoken = ["..aabb.", "ccc", ".c..ab"]
    tokens = tokens_of(VOCABULARY, transcript_of("ab"), transcript_of("c"), transcript_of("c", "ab"))
    emissions = emissions_of(VOCABULARY, "".join(spoken))
    found = align_tokens(StubEncoder(), emissions, features_of(7, 3, 6), tokens)
    assert [row.tolist() for row in found] == [[2, 2, 2, 1], [0, 3, 0], [1, 1, 2, 1, 1, 0]]
    assert all(row.dtype == np.int64 for row in found)


def test_frames_of_a_phones_states_add_up_to_its_token() -> None:
    encoder, features = StubEncoder(states=3), features_of(20, 13)
    emissions = torch.randn(33, 1 + 3 * 3, generator=torch.Generator().manual_seed(0))
    tokens = tokens_of(VOCABULARY, transcript_of("ab", "c"), transcript_of("cc"))
    found = align_tokens(encoder, emissions, features, tokens)
    states = states_of(encoder, features, tokens)
    paths = align_states(emissions[None], features, states)
    expected = [0] * len(tokens)
    first = 0
    for b, n_states in enumerate(states.lengths):
        by_state = paths.durations[b, :n_states].tolist()
        for token, frames in zip(states.token[first : first + n_states], by_state, strict=True):
            expected[token] += frames
        first += n_states
    assert np.concatenate(found).tolist() == expected
    assert all(n >= 3 for n, id in zip(expected, tokens.token_ids, strict=True) if id)


@pytest.mark.parametrize("n_frames", [3, 4])
def test_more_tokens_than_frames_name_the_utterance(n_frames: int) -> None:
    """Pauses that may be skipped do not count."""
    emissions, features = emissions_of(VOCABULARY, "." * (9 + n_frames)), features_of(9, n_frames)
    texts = (transcript_of("ab"), transcript_of("ab", "ca"))
    tokens = tokens_of(VOCABULARY, *texts, ids=("u1", "short-one"))
    if n_frames == 4:
        found = align_tokens(StubEncoder(), emissions, features, tokens)
        assert found[1].tolist() == [0, 1, 1, 0, 1, 1, 0]
        return
    with pytest.raises(AlignerError, match="^short-one: 4 tokens in 3 frames"):
        states_of(StubEncoder(), features, tokens)
    with pytest.raises(AlignerError, match="^short-one: 4 tokens in 3 frames"):
        forced_alignment(StubEncoder(), Emissions(emissions[None]), features, tokens)


def test_pauses_among_the_users_own_tokens_are_never_skipped() -> None:
    fixed = Tokens(("sil", "a", "sil"), (0, 0, 0), (False,) * 3)
    own = tokens_of(VOCABULARY, Transcript((), fixed=fixed))
    found = align_tokens(StubEncoder(), emissions_of(VOCABULARY, "aaaa"), features_of(4), own)
    assert found[0].tolist() == [1, 2, 1]


@given(st.lists(st.lists(st.integers(0, 60), min_size=4, max_size=4), min_size=1, max_size=5), st.randoms())
def test_boundaries_stay_in_order_wherever_streams_lose_their_way(
    rows: list[list[int]], draw: random.Random
) -> None:
    """Streams that are off by more or less than 0.2 s, from one boundary to the next."""
    lengths = np.full(len(rows), 4)
    joint = np.array([n for row in rows for n in row])
    streams = tuple(np.array([n for row in rows for n in draw.sample(row, 4)]) for _ in range(3))
    edges = tuple(edges_of(own, lengths).astype(float) for own in (joint, *streams))
    frames = TokenDurations(joint, edges).boundaries_frames(lengths)
    for edges, row in zip(frames.reshape(-1, 5), rows, strict=True):
        assert (np.diff(edges) >= 0).all()
        assert (edges[0], edges[-1]) == (0, pytest.approx(sum(row)))


def test_durations_of_parts_are_joined_to_those_of_utterances() -> None:
    joint = np.array([2, 3, 1, 4, 5, 2, 2])
    whole, parts = np.array([4, 1, 2]), np.array([1, 2, 1, 1, 2])
    n_frames = np.add.reduceat(joint, np.cumsum(parts) - parts)
    cut = TokenDurations(joint, (edges_of(joint, parts).astype(np.float64),))
    (found,) = cut.joined(parts, n_frames, whole).edges
    assert found.tolist() == edges_of(joint, whole).tolist()


def test_spreads_of_parts_are_joined_to_those_of_utterances() -> None:
    edges = np.array([0.0, 2, 0, 3, 0, 4.0])  # of three parts with a token each, two of one utterance
    spreads = np.array([0.0, 1.5, 0, 2.5, 0, 3.5])
    found = TokenDurations(np.array([2, 3, 4]), (edges,), (spreads,)).joined(
        np.array([1, 1, 1]), np.array([2, 3, 4]), np.array([2, 1])
    )
    assert found.edges[0].tolist() == [0, 2, 5, 0, 4]
    assert found.spreads[0].tolist() == [0, 0, 2.5, 0, 3.5]


def test_the_spread_of_a_mixture_of_posteriors_is_wide_where_they_disagree() -> None:
    frames = TokenDurations(
        np.array([4, 4]),
        (np.array([0.0, 3.0, 8.0]), np.array([0.0, 5.0, 8.0])),
        (np.array([0.0, 1.0, 0.0]), np.array([0.0, 2.0, 0.0])),
    )
    assert frames.spread_frames() == pytest.approx([0, np.sqrt((1 + 4) / 2 + 1), 0])


@pytest.mark.parametrize("streams", [1, 2])
def test_a_boundary_is_surer_where_the_sounds_differ_more(streams: int) -> None:
    clear, blurred = 300 * emissions_of(VOCABULARY, "aabb"), 3 * emissions_of(VOCABULARY, "aabb")
    tokens = tokens_of(VOCABULARY, transcript_of("ab"))
    spreads = [
        forced_alignment(
            StubEncoder(), Emissions(torch.stack([own] * streams)), features_of(4), tokens
        ).spread_frames()
        for own in (clear, blurred)
    ]
    # Pauses that are not there end where the token before them does: as surely as that.
    assert spreads[0] == pytest.approx([0, 0, 0, 0, 0], abs=1e-3)
    assert spreads[1][2] > 0.3
    assert spreads[1][[0, 1, 3, 4]] == pytest.approx([0, 0, 0, 0])
