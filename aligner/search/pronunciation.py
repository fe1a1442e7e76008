"""Which of a word's pronunciations was spoken: the likeliest, between the words beside it.

F packed frames, M states.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aligner.encoders.base import Encoder
from aligner.frontends.packed import PackedFeatures
from aligner.search.forced_alignment import Durations, align_tokens
from aligner.search.viterbi import best_paths
from aligner.text.transcript import Tokens, Transcript
from aligner.text.vocabulary import Vocabulary

_ROUNDS = 2  # a word's pronunciation depends on its neighbours'; a third round changes next to nothing

Choice = tuple[int, ...]  # for each word of an utterance the index of its pronunciation


@dataclass(frozen=True)
class _Candidate:
    """One pronunciation of a word, with the present ones of the words on either side, in their frames.

    start and length count frames over the batch.
    """

    utterance: int
    word: int
    variant: int
    start: int
    length: int
    states: list[int]
    skippable: list[bool]


def choose_pronunciations(
    encoder: Encoder,
    vocabulary: Vocabulary,
    emissions: Tensor,
    features: PackedFeatures,
    transcripts: Sequence[Transcript],
    ids: Sequence[str],
) -> list[Choice]:
    """The likeliest pronunciation of each word of each utterance; on equal scores the earlier one.

    An encoder that is not context-free takes the first of each word: its emissions hold for one token
    sequence alone.

    Args:
        encoder: Whose emissions these are.
        vocabulary: Of the encoder.
        emissions: `[F, M]`, the joint ones.
        features: The packed features of the utterances.
        transcripts: Their words with all pronunciations.
        ids: Their names, for errors.

    Raises:
        AlignerError: For more tokens than frames and unknown symbols, naming the utterance.
    """
    if not encoder.context_free:
        return [(0,) * len(transcript.words) for transcript in transcripts]
    chosen = [
        fitting_choice(transcript, n_frames)
        for transcript, n_frames in zip(transcripts, features.lengths.tolist(), strict=True)
    ]
    for _ in range(_ROUNDS):
        before = chosen
        chosen = rechoose(encoder, vocabulary, emissions, features, transcripts, ids, before)
        if chosen == before:
            break
    return chosen


def fitting_choice(transcript: Transcript, n_frames: int, preferred: Choice | None = None) -> Choice:
    """The preferred pronunciation of each word; the shortest of each, if only these fit the frames.

    Args:
        transcript: Words with all pronunciations.
        n_frames: Of the utterance.
        preferred: None: the first of each.
    """
    preferred = preferred or (0,) * len(transcript.words)
    if transcript.fixed is not None or _fits(transcript, preferred, n_frames):
        return preferred
    lengths = [[len(variant) for variant in word.variants] for word in transcript.words]
    return tuple(own.index(min(own)) for own in lengths)


def rechoose(
    encoder: Encoder,
    vocabulary: Vocabulary,
    emissions: Tensor,
    features: PackedFeatures,
    transcripts: Sequence[Transcript],
    ids: Sequence[str],
    chosen: Sequence[Choice],
) -> list[Choice]:
    """One round: every pronunciation of a word is aligned again to the frames that the word and the words on
    either side have now.

    Args:
        encoder: Whose emissions these are.
        vocabulary: Of the encoder.
        emissions: `[F, M]`, the joint ones.
        features: The packed features of the utterances.
        transcripts: The utterances' words with all pronunciations.
        ids: The utterances' names, for errors.
        chosen: The present choice.
    """
    readings = vocabulary.readings(ids, transcripts, chosen)
    durations = align_tokens(encoder, emissions, features, readings)
    starts, lengths = features.starts.tolist(), features.lengths.tolist()
    candidates = [
        candidate
        for u, transcript in enumerate(transcripts)
        for candidate in _candidates(
            encoder,
            vocabulary,
            u,
            ids[u],
            _word_spans(readings[u].tokens, durations[u], starts[u]),
            transcript,
            chosen[u],
        )
    ]
    best: dict[tuple[int, int], tuple[float, int]] = {}
    if candidates:
        for candidate, total in zip(candidates, _path_scores(emissions, candidates), strict=True):
            place = candidate.utterance, candidate.word
            if place not in best or total > best[place][0]:
                best[place] = (total, candidate.variant)
    result = []
    for u, present in enumerate(chosen):
        new = tuple(best[u, w][1] if (u, w) in best else v for w, v in enumerate(present))
        # Of neighbouring words each may have grown as far as the frames of both allow: then none may.
        result.append(new if _fits(transcripts[u], new, lengths[u]) else present)
    return result


def _candidates(
    encoder: Encoder,
    vocabulary: Vocabulary,
    utterance: int,
    id: str,
    spans: Sequence[tuple[int, int]],
    transcript: Transcript,
    chosen: Choice,
) -> Iterator[_Candidate]:
    """Every pronunciation of each word that has several, where its phones fit the frames."""
    if transcript.fixed is not None:
        return
    words = [
        replace(word, variants=(word.variants[variant],))
        for word, variant in zip(transcript.words, chosen, strict=True)
    ]
    for w, word in enumerate(transcript.words):
        if len(word.variants) < 2:
            continue
        left, right = max(0, w - 1), min(len(words) - 1, w + 1)
        start, length = spans[left][0], spans[right][1] - spans[left][0]
        for v, variant in enumerate(word.variants):
            spoken = (*words[left:w], replace(word, variants=(variant,)), *words[w + 1 : right + 1])
            tokens = Transcript(spoken).tokens()
            sequence = encoder.state_sequence(vocabulary.reading(id, tokens).token_ids, length)
            skippable = sequence.skippable(tokens)
            if len(skippable) - sum(skippable) <= length:
                yield _Candidate(utterance, w, v, start, length, sequence.states, skippable)


def _path_scores(emissions: Tensor, candidates: Sequence[_Candidate]) -> list[float]:
    """The log-likelihood of each candidate's best path."""
    device = emissions.device
    starts = torch.tensor([candidate.start for candidate in candidates], device=device)
    lengths = torch.tensor([candidate.length for candidate in candidates], device=device)
    states, skippable = [c.states for c in candidates], [c.skippable for c in candidates]
    paths = best_paths(emissions, starts, lengths, states, skippable)
    item = torch.repeat_interleave(torch.arange(len(candidates), device=device), lengths)
    totals = torch.zeros(len(candidates), dtype=torch.float64, device=device)
    return totals.index_add_(0, item, paths.log_likelihood.double()).tolist()


def _fits(transcript: Transcript, choice: Choice, n_frames: int) -> bool:
    return transcript.tokens(choice).least_frames <= n_frames


def _word_spans(tokens: Tokens, durations: Durations, start: int) -> list[tuple[int, int]]:
    edges = start + np.concatenate([[0], np.cumsum(durations)])
    spans: dict[int, tuple[int, int]] = {}
    for t, word in enumerate(tokens.words):
        if word >= 0:
            spans[word] = (spans.get(word, (int(edges[t]), 0))[0], int(edges[t + 1]))
    return [spans[word] for word in sorted(spans)]
