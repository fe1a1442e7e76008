"""Which of a word's pronunciations was spoken: the likeliest, between the words beside it.

Where a lexicon gives probabilities, their logarithm is added to the log-likelihood.

B utterances, L slots (see `text.packed`), F packed frames, M states.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.encoders.base import Encoder
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, first_largest, ranges, rows_of, starts_of
from aligner.search.forced_alignment import align_states, states_of, token_durations
from aligner.search.viterbi import best_paths
from aligner.text.packed import PackedTexts, PackedTokens

_ROUNDS = 2  # a word's pronunciation depends on its neighbours'; a third round changes next to nothing


def choose_pronunciations(
    encoder: Encoder, emissions: Tensor, features: PackedFeatures, texts: PackedTexts
) -> Indices:
    """The likeliest pronunciation of each word, `[L]`; on equal scores the earlier one.

    Args:
        encoder: Whose emissions these are; a context-free one (`Encoder.without_context`).
        emissions: `[F, M]`, the joint ones.
        features: The packed features of the utterances.
        texts: Their words with all pronunciations.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    choice = texts.fitting(features.n_frames)
    for _ in range(_ROUNDS):
        before = choice
        choice = rechoose(encoder, emissions, features, texts, before)
        if np.array_equal(choice, before):
            break
    return choice


def rechoose(
    encoder: Encoder, emissions: Tensor, features: PackedFeatures, texts: PackedTexts, choice: Indices
) -> Indices:
    """One round: every pronunciation of a word is aligned again to the frames that the word and the words on
    either side have now.

    Args:
        encoder: Whose emissions these are.
        emissions: `[F, M]`, the joint ones.
        features: The packed features of the utterances.
        texts: Their words with all pronunciations.
        choice: The present one, `[L]`.
    """
    if (texts.slot_variants == 1).all():
        return choice
    tokens = texts.tokens(choice)
    states = states_of(encoder, features, tokens)
    (durations,) = token_durations(align_states(emissions[None], features, states), states)
    candidates = _candidates(texts, choice, durations)
    states = encoder.states(candidates.tokens, candidates.lengths)
    fits = states.least_frames <= candidates.lengths
    lengths = candidates.lengths[fits]
    paths = best_paths(emissions, candidates.starts[fits], lengths, states.rows(fits))
    totals = paths.totals().cpu().numpy() + candidates.log_priors[fits]
    slots, n_candidates = np.unique(candidates.slots[fits], return_counts=True)
    found = choice.copy()
    found[slots] = candidates.variants[fits][first_largest(totals, n_candidates)]
    # Of neighbouring words each may have grown as far as the frames of both allow: then none may.
    fits = texts.tokens(found).least_frames <= features.n_frames
    return np.where(np.repeat(fits, texts.text_slots), found, choice)


@dataclass(frozen=True)
class _Candidates:
    """Every pronunciation of each word that has several, with the present ones of the words on either side.

    Args:
        slots: `[n]`, the slot of each.
        variants: `[n]`, the index of each pronunciation in its slot.
        starts: `[n]`, the first frame of these words now, counted over the batch.
        lengths: `[n]`, the frames of these words.
        log_priors: `[n]`, of each pronunciation.
        tokens: Of these words, and of the pauses around them.
    """

    slots: Indices
    variants: Indices
    starts: Indices
    lengths: Indices
    log_priors: NDArray[np.float64]
    tokens: PackedTokens


def _candidates(texts: PackedTexts, choice: Indices, durations: Indices) -> _Candidates:
    """The candidates for a batch whose tokens, by the present choice, have these durations."""
    first_variant = starts_of(texts.slot_variants)
    present = first_variant + choice
    # The words with several pronunciations, and those on either side; the pause at the end is no word.
    first_slot = starts_of(texts.text_slots)
    text = rows_of(texts.text_slots)
    slot = np.flatnonzero(texts.slot_variants > 1)
    left = np.maximum(slot - 1, first_slot[text[slot]])
    right = np.minimum(slot + 1, (first_slot + texts.text_slots)[text[slot]] - 2)
    # Their frames, from the end of the pause before the first to the beginning of that after the last.
    edge = np.concatenate([[0], np.cumsum(durations)])
    pause = starts_of(texts.variant_tokens[present])
    start, end = edge[pause[left] + 1], edge[pause[right + 1]]
    # A candidate is made of the slots from left to right and of the pause that the next slot begins with.
    own = rows_of(texts.slot_variants[slot])
    variant = ranges(np.zeros_like(slot), texts.slot_variants[slot])
    n_slots = (right - left + 2)[own]
    slots = ranges(left[own], n_slots)
    is_own = slots == np.repeat(slot[own], n_slots)
    variants = np.where(is_own, first_variant[slots] + np.repeat(variant, n_slots), present[slots])
    n_tokens = texts.variant_tokens[variants]
    n_tokens[np.cumsum(n_slots) - 1] = 1
    tokens = texts.spoken(("",) * len(own), variants, n_tokens, n_slots)
    log_priors = texts.log_priors[first_variant[slot[own]] + variant]
    return _Candidates(slot[own], variant, start[own], (end - start)[own], log_priors, tokens)
