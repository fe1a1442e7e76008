"""Words in all their pronunciations, as states."""

import numpy as np
import pytest
from stub_encoder import StubEncoder, transcript_of

from aligner.search.word_states import WordStates, word_states
from aligner.text.packed import PackedTexts
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", *"abcdef"])


@pytest.fixture
def parts() -> list[WordStates]:
    """Of "ab|b" "c" "d", the first two words; of "e" "fa|f|a", both."""
    texts = PackedTexts.of(
        VOCABULARY, ["u1", "u2"], [transcript_of("ab|b", "c", "d"), transcript_of("e", "fa|f|a")]
    )
    slots, n_words = np.array([0, 1, 4, 5]), np.array([2, 2])
    return word_states(StubEncoder(states=2), texts, slots, n_words, np.zeros(2, bool))


def test_a_part_has_its_words_in_all_pronunciations(parts: list[WordStates]) -> None:
    first, second = parts
    assert first.states.tolist() == [1, 2, 3, 4, 3, 4, 5, 6]
    assert first.first.tolist() == [0, 4, 6, 8]
    assert first.variants.tolist() == [0, 2, 3]
    assert first.phones.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [first.pronunciation(variant) for variant in range(3)] == [(1, 2), (2,), (3,)]
    assert len(second) == 2
    assert [second.pronunciation(variant) for variant in range(4)] == [(5,), (6, 1), (6,), (1,)]


def test_a_part_of_a_part_is_counted_anew(parts: list[WordStates]) -> None:
    own = parts[1].part(1, 2)
    assert own.states.tolist() == [11, 12, 1, 2, 11, 12, 1, 2]
    assert own.first.tolist() == [0, 4, 6, 8]
    assert own.variants.tolist() == [0, 3]
    assert own.phones.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert own.pronunciation(0) == (6, 1)
    assert len(parts[0].part(1, 1)) == 0


def test_backwards_is_the_last_word_first_and_its_last_state(parts: list[WordStates]) -> None:
    own = parts[0].backwards()
    assert own.states.tolist() == [6, 5, 4, 3, 4, 3, 2, 1]
    assert own.first.tolist() == [0, 2, 4, 8]
    assert own.variants.tolist() == [0, 1, 3]
