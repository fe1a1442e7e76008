"""Phone mixtures: states of tokens, feature streams, posteriors of symbols, checkpoints.

F packed frames, C channels, M states, V symbols.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from aligner.encoders import PhoneMixtures
from aligner.encoders.base import Emissions, Encoder
from aligner.encoders.phone_mixtures import StreamMixtures
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.instantiate import instantiate
from aligner.text.packed import PackedTokens

NAMES = ("mel0", "mel1", "mel2", "c0", "c1")  # of the channels
STREAMS = (r"^mel", r"^c\d$")
VOCAB = 4


def streams_of(encoder: PhoneMixtures) -> list[StreamMixtures]:
    return [stream for stream in encoder.streams if isinstance(stream, StreamMixtures)]


def make(states: int = 3, gaussians: int = 2) -> PhoneMixtures:
    """An encoder with random mixtures."""
    encoder = PhoneMixtures(VOCAB, NAMES, STREAMS, states, pause_factor=2)
    generator = torch.Generator().manual_seed(0)
    for stream in streams_of(encoder):
        stream.split(gaussians)
        for mixtures in stream.mixtures:
            mixtures.mean.copy_(torch.randn(mixtures.mean.shape, generator=generator))
            mixtures.variance.copy_(0.5 + torch.rand(mixtures.variance.shape, generator=generator))
    return encoder


def tokens_of(*rows: list[int]) -> PackedTokens:
    """Tokens with these indices; pauses may be skipped."""
    ids = np.concatenate(rows)
    lengths = np.array([len(row) for row in rows])
    return PackedTokens(("",) * len(rows), ids, ids == 0, np.zeros_like(ids), lengths)


def features(seed: int = 1) -> PackedFeatures:
    generator = torch.Generator().manual_seed(seed)
    return PackedFeatures.pack([torch.randn(length, len(NAMES), generator=generator) for length in (7, 5)])


@pytest.mark.parametrize("n_frames", [8, 100])  # as many frames as states, and more
def test_a_pause_has_one_state_and_a_phone_three(n_frames: int) -> None:
    found = make().states(tokens_of([0, 2, 1, 0]), np.array([n_frames]))
    assert found.states.tolist() == [0, 4, 5, 6, 1, 2, 3, 0]
    assert found.token.tolist() == [0, 1, 1, 1, 2, 2, 2, 3]
    assert found.skippable.tolist() == [True, *[False] * 6, True]


@pytest.mark.parametrize(("states", "middle"), [(3, 1), (5, 2), (1, 0), (2, 1)])
def test_phones_of_a_short_utterance_have_their_middle_state(states: int, middle: int) -> None:
    found = make(states).states(tokens_of([0, 2, 1, 0]), np.array([2 + 2 * states - 1]))
    assert found.states.tolist() == [0, 1 + states + middle, 1 + middle, 0]
    assert found.token.tolist() == [0, 1, 2, 3]


def test_each_utterance_of_a_batch_has_its_own_states() -> None:
    """The second is short; tokens are counted over the batch."""
    found = make().states(tokens_of([0, 2], [1, 0], [3]), np.array([4, 3, 3]))
    assert found.states.tolist() == [0, 4, 5, 6, 2, 0, 7, 8, 9]
    assert found.token.tolist() == [0, 1, 1, 1, 2, 3, 4, 4, 4]
    assert found.lengths.tolist() == [4, 2, 3]
    assert found.least_frames.tolist() == [3, 1, 3]
    assert found.rows(np.array([True, False, True])).states.tolist() == [0, 4, 5, 6, 7, 8, 9]


def test_emissions_have_a_column_for_every_state() -> None:
    encoder = make()
    found = encoder.emissions(features())
    assert [stream.shape for stream in found.streams] == [(12, 1 + 3 * 3)] * 2
    pause, phones = streams_of(encoder)[0].mixtures
    own = features().frames[:, :3]
    assert torch.equal(found.streams[0][:, :1], pause.log_likelihood(own))
    assert torch.equal(found.streams[0][:, 1:], phones.log_likelihood(own))


@pytest.mark.parametrize("stream", [0, 1])
def test_emissions_of_a_stream_see_its_own_channels_alone(stream: int) -> None:
    encoder, plain, changed = make(), features(), features()
    for channel, name in enumerate(NAMES):
        if re.search(STREAMS[stream], name):
            changed.frames[:, channel] += 1
    before, after = encoder.emissions(plain), encoder.emissions(changed)
    assert torch.equal(before.streams[1 - stream], after.streams[1 - stream])
    assert (before.streams[stream] != after.streams[stream]).all()


def test_joint_emissions_are_the_mean_of_the_streams() -> None:
    one, two, three = torch.tensor([[1.0, -2.0]]), torch.tensor([[2.0, -4.0]]), torch.tensor([[6.0, 0.0]])
    assert torch.equal(Emissions(torch.stack([one, two, three])).joint, torch.tensor([[3.0, -2.0]]))
    assert Emissions(two[None]).joint.data_ptr() == two.data_ptr()


def test_statistics_go_to_the_state_that_was_spoken() -> None:
    encoder, packed = make(gaussians=1), features()
    states = torch.tensor([0, 0, 1, 1, 1, 2, 3, 9, 9, 0, 4, 4])
    for stream in streams_of(encoder):
        stream.accumulate(packed.frames, states)
        pause, phones = stream.mixtures
        assert pause.occupancy.flatten().tolist() == [3]
        assert phones.occupancy.flatten().tolist() == [3, 1, 1, 2, 0, 0, 0, 0, 2]
        own = packed.frames[:, stream.channels].double()
        torch.testing.assert_close(pause.sum[0, 0], own[states == 0].sum(0), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(phones.sum[8, 0], own[states == 9].sum(0), rtol=1e-6, atol=1e-6)


def test_an_update_reaches_all_mixtures() -> None:
    encoder, packed = make(gaussians=1), features()
    for stream in streams_of(encoder):
        for state in range(10):
            stream.accumulate(packed.frames + state, torch.full((12,), state))
        stream.update(1e-3)
        mean = torch.cat([mixtures.mean[:, 0] for mixtures in stream.mixtures])
        expected = packed.frames[:, stream.channels].mean(0) + torch.arange(10)[:, None]
        torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-5)


def test_a_pause_has_more_gaussians_once_phones_have_several() -> None:
    encoder = PhoneMixtures(VOCAB, NAMES, STREAMS, pause_factor=3)
    for asked, (pause, phone) in ((1, (1, 1)), (2, (6, 2)), (4, (12, 4))):
        for stream in streams_of(encoder):
            stream.split(asked)
            assert [mixtures.gaussians for mixtures in stream.mixtures] == [pause, phone]


def test_log_posteriors_sum_to_one_and_add_up_a_phones_states() -> None:
    encoder = make()
    emissions = encoder.emissions(features())
    found = encoder.log_posteriors(features(), emissions)
    assert found.shape == (12, VOCAB)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(12))
    states = emissions.joint.softmax(1)
    torch.testing.assert_close(found[:, 0].exp(), states[:, 0])
    for phone in range(1, VOCAB):
        own = states[:, 1 + (phone - 1) * 3 : 1 + phone * 3]
        torch.testing.assert_close(found[:, phone].exp(), own.sum(1))


def test_a_stream_without_channels_is_refused() -> None:
    with pytest.raises(
        AlignerError,
        match=r"streams: 'pitch' matches none of the frontend's channels .mel0, mel1, mel2, c0, c1",
    ):
        PhoneMixtures(VOCAB, NAMES, ("^mel", "pitch"))


def test_the_default_streams_fit_the_usual_channel_names() -> None:
    names = [f"{delta}{name}" for delta in ("", "delta ") for name in ("mel0", "mel1", "c0", "c7", "c12")]
    encoder = PhoneMixtures(VOCAB, names)
    chosen = [[names[i] for i in stream.channels] for stream in streams_of(encoder)]
    cepstra = [name for name in names if "mel" not in name]
    assert chosen[0] == cepstra
    assert chosen[1] == [name for name in cepstra if "c12" not in name]
    assert chosen[2] == [name for name in cepstra if name.endswith("c0")]
    assert chosen[3] == [name for name in names if "mel" in name]


def test_a_checkpoint_makes_the_same_encoder_again(tmp_path: Path) -> None:
    encoder = make(states=2, gaussians=3)
    torch.save({"made": encoder.configuration(), "learnt": encoder.state_dict()}, tmp_path / "encoder.ckpt")
    content = torch.load(tmp_path / "encoder.ckpt", weights_only=True)
    assert content["made"]["class_path"] == "aligner.encoders.PhoneMixtures"
    again = instantiate(content["made"], Encoder)
    assert isinstance(again, PhoneMixtures)
    again.load_state_dict(content["learnt"])
    for one, two in zip(
        encoder.emissions(features()).streams, again.emissions(features()).streams, strict=True
    ):
        assert torch.equal(one, two)
    tokens, n_frames = tokens_of([0, 3]), np.array([9])
    assert again.states(tokens, n_frames).states.tolist() == encoder.states(tokens, n_frames).states.tolist()
    stream = streams_of(again)[0]
    stream.split(4)  # training can go on from here
    assert [mixtures.gaussians for mixtures in stream.mixtures] == [8, 4]
