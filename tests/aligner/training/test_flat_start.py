"""The flat start on recordings whose quiet edges are known.

N samples, S speech frames.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from aligner.encoders import PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.training.flat_start import flat_states

RATE_HZ = 16000
FRAME_SAMPLES = 160


def recording(*parts: tuple[int, float]) -> tuple[Tensor, int]:
    """A tone in parts of so many frames and so loud; the audio `[N]` and S."""
    frames = torch.tensor([n for n, _ in parts])
    level = torch.tensor([level for _, level in parts]).repeat_interleave(frames * FRAME_SAMPLES)
    tone = torch.sin(2 * torch.pi * 1000 / RATE_HZ * torch.arange(len(level)))
    return tone * level, int(frames.sum())


def counts(states: Tensor) -> list[tuple[int, int]]:
    """Each run of equal states with its length."""
    return [(state, len(list(run))) for state, run in itertools.groupby(states.tolist())]


def packed(*rows: list[int] | list[bool]) -> PackedStates:
    """The states of utterances, each given as its states and which of them are optional."""
    states, optional = rows[::2], rows[1::2]
    n_states = np.array([len(own) for own in states])
    return PackedStates(np.concatenate(states), np.concatenate(optional), np.arange(n_states.sum()), n_states)


def frames_of(surplus: Tensor) -> PackedFeatures:
    """Features of one utterance, zero in the frames of surplus silence, bool `[S]`."""
    return PackedFeatures.pack([(~surplus)[:, None].float()])


def frames(*n_frames: int) -> PackedFeatures:
    """Features of utterances without surplus silence."""
    return PackedFeatures.pack([torch.ones(n, 1) for n in n_frames])


def lengths(*audio: Tensor) -> Tensor:
    return torch.tensor([len(own) for own in audio])


def flat(
    audio: Tensor, n_frames: int, states: list[int], skippable: list[bool] | None = None
) -> list[tuple[int, int]]:
    optional = [state == 0 for state in states] if skippable is None else skippable
    found = flat_states(packed(states, optional), frames(n_frames), audio[None], lengths(audio), RATE_HZ)
    assert found.shape == (n_frames,)
    assert found.dtype == torch.int64
    return counts(found)


def test_quiet_edges_are_pauses_and_the_rest_is_shared_evenly() -> None:
    audio, n_frames = recording((20, 1e-4), (60, 0.3), (15, 1e-4))
    (first, *spoken, last) = flat(audio, n_frames, [0, 4, 5, 6, 0])
    assert first == (0, pytest.approx(20, abs=1))
    assert last == (0, pytest.approx(15, abs=1))
    assert [state for state, _ in spoken] == [4, 5, 6]
    lengths = [length for _, length in spoken]
    assert max(lengths) - min(lengths) <= 1
    assert sum(lengths) == n_frames - first[1] - last[1]


def test_edges_are_found_to_a_frame() -> None:
    for lead, tail in itertools.product((3, 10, 25), (4, 12, 20)):
        audio, n_frames = recording((lead, 1e-4), (60, 0.3), (tail, 1e-4))
        found = flat(audio, n_frames, [0, 1, 0])
        assert found[0] == (0, pytest.approx(lead, abs=1))
        assert found[-1] == (0, pytest.approx(tail, abs=1))


def test_an_edge_takes_at_most_a_third() -> None:
    audio, n_frames = recording((60, 1e-4), (20, 0.3), (10, 1e-4))
    assert flat(audio, n_frames, [0, 1, 0])[0] == (0, 90 // 3)
    audio, n_frames = recording((10, 1e-4), (20, 0.3), (60, 1e-4))
    assert flat(audio, n_frames, [0, 1, 0])[-1] == (0, 90 // 3)
    audio, n_frames = recording((40, 1e-4), (10, 0.3), (40, 1e-4))
    assert flat(audio, n_frames, [0, 1, 0]) == [(0, 30), (1, 30), (0, 30)]


def test_quiet_edges_of_a_text_without_pauses_there_are_spoken() -> None:
    audio, n_frames = recording((20, 1e-4), (40, 0.3), (20, 1e-4))
    assert flat(audio, n_frames, [1, 2, 3]) == [(1, 27), (2, 27), (3, 26)]
    first, *_, last = flat(audio, n_frames, [0, 1, 2])
    assert first == (0, pytest.approx(20, abs=1))
    assert last[0] == 2
    first, *_, last = flat(audio, n_frames, [1, 2, 0])
    assert first[0] == 1
    assert last == (0, pytest.approx(20, abs=1))


def test_pauses_inside_get_no_frames_unless_they_must() -> None:
    audio, n_frames = recording((60, 0.3), (40, 1e-4), (60, 0.3))  # quiet, but no edge
    assert flat(audio, n_frames, [0, 1, 0, 2, 0]) == [(1, 80), (2, 80)]
    own = flat(audio, n_frames, [1, 0, 2], [False] * 3)
    assert own == [(1, 54), (0, 53), (2, 53)]


def test_evenly_means_to_a_frame_and_in_order() -> None:
    audio, n_frames = recording((100, 0.3))
    states = list(range(1, 13))
    found = flat(audio, n_frames, states)
    assert [state for state, _ in found] == states
    assert {length for _, length in found} == {8, 9}


def test_an_utterance_too_short_for_its_edges_ignores_them() -> None:
    audio, n_frames = recording((10, 1e-4), (10, 0.3), (10, 1e-4))
    edges = flat(audio, n_frames, [0, *range(1, 11), 0])
    assert edges[0][0] == edges[-1][0] == 0
    states = list(range(1, 16))
    found = flat(audio, n_frames, [0, *states, 0])
    assert [state for state, _ in found] == states
    assert sum(length for _, length in found) == 30
    assert {length for _, length in found} == {2}


def test_edges_stay_while_the_rest_has_a_frame_for_each_state() -> None:
    audio, n_frames = recording((10, 1e-4), (10, 0.3), (10, 1e-4))
    lead, (_, between), tail = flat(audio, n_frames, [0, 1, 0])
    states = list(range(1, between + 1))
    assert flat(audio, n_frames, [0, *states, 0]) == [lead, *((state, 1) for state in states), tail]
    states.append(between + 1)
    assert flat(audio, n_frames, [0, *states, 0])[0][0] == 1


def test_as_many_states_as_frames_get_one_each() -> None:
    audio, n_frames = recording((3, 1e-4), (7, 0.3))
    states = list(range(1, 11))
    assert flat(audio, n_frames, [0, *states]) == [(state, 1) for state in states]


@pytest.mark.parametrize("n_frames", [40, 81, 160])
def test_frames_of_any_length_find_the_same_edges(n_frames: int) -> None:
    audio, _ = recording((20, 1e-4), (40, 0.3), (20, 1e-4))
    found = flat(audio, n_frames, [0, 1, 0])
    assert found[0] == (0, pytest.approx(n_frames / 4, abs=2))
    assert found[-1] == (0, pytest.approx(n_frames / 4, abs=2))


def test_a_batch_starts_as_its_utterances_one_by_one() -> None:
    """Frames of surplus silence are a pause, and the rest is as if they were not there."""
    recordings = [
        recording((20, 1e-4), (60, 0.3), (15, 1e-4)),
        recording((3, 1e-4), (7, 0.3)),
        recording((60, 0.3), (40, 1e-4), (60, 0.3)),
    ]
    texts: list[tuple[list[int], list[bool]]] = [
        ([0, 4, 5, 6, 0], [True, False, False, False, True]),
        ([0, *range(1, 11)], [True, *[False] * 10]),
        ([1, 0, 2], [False] * 3),
    ]
    alone = [
        flat_states(packed(*text), frames(n), audio[None], lengths(audio), RATE_HZ)
        for (audio, n), text in zip(recordings, texts, strict=True)
    ]
    padded = torch.full((3, 160 * FRAME_SAMPLES), 0.1)
    for row, (audio, _) in zip(padded, recordings, strict=True):
        row[: len(audio)] = audio
    states = packed(*(part for text in texts for part in text))
    features = frames(*(n for _, n in recordings))
    together = flat_states(states, features, padded, lengths(*(audio for audio, _ in recordings)), RATE_HZ)
    assert together.tolist() == torch.cat(alone).tolist()

    features.frames[10:15] = 0  # five of the twenty quiet frames
    features = replace(features)
    without = flat_states(states, features, padded, lengths(*(audio for audio, _ in recordings)), RATE_HZ)
    assert without.tolist() == together.tolist()
    features.frames[40:60] = 0  # now in the middle of the sound
    features = replace(features)
    without = flat_states(states, features, padded, lengths(*(audio for audio, _ in recordings)), RATE_HZ)
    assert not without[40:60].any()
    spoken = without[:95][(without[:95] > 0)]
    lengths_found = torch.bincount(spoken)[4:].tolist()
    assert max(lengths_found) - min(lengths_found) <= 1
    assert without[95:].tolist() == together[95:].tolist()


def test_surplus_silence_is_a_pause_wherever_it_is_and_changes_nothing_else() -> None:
    audio, n_frames = recording((10, 1e-4), (30, 0.3), (30, 0.2), (10, 1e-4))
    states = packed([0, 4, 5, 0], [True, False, False, True])
    plain = flat_states(states, frames(n_frames), audio[None], lengths(audio), RATE_HZ)
    for places in ([0], [n_frames], [40], [0, 40, n_frames]):
        longer, surplus, expected, at = [], [], [], 0
        for place in [*places, n_frames]:
            own = place - at
            longer.append(audio[at * FRAME_SAMPLES : place * FRAME_SAMPLES])
            surplus += [False] * own
            expected += plain[at:place].tolist()
            at = place
            if len(longer) <= 2 * len(places) - 1 or not places:
                longer.append(torch.zeros(500 * FRAME_SAMPLES))
                surplus += [True] * 500
                expected += [0] * 500
        sound, features = torch.cat(longer), frames_of(torch.tensor(surplus))
        found = flat_states(states, features, sound[None], lengths(sound), RATE_HZ)
        differing = (found != torch.tensor(expected)).sum()
        assert differing <= 4 * len(places), places  # the window of loudness reaches over the seams


def test_an_utterance_of_nothing_but_surplus_is_shared_all_the_same() -> None:
    audio, n_frames = recording((30, 1e-4))
    states, features = (
        packed([0, 1, 2, 0], [True, False, False, True]),
        frames_of(torch.ones(n_frames).bool()),
    )
    found = flat_states(states, features, audio[None], lengths(audio), RATE_HZ)
    assert set(found.tolist()) >= {1, 2}
