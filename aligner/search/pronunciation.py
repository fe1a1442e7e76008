"""Which of a word's pronunciations was spoken: the likeliest, between the words beside it.

F frames of a batch one after the other, M states of the model.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from aligner.search.viterbi import best_paths
from aligner.text.transcript import Tokens, Transcript, Word

# token ids, number of frames -> states, index of the token each belongs to
StatesOf = Callable[[Tokens, int], tuple[list[int], list[int]]]


def choose_variants(
    scores: Tensor,
    spans: Sequence[Sequence[tuple[int, int]]],
    transcripts: Sequence[Transcript],
    variants: Sequence[tuple[int, ...]],
    states_of: StatesOf,
) -> list[tuple[int, ...]]:
    """For each utterance the index of the pronunciation of each word.

    Every variant of a word is aligned again, with the present variants of the words on either side, to the
    frames those three have now. scores: `[F, M]` of the batch. spans: for each utterance the first frame and
    the frame after the last of each word, counted over the batch. variants: the present choice. On equal
    scores the earlier variant wins.
    """
    starts, lengths, states, skippable, asked = [], [], [], [], []
    for u, transcript in enumerate(transcripts):
        if transcript.fixed is not None:
            continue
        for w, word in enumerate(transcript.words):
            if len(word.variants) < 2:
                continue
            left, right = max(0, w - 1), min(len(transcript.words) - 1, w + 1)
            start, length = spans[u][left][0], spans[u][right][1] - spans[u][left][0]
            for v in range(len(word.variants)):
                words = tuple(
                    _pronounced(transcript.words[i], v if i == w else variants[u][i])
                    for i in range(left, right + 1)
                )
                tokens = Transcript(words).tokens()
                sequence, owners = states_of(tokens, length)
                optional = [tokens.skippable[owner] for owner in owners]
                if len(optional) - sum(optional) > length:
                    continue
                starts.append(start)
                lengths.append(length)
                states.append(sequence)
                skippable.append(optional)
                asked.append((u, w, v))
    if not asked:
        return list(variants)
    device = scores.device
    n_frames = torch.tensor(lengths, device=device)
    paths = best_paths(scores, torch.tensor(starts, device=device), n_frames, states, skippable)
    item = torch.repeat_interleave(torch.arange(len(asked), device=device), n_frames)
    totals = torch.zeros(len(asked), dtype=torch.float64, device=device)
    totals.index_add_(0, item, paths.scores.double())
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for (u, w, v), total in zip(asked, totals.tolist(), strict=True):
        if (u, w) not in best or total > best[u, w][0]:
            best[u, w] = (total, v)
    return [
        tuple(best[u, w][1] if (u, w) in best else present for w, present in enumerate(choice))
        for u, choice in enumerate(variants)
    ]


def _pronounced(word: Word, variant: int) -> Word:
    return Word(word.text, (word.variants[variant],), word.source)
