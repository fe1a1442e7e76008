"""What the search sees: rows of the matrix are the states that are spoken, in their order."""

import numpy as np
import pytest
import torch
from stub_encoder import StubEncoder, emissions_of, features_of, tokens_of, transcript_of

from aligner.encoders.base import Emissions
from aligner.errors import AlignerError
from aligner.plot import plot_likelihoods
from aligner.search import spoken_likelihoods
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", "a", "b", "c"])


class Said(StubEncoder):
    """An encoder whose emissions are those of a string (`emissions_of`)."""

    def __init__(self, spoken: str) -> None:
        super().__init__()
        self.said = emissions_of(VOCABULARY, spoken)

    def emissions(self, features: object, tokens: object) -> Emissions:
        return Emissions(torch.stack([self.said, 3 * self.said]))


def test_rows_are_what_is_spoken_and_the_path_lies_where_it_is_likely() -> None:
    tokens = tokens_of(VOCABULARY, transcript_of("ab", "c"))
    found = spoken_likelihoods(Said("..aabccc"), features_of(8), tokens, VOCABULARY.symbols)
    assert found.symbols == ("sil", "a", "b", "c")  # of four pauses one is spoken
    assert found.durations.tolist() == [2, 2, 1, 3]
    assert found.token.tolist() == [0, 1, 2, 3]
    assert found.matrix.shape == (4, 8)
    frames = np.repeat(np.arange(4), found.durations)
    assert (found.matrix[frames, np.arange(8)] == 0).all()
    assert (np.sort(found.matrix, axis=0)[:-1] == -10).all()  # the mean of the streams


@pytest.mark.parametrize(("most", "rows"), [(1, 1), (2, 1), (3, 2), (5, 3), (6, 4), (8, 4), (99, 4)])
def test_of_a_long_recording_only_the_frames_asked_for_are_held(most: int, rows: int) -> None:
    tokens = tokens_of(VOCABULARY, transcript_of("ab", "c"))
    whole = spoken_likelihoods(Said("..aabccc"), features_of(8), tokens, VOCABULARY.symbols)
    found = spoken_likelihoods(Said("..aabccc"), features_of(8), tokens, VOCABULARY.symbols, most)
    assert np.array_equal(found.matrix, whole.matrix[:rows, :most])
    assert found.durations.tolist() == whole.durations.tolist()
    title = plot_likelihoods(found, "u1").axes[0].get_title()
    assert title == ("u1" if most >= 8 else f"u1: the first {most} of 8 frames")


def test_more_tokens_than_frames_are_an_error() -> None:
    tokens = tokens_of(VOCABULARY, transcript_of("abc"))
    with pytest.raises(AlignerError, match="u1: 3 tokens in 2 frames"):
        spoken_likelihoods(Said("ab"), features_of(2), tokens, VOCABULARY.symbols)
