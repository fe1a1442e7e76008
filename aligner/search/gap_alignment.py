"""Utterances with gaps, aligned anew around these: the words that are said, and a token for speech that the
text lacks. Further away they stay as they were.

B batch, N packed tokens, P stretches that are aligned anew, R feature streams, F packed frames, M states.
Junction j is the place before word j; there an optional pause stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aligner.devices import on_device
from aligner.encoders.base import Emissions, Encoder
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, ranges, starts_of, sums_of
from aligner.search.forced_alignment import TokenDurations, forced_alignment, states_of
from aligner.search.gaps import Gaps
from aligner.text.packed import PackedTokens

# How far beyond the words around gaps a stretch may end: in the longest pause there, if there
# is any. Frames are 10 ms: some breaths.
_REACH_FRAMES = 600
_LONG_FRAMES = 20  # of a shorter one both ends depend on what is on its other side


class Stretch(NamedTuple):
    """A part of an utterance that is aligned anew, from within one pause to within another.

    Such a pause may have no frame: then the stretch begins or ends between two words.

    Args:
        first_word: By its index in the utterance.
        end_word: One after the last.
        first_token: The pause that it begins in, counted over the batch.
        end_token: One after the pause that it ends in.
        first_frame: Counted over the batch.
        end_frame: One after the last.
    """

    first_word: int
    end_word: int
    first_token: int
    end_token: int
    first_frame: int
    end_frame: int


def stretches_around(
    gaps: Mapping[int, Gaps], tokens: PackedTokens, durations: TokenDurations
) -> dict[int, list[Stretch]]:
    """What is aligned anew of each utterance with gaps, by its place in the batch, in order.

    Args:
        gaps: Of these utterances, by their place in the batch, in order.
        tokens: N tokens of B utterances, as if all of it were said.
        durations: Theirs.
    """
    first_token = starts_of(tokens.lengths)
    end_frame = np.cumsum(durations.joint)
    spread = durations.spread_frames()
    found = {}
    for row, own in gaps.items():
        first, end = int(first_token[row]), int(first_token[row] + tokens.lengths[row])
        pauses = first + np.flatnonzero(tokens.words[first:end] < 0)
        lengths = durations.joint[pauses]
        starts = end_frame[pauses] - lengths
        cuts = starts + lengths // 2
        cuts[0], cuts[-1] = starts[0], end_frame[end - 1]
        # A long pause; without one, a boundary that is sure.
        merit = np.where(lengths >= _LONG_FRAMES, lengths, 0) - spread[pauses + row]
        last = len(cuts) - 1
        words = _merged(
            (
                last - _cut(last - first_word, merit[::-1], cuts[-1] - cuts[::-1]),
                _cut(end_word, merit, cuts),
            )
            for first_word, end_word in own.around
        )
        found[row] = [
            Stretch(a, b, int(pauses[a]), int(pauses[b]) + 1, int(cuts[a]), int(cuts[b])) for a, b in words
        ]
    return found


def _cut(junction: int, merit: NDArray[np.float64], frames: Indices) -> int:
    """The best junction after one, near it; the last one if that is near.

    Args:
        junction: After which it is.
        merit: Of all junctions of the utterance.
        frames: Theirs.
    """
    last = len(frames) - 1
    nearby = int(np.searchsorted(frames, frames[junction] + _REACH_FRAMES, "right")) - 1
    if junction == last or nearby == last:
        return last
    first = junction + 1
    return first + int(merit[first : max(nearby, first) + 1].argmax())


def _merged(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans in order, those that meet as one."""
    first, end = None, 0
    for a, b in sorted(spans):
        if first is None or a > end:
            if first is not None:
                yield first, end
            first, end = a, b
        end = max(end, b)
    if first is not None:
        yield first, end


def tokens_with_gaps(
    tokens: PackedTokens, gaps: Mapping[int, Gaps], stretches: Mapping[int, Sequence[Stretch]], gap_id: int
) -> PackedTokens:
    """The tokens of stretches of utterances that have gaps, without words that are not said.

    Speech that the text lacks is one token, or the phones of what is heard, that belong to no word and may
    not be skipped, between two pauses that may. Words keep their numbers.

    Args:
        tokens: N tokens of B utterances.
        gaps: Of some of these, by their place in the batch. Words near them may be said otherwise than they
            were chosen to be.
        stretches: Of the same.
        gap_id: Of that token.
    """
    found: list[tuple[int, bool, int]] = []
    lengths, rows = [], []
    for row, own_stretches in stretches.items():
        own = gaps[row]
        for stretch in own_stretches:
            utterance = slice(stretch.first_token, stretch.end_token)
            ids, words = tokens.token_ids[utterance].tolist(), tokens.words[utterance].tolist()
            n_before = len(found)
            extra: tuple[int, ...] = ()
            for word in range(stretch.first_word, stretch.end_word + 1):
                if word in own.extra:
                    extra = extra or own.heard.get(word, (gap_id,))
                if word in own.unsaid and word < stretch.end_word:
                    continue
                found.append((0, True, -1))
                if extra:
                    found += [*((id, False, -1) for id in extra), (0, True, -1)]
                    extra = ()
                if word < stretch.end_word:
                    chosen = tuple(id for id, its_word in zip(ids, words, strict=True) if its_word == word)
                    phones = own.spoken.get(word, chosen)
                    found += [(id, False, word) for id in phones]
            lengths.append(len(found) - n_before)
            rows.append(row)
    token_ids, skippable, word_of = (np.array(values) for values in zip(*found, strict=True))
    ids, speakers = (tuple(own[row] for row in rows) if own else () for own in (tokens.ids, tokens.speakers))
    return PackedTokens(ids, token_ids, skippable, word_of, np.array(lengths, np.int64), speakers)


def align_with_gaps(
    encoder: Encoder,
    emissions: Emissions,
    features: PackedFeatures,
    tokens: PackedTokens,
    durations: TokenDurations,
    gaps: Mapping[int, Gaps],
    gap_id: int,
) -> tuple[PackedTokens, TokenDurations]:
    """The tokens of utterances, some of which have gaps, and the frames of each.

    A frame of speech that the text lacks is as likely as in its likeliest state, less a price, in every
    stream; of what is heard, as that.

    Args:
        encoder: Whose emissions these are; a context-free one.
        emissions: `[F, M]` for each feature stream.
        features: The packed features of B utterances.
        tokens: Of these utterances, as if all of it were said.
        durations: Of these tokens.
        gaps: Of some of the utterances, by their place in the batch, in order.
        gap_id: Of the token for speech that the text lacks.
    """
    by_row = stretches_around(gaps, tokens, durations)
    stretches = [stretch for own in by_row.values() for stretch in own]
    first = np.array([stretch.first_frame for stretch in stretches])
    n_frames = np.array([stretch.end_frame for stretch in stretches]) - first
    frames = on_device(ranges(first, n_frames), features.frames.device)
    own = PackedFeatures(features.frames[frames], n_frames)
    streams = emissions.streams
    if len(frames) < streams.shape[1]:  # else a copy of all, of a chapter hundreds of megabytes
        streams = streams[:, frames]
    likeliest = streams.mean(0).argmax(1)
    of_stretch = [gaps[row].price for row, its in by_row.items() for _ in its]
    prices = np.repeat(of_stretch, n_frames).astype(np.float32)
    of_gap = streams.gather(2, likeliest[None, :, None].expand(len(streams), -1, 1))
    of_gap -= on_device(prices, of_gap.device)[:, None]
    said = tokens_with_gaps(tokens, gaps, by_row, gap_id)
    is_gap = said.token_ids == gap_id
    states = states_of(encoder, own, replace(said, token_ids=np.where(is_gap, 0, said.token_ids)))
    states.states[is_gap[states.token]] = streams.shape[2]
    joined = Emissions(torch.cat([streams, of_gap], 2))
    anew = forced_alignment(encoder, joined, own, said, states=states)
    return _put_in(tokens, durations, gaps, by_row, *_as_one_token(said, anew, gap_id))


def _as_one_token(
    tokens: PackedTokens, durations: TokenDurations, gap_id: int
) -> tuple[PackedTokens, TokenDurations]:
    """The phones of what is heard and of no word of the text as the token for speech that it lacks."""
    extra = (tokens.words < 0) & ~tokens.skippable
    kept = ~extra | np.append(True, ~extra[:-1])  # each stretch begins with a pause
    n_kept = sums_of(kept, tokens.lengths)
    before = np.insert(kept, np.cumsum(tokens.lengths), True)  # the boundaries: one more at each end
    one = replace(
        tokens,
        token_ids=np.where(extra, gap_id, tokens.token_ids)[kept],
        skippable=tokens.skippable[kept],
        words=tokens.words[kept],
        lengths=n_kept,
    )
    edges, spreads = (tuple(own[before] for own in every) for every in (durations.edges, durations.spreads))
    return one, TokenDurations(np.add.reduceat(durations.joint, np.flatnonzero(kept)), edges, spreads)


def _put_in(
    tokens: PackedTokens,
    durations: TokenDurations,
    gaps: Mapping[int, Gaps],
    by_row: Mapping[int, Sequence[Stretch]],
    said: PackedTokens,
    anew: TokenDurations,
) -> tuple[PackedTokens, TokenDurations]:
    """Tokens and durations of a batch with those of the stretches as they are `anew`; what is outside, and
    the outer edges of the two pauses that a stretch begins and ends in, is as it was.
    """
    row = np.array([row for row, its in by_row.items() for _ in its])
    stretches = [stretch for its in by_row.values() for stretch in its]
    first, end = (np.array([own[place] for own in stretches]) for place in (2, 3))
    first_frame, end_frame = (np.array([own[place] for own in stretches]) for place in (4, 5))
    new_first, new_last = starts_of(said.lengths), np.cumsum(said.lengths) - 1

    def put(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        return _replaced(old, np.split(new, new_first[1:]), first, end)

    before = np.concatenate([[0], np.cumsum(durations.joint)])  # frames before each token
    joint = anew.joint.copy()
    joint[new_first] += first_frame - before[first]
    joint[new_last] += before[end] - end_frame
    is_spoken = np.stack([joint[new_first], joint[new_last]], 1) > 0
    shift = first_frame - before[starts_of(tokens.lengths)][row]
    edges, spreads = (
        tuple(
            _boundaries_put_in(*pair, moved, said.lengths, first + row, end + row, is_spoken)
            for pair in zip(old, new, strict=True)
        )
        for old, new, moved in (
            (durations.edges, anew.edges, shift),
            (durations.spreads, anew.spreads, None),
        )
    )
    lengths = tokens.lengths.copy()
    np.add.at(lengths, row, said.lengths - (end - first))
    found = replace(
        tokens,
        token_ids=put(tokens.token_ids, said.token_ids),
        skippable=put(tokens.skippable, said.skippable),
        words=_numbered_anew(put(tokens.words, said.words), lengths, gaps),
        lengths=lengths,
    )
    return found, TokenDurations(put(durations.joint, joint), edges, spreads)


def _boundaries_put_in(
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    shift: Indices | None,
    n_tokens: Indices,
    first: Indices,
    last: Indices,
    is_spoken: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Of boundaries around tokens, or their spreads, those inside the stretches as they are anew.

    Args:
        old: `[N + B]`, of B utterances.
        new: Around the tokens of P stretches.
        shift: `[P]`, frames of the utterance before each stretch; None: these are no times.
        n_tokens: `[P]`.
        first: `[P]`, the boundary before the pause that each begins in, among the old.
        last: `[P]`, that after the pause that each ends in.
        is_spoken: `[P, 2]`, whether these pauses have any frame. One that has none has one boundary.
    """
    parts = []
    for n, own in enumerate(np.split(new, np.cumsum(n_tokens + 1)[:-1])):
        left, right = old[first[n]], old[last[n]]
        inner = own[1:-1].copy() if shift is None else np.clip(own[1:-1] + shift[n], left, right)
        if not is_spoken[n, 0]:
            inner[0] = left
        if not is_spoken[n, 1]:
            inner[-1] = right
        parts.append(inner)
    return _replaced(old, parts, first + 1, last)


def _numbered_anew(words: Indices, lengths: Indices, gaps: Mapping[int, Gaps]) -> Indices:
    """The words' numbers among those that are said.

    Args:
        words: Of each token the number among all; -1 for none.
        lengths: Tokens of each utterance.
        gaps: Of some utterances, by their place in the batch.
    """
    found, starts = words.copy(), starts_of(lengths)
    for row, own in gaps.items():
        its = slice(starts[row], starts[row] + lengths[row])
        found[its] -= np.searchsorted(np.array(sorted(own.unsaid), np.int64), words[its])
    return found


def _replaced(
    old: NDArray[Any], parts: Sequence[NDArray[Any]], starts: Indices, ends: Indices
) -> NDArray[Any]:
    """The items with those of some spans, in order, replaced."""
    between = [old[a:b] for a, b in zip([0, *ends], [*starts, len(old)], strict=True)]
    return np.concatenate([between[0], *(x for pair in zip(parts, between[1:], strict=True) for x in pair)])
