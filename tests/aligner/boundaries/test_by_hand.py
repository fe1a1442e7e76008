"""Boundaries that a person set stay exactly where he put them, and the others in order between them."""

import numpy as np
import pytest
from stub_encoder import packed

from aligner.boundaries import hold
from aligner.search import HeldBoundaries
from aligner.text.transcript import PAUSE, Tokens

TOKENS = packed(
    Tokens(
        (PAUSE, "a", "b", PAUSE, "c", PAUSE), (-1, 0, 0, -1, 1, -1), (True, False, False, True, False, True)
    )
)
FOUND_S = np.array([0.0, 0.1, 0.2, 0.3, 0.3, 0.5, 0.6])


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({}, FOUND_S),
        ({2: 0.22}, [0, 0.1, 0.22, 0.3, 0.3, 0.5, 0.6]),
        ({2: 0.4}, [0, 0.1, 0.4, 0.405, 0.405, 0.5, 0.6]),  # pushes the next ones; the pause stays none
        ({2: 0.05}, [0, 0.045, 0.05, 0.3, 0.3, 0.5, 0.6]),
        ({1: 0.1, 3: 0.104, 4: 0.104}, [0, 0.1, 0.102, 0.104, 0.104, 0.5, 0.6]),  # no room for 5 ms each
        ({5: 0.6}, [0, 0.1, 0.2, 0.3, 0.3, 0.6, 0.6]),
    ],
)
def test_held_boundaries_are_exactly_there(held: dict[int, float], expected: list[float]) -> None:
    boundaries_s = hold(HeldBoundaries([held], [()]), TOKENS, FOUND_S)
    assert boundaries_s == pytest.approx(np.array(expected), abs=1e-12)
    assert all(boundaries_s[place] == time_s for place, time_s in held.items())
    assert (np.diff(boundaries_s) >= 0).all()


def test_other_utterances_of_the_batch_stay_as_they_are() -> None:
    three = packed(*(Tokens(("a", "b"), (0, 0), (False, False)) for _ in range(3)))
    found_s = np.tile([0.0, 0.2, 0.5], 3)
    boundaries_s = hold(HeldBoundaries([{}, {1: 0.3}, {}], [(), (), ()]), three, found_s)
    assert boundaries_s.tolist() == [0, 0.2, 0.5, 0, 0.3, 0.5, 0, 0.2, 0.5]
