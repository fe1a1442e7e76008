"""Mixtures in context: their emissions against the density itself, their start, and windows of long texts."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aligner.encoders import GlowTTSEncoder, glow_tts
from aligner.frontends.packed import PackedFeatures
from aligner.search import forced_alignment
from aligner.text.packed import PackedTokens

NAMES = [*(f"c{i}" for i in range(6)), "mel 0", "mel 1"]
VOCAB = 12


def make(offsets: float = 0.3, **changes: Any) -> GlowTTSEncoder:
    """A small encoder whose mixtures are far apart, in eval mode, with offsets of about this size."""
    torch.manual_seed(0)
    sizes = {"hidden": 16, "layers": 0, "prenet_layers": 2, "gaussians": 2, "streams": (r"c\d+$", "mel")}
    encoder = GlowTTSEncoder(VOCAB, NAMES, **{**sizes, **changes}).eval()
    for stream in encoder.mixtures.streams:
        for mixtures in stream.mixtures:
            mixtures.mean.normal_(0, 2)
            mixtures.variance.uniform_(0.5, 2)
    encoder.start_from_mixtures()
    for stream in encoder.streams:
        torch.nn.init.normal_(stream.project.weight, 0, offsets / 4)
    return encoder


def tokens_of(*texts: list[int]) -> PackedTokens:
    ids = np.array([id for text in texts for id in text])
    lengths = np.array([len(text) for text in texts])
    return PackedTokens(tuple(f"u{i}" for i in range(len(texts))), ids, ids == 0, ids * 0, lengths)


def spoken(
    encoder: GlowTTSEncoder, text: list[int], rng: np.random.Generator, frames: int, middle: bool = False
) -> Tensor:
    """Frames `[S, C]` of a text: up to so many for each state, or for the middle one."""
    states = encoder.states_per_phone
    found = []
    for token in text:
        for part in (states // 2,) if middle else range(states if token else 1):
            n = int(rng.integers(1, frames + 1)) if token else int(rng.integers(0, 20))
            mean = [
                stream.phones.mean[(token - 1) * states + part, 0] if token else stream.pause.mean[0, 0]
                for stream in encoder.mixtures.streams
            ]
            found.append(torch.cat(mean) + torch.randn(n, len(NAMES)) * 1.5)
    return torch.cat(found)


def random_text(n_phones: int, rng: np.random.Generator) -> list[int]:
    text = [0]
    for _ in range(n_phones):
        text += [int(rng.integers(1, VOCAB))] + [0] * int(rng.random() < 0.3)
    return text if text[-1] == 0 else [*text, 0]


def test_emissions_are_the_densities_of_each_texts_own_states() -> None:
    encoder = make(layers=1, filter_channels=16).double()
    tokens = tokens_of([0, 3, 2, 0, 5, 0], [0, 1, 0], [4, 4, 6, 0])
    n_frames, phones = [20, 7, 15], [3, 1, 3]
    features = PackedFeatures(torch.randn(42, len(NAMES)).double(), np.array(n_frames))
    with torch.no_grad():
        emissions, offsets = encoder.emissions(features, tokens), encoder.offsets(tokens, torch.device("cpu"))
    assert emissions.streams.shape == (2, 42, 1 + 9)
    symbols = encoder.symbols(tokens, torch.device("cpu"))
    for stream, mixtures, own, found in zip(
        encoder.streams, encoder.mixtures.streams, offsets, emissions.streams, strict=True
    ):
        state = 0
        for rows, n, own_found in zip(
            features.frames[:, stream.channels].split(n_frames), phones, found.split(n_frames), strict=True
        ):
            pause = mixtures.pause.log_likelihood(rows)[:, 0]
            torch.testing.assert_close(own_found[:, 0], pause)
            for column in range(1, 1 + 3 * n):
                of = torch.full((len(rows),), state)
                density = stream.log_likelihood_of(rows, own, symbols, of)
                torch.testing.assert_close(own_found[:, column], density)
                state += 1
            assert (own_found[:, 1 + 3 * n :] == -math.inf).all()


def test_a_density_is_that_of_torch() -> None:
    encoder = make().double()
    stream = encoder.streams[0]
    frames, offset = torch.randn(5, 6).double(), torch.randn(1, 6).double()
    each = torch.distributions.Independent(
        torch.distributions.Normal(stream.mean[7] + offset[0], stream.log_scale[7].exp()), 1
    )
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=stream.log_weight[7]), each
    )
    found = stream.log_likelihood_of(frames, offset, torch.tensor([7]), torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(found, mixture.log_prob(frames))


def test_without_offsets_it_scores_as_the_mixtures_that_it_started_from() -> None:
    encoder = make(offsets=0.0)
    tokens = tokens_of([0, 3, 2, 0, 5, 0], [1, 11])
    features = PackedFeatures(torch.randn(30, len(NAMES)), np.array([20, 10]))
    with torch.no_grad():
        found, plain = encoder.emissions(features, tokens), encoder.mixtures.emissions(features)
    states, of_mixtures = (e.states(tokens, features.n_frames) for e in (encoder, encoder.mixtures))
    first = [slice(0, 20), slice(20, 30)]
    for rows, utterance in zip(first, ([True, False], [False, True]), strict=True):
        own, theirs = (s.rows(np.array(utterance)).states for s in (states, of_mixtures))
        torch.testing.assert_close(
            found.streams[:, rows][..., own], plain.streams[:, rows][..., theirs], rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("states", [1, 3, 4, 5])
@pytest.mark.parametrize("short", [False, True])
def test_windows_find_what_the_whole_finds(states: int, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there are so few frames that every phone is one state, and a path moves on in every one."""
    encoder, rng = make(states=states), np.random.default_rng(states)
    texts = [random_text(n, rng) for n in (300 // states, 2, 600 // states)]
    frames = [spoken(encoder, text, rng, 1 if short else 4, middle=short) for text in texts]
    tokens, features = tokens_of(*texts), PackedFeatures.pack(frames)
    found = []
    for most in (150, 100_000):
        monkeypatch.setattr(glow_tts, "MOST_COLUMNS", most)
        with torch.no_grad():
            emissions = encoder.emissions(features, tokens)
        assert emissions.streams.shape[2] <= 1 + most
        found.append(forced_alignment(encoder, emissions, features, tokens))
    windowed, whole = found
    assert np.array_equal(windowed.joint, whole.joint)
    if short:  # of paths that are all nearly as good, more than fit a window have a part in the mean
        return
    for own, other in zip(windowed.edges, whole.edges, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-2)


def test_no_path_leaves_its_window_even_where_the_text_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """States p and p + 30 have one column and one phone: a path that is a period off would score as well."""
    monkeypatch.setattr(glow_tts, "MOST_COLUMNS", 30)
    encoder, rng = make(offsets=0.0), np.random.default_rng(0)
    text = [0, *range(1, 11)] * 8 + [0]
    # Of the second half of the text alone, so that a path would like to be elsewhere than it may.
    frames = torch.cat([spoken(encoder, text[44:], rng, 6), torch.randn(40, len(NAMES))])
    tokens, features = tokens_of(text), PackedFeatures.pack([frames])
    with torch.no_grad():
        emissions = encoder.emissions(features, tokens)
    found = forced_alignment(encoder, emissions, features, tokens).joint
    assert found.sum() == len(frames)
    place = np.repeat(np.cumsum(tokens.is_phone) - 1, found)  # the phone of each frame
    blocks = encoder._blocks(features, tokens)
    allowed = blocks.states.repeat_interleave(torch.from_numpy(blocks.n_frames), 0).numpy() // 3
    is_phone = np.repeat(tokens.is_phone, found)
    assert all(phone in row for phone, row in zip(place[is_phone], allowed[is_phone], strict=True))


def test_columns_of_no_state_stay_closed_in_surplus_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a path could leave its window there, at a price."""
    monkeypatch.setattr(glow_tts, "MOST_COLUMNS", 30)
    encoder, rng = make(), np.random.default_rng(0)
    text = random_text(40, rng)
    frames = spoken(encoder, text, rng, 6)
    frames[50:70] = 0
    tokens, features = tokens_of(text), PackedFeatures.pack([frames])
    assert features.surplus[50:70].all()
    with torch.no_grad():
        streams = encoder.emissions(features, tokens).streams
    blocks = encoder._blocks(features, tokens)
    closed = (blocks.states < 0).repeat_interleave(torch.from_numpy(blocks.n_frames), 0)
    assert closed.any(1).all()
    assert torch.equal(streams[:, :, 1:] == -math.inf, closed.expand(len(streams), -1, -1))
    assert (streams[:, 50:70, 0] == 0).all()


def test_one_speaker_has_no_vector() -> None:
    encoder = make()
    before = encoder.configuration(), set(encoder.state_dict())
    encoder.meet(["anna"])
    assert (encoder.configuration(), set(encoder.state_dict())) == before
    encoder = make(speakers=[])
    encoder.meet(["anna", "ben"])
    assert encoder.speaker_vectors is None


def test_the_vectors_of_speakers_move_their_own_sentences() -> None:
    encoder = make()
    tokens = tokens_of([0, 3, 2, 0, 5, 0], [0, 1, 0], [4, 4, 6, 0])
    here = torch.device("cpu")
    encoder.meet(["anna", "ben"])
    assert encoder.configuration()["init_args"]["speakers"] == ["anna", "ben"]
    assert encoder.speaker_vectors is not None
    torch.nn.init.normal_(encoder.speaker_vectors.vectors)
    with torch.no_grad():
        nobody = encoder.offsets(tokens, here)
        named = encoder.offsets(replace(tokens, speakers=("ben", "", "carl")), here)
        other = encoder.offsets(replace(tokens, speakers=("anna", "", "")), here)
    for a, b, c in zip(nobody, named, other, strict=True):
        assert torch.equal(a[9:], b[9:])  # of the last two sentences
        assert torch.equal(a[9:], c[9:])
        assert all((own[:9] - rest[:9]).abs().max() > 0.01 for own, rest in ((a, b), (b, c), (a, c)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 15}, "multiple of heads"),
        ({"gaussians": 0}, "gaussians"),
        ({"states": 0}, "states"),
        ({"states": 200}, "at most 127"),
        ({"pause_factor": 0}, "pause_factor"),
    ],
)
def test_wrong_sizes_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)
