"""Utterances are cut at boundaries that are held, wherever the parts have room for their tokens."""

from dataclasses import replace

import pytest
import torch
from stub_encoder import packed

from aligner.alignment import FrameGrid
from aligner.frontends.packed import PackedFeatures
from aligner.search import HeldBoundaries
from aligner.text.transcript import PAUSE, Tokens

GRID = FrameGrid(160, 16000, "same")  # 10 ms
ONE = Tokens((PAUSE, "a", "b", PAUSE, "c"), (-1, 0, 0, -1, 1), (True, False, False, True, False))


@pytest.mark.parametrize(
    ("held", "tokens", "frames"),
    [
        ({}, [5], [20]),
        ({2: 0.08}, [2, 3], [8, 12]),
        ({2: 0.084}, [2, 3], [8, 12]),
        ({1: 0.02, 2: 0.08, 4: 0.15}, [1, 1, 2, 1], [2, 6, 7, 5]),
        ({3: 0.15, 4: 0.15}, [3, 2], [15, 5]),  # no pause between: its frames are of no part
        ({2: 0.003}, [5], [20]),  # no frame for what stands before
        ({2: 0.19, 4: 0.2}, [5], [20]),  # none for what comes after
        ({2: 0.08, 3: 0.081, 4: 0.12}, [2, 2, 1], [8, 4, 8]),  # none between the first two
    ],
)
def test_parts_have_room_for_their_tokens(
    held: dict[int, float], tokens: list[int], frames: list[int]
) -> None:
    other = Tokens(("a",), (0,), (False,))
    features = PackedFeatures(torch.zeros(27, 1), torch.tensor([3, 20, 4]).numpy())
    cut, parts = HeldBoundaries([{}, held, {}], [(), (), ()]).cut(features, packed(other, ONE, other), GRID)
    assert parts.lengths.tolist() == [1, *tokens, 1]
    assert cut.n_frames.tolist() == [3, *frames, 4]
    assert len(parts.ids) == len(parts.lengths)
    assert (parts.least_frames <= cut.n_frames).all()


def test_a_pause_that_was_seen_is_optional_no_more() -> None:
    features = PackedFeatures(torch.zeros(40, 1), torch.tensor([20, 20]).numpy())
    held = HeldBoundaries([{}, {3: 0.08}], [(), (3,)])
    _, parts = held.cut(features, packed(ONE, ONE), GRID)
    assert parts.skippable.tolist() == [*ONE.skippable, True, False, False, False, False]


def test_every_part_is_spoken_by_the_utterances_speaker() -> None:
    features = PackedFeatures(torch.zeros(40, 1), torch.tensor([20, 20]).numpy())
    tokens = replace(packed(ONE, ONE), speakers=("anna", "ben"))
    _, parts = HeldBoundaries([{}, {2: 0.08}], [(), ()]).cut(features, tokens, GRID)
    assert parts.speakers == ("anna", "ben", "ben")
