"""Utterances with gaps, aligned anew: the words that are said, and a token for speech that the text lacks.

B batch, N packed tokens, R feature streams, F packed frames, M states, V symbols.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from aligner.devices import on_device
from aligner.encoders.base import Emissions, Encoder
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import starts_of
from aligner.search.forced_alignment import TokenDurations, forced_alignment, states_of
from aligner.search.gaps import Gaps
from aligner.text.packed import PackedTokens


def tokens_with_gaps(tokens: PackedTokens, gaps: Mapping[int, Gaps], gap_id: int) -> PackedTokens:
    """The tokens of the utterances that have gaps, without words that are not said.

    Speech that the text lacks is a token that belongs to no word and may not be skipped, between two pauses
    that may. The words that are said are numbered anew.

    Args:
        tokens: N tokens of B utterances.
        gaps: Of some of these, by their place in the batch, in order.
        gap_id: Of that token.
    """
    starts = starts_of(tokens.lengths)
    found: list[tuple[int, bool, int]] = []
    lengths = []
    for row, own in gaps.items():
        utterance = slice(starts[row], starts[row] + tokens.lengths[row])
        ids, words = tokens.token_ids[utterance].tolist(), tokens.words[utterance].tolist()
        n_words = max(words) + 1
        said = [word for word in range(n_words) if word not in own.unsaid]
        extra = {place.before for place in own.places(n_words) if place.extra}
        n_before = len(found)
        for number in range(len(said) + 1):
            found.append((0, True, -1))
            if number in extra:
                found += [(gap_id, False, -1), (0, True, -1)]
            if number < len(said):
                phones = (id for id, word in zip(ids, words, strict=True) if word == said[number])
                found += [(id, False, number) for id in phones]
        lengths.append(len(found) - n_before)
    token_ids, skippable, word_of = (np.array(values) for values in zip(*found, strict=True))
    names = tuple(tokens.ids[row] for row in gaps)
    return PackedTokens(names, token_ids, skippable, word_of, np.array(lengths, np.int64))


def align_with_gaps(
    encoder: Encoder,
    emissions: Emissions,
    features: PackedFeatures,
    tokens: PackedTokens,
    gaps: Mapping[int, Gaps],
    gap_id: int,
) -> tuple[TokenDurations, Tensor]:
    """The frames of each token of the utterances that have gaps.

    A frame of speech that the text lacks is as likely as in its likeliest state, less a price, in every
    stream.

    Args:
        encoder: Whose emissions these are; a context-free one.
        emissions: `[F, M]` for each feature stream.
        features: The packed features of B utterances.
        tokens: Of those that have gaps (`tokens_with_gaps`).
        gaps: Theirs, by their place in the batch, in order.
        gap_id: Of the token for such speech.

    Returns:
        The durations, and the frames of these utterances, counted over the batch.
    """
    own, frames = features.only(list(gaps))
    streams = emissions.streams
    if len(frames) < streams.shape[1]:  # else a copy of all, of a chapter hundreds of megabytes
        streams = streams[:, frames]
    likeliest = streams.mean(0).argmax(1)
    prices = np.repeat([found.price for found in gaps.values()], own.n_frames).astype(np.float32)
    of_gap = streams.gather(2, likeliest[None, :, None].expand(len(streams), -1, 1))
    of_gap -= on_device(prices, of_gap.device)[:, None]
    is_gap = tokens.token_ids == gap_id
    states = states_of(encoder, own, replace(tokens, token_ids=np.where(is_gap, 0, tokens.token_ids)))
    states.states[is_gap[states.token]] = streams.shape[2]
    joined = Emissions(torch.cat([streams, of_gap], 2))
    return forced_alignment(encoder, joined, own, tokens, states=states), frames
