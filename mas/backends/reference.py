"""The search in plain PyTorch: slow, easy to read, and the definition of the right result.

B batch, T text tokens, S speech frames, F packed frames, M states; i counts tokens, j counts frames; x[i, j]
is the score of frame j in token i, with bias and noise as `mas/added.py` says.

Q[i, j] is the best score of all paths that are in token i at frame j. It is added up in float32, in frame
order:

    Q[i, j] = max(Q[i, j-1]      stay: the frame before was in the same token,
                  Q[i-1, j-1]    move: it was in the token before,
                  Q[i-2, j-1]    skip: it was two tokens before, if token i-1 is skippable) + x[i, j]

Start: Q[0, 0] = x[0, 0]; also Q[1, 0] = x[1, 0] if token 0 is skippable and there is a token 1.
End: token T-1; also token T-2 if token T-1 is skippable and there is a token T-2.
Ties: stay before move before skip, and the last token before the last but one.
Max propagates NaN. Cells that no path can visit are never read: tokens too late for the frame, or too early
to reach the end. An item has no path if its best score is not finite, or if two neighbouring tokens are
skippable.

Source: Kim et al., "Glow-TTS", 2020, algorithm 1; the tie rule is that of jaywalnut310/glow-tts,
monotonic_align/core.pyx. Skipping is the optional state of hidden Markov models for speech.
"""

import torch
from torch import Tensor

from mas.added import Added
from mas.backends.packed_emissions import packed

_NEG_INF = float("-inf")


def durations(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    *,
    added: Added | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`: 0 in the padding, a row of -1 for an item without a path.

    Args:
        scores: `[B, T, S]`, any float type.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        added: What is added to the scores, or None.
    """
    result = torch.zeros(scores.shape[:2], dtype=torch.int64)
    for b, (tokens, frames) in enumerate(zip(text_lengths.tolist(), speech_lengths.tolist(), strict=True)):
        may_skip = torch.zeros(scores.shape[1], dtype=torch.bool) if skippable is None else skippable[b].cpu()
        if 1 <= tokens <= scores.shape[1] and 1 <= frames <= scores.shape[2]:
            x = scores[b, :tokens, :frames].detach()
            x = x.float().cpu() if added is None else added.to_item(b, x)
            path = best_path(x, may_skip[:tokens])
        else:
            path = None
        result[b] = -1 if path is None else torch.bincount(path, minlength=scores.shape[1])
    return result.to(scores.device)


def state_durations(
    emissions: Tensor,
    starts: Tensor | None,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`: those of `durations` over the emissions of each item's states.

    An item has no path either if its frames are not all among the F, or a state not among the M.

    Args:
        emissions: `[F, M]`, or `[B, S, M]` without starts; any float type.
        starts: `[B]`; item b is made of the frames from starts[b] on, or None.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F.
    """
    emissions, starts = packed(emissions, starts)
    T = states.shape[1]
    F, M = emissions.shape
    most = F if most_frames is None else most_frames
    result = torch.full(states.shape, -1, device=states.device)
    for b, (start, tokens, frames) in enumerate(
        zip(starts.tolist(), text_lengths.tolist(), speech_lengths.tolist(), strict=True)
    ):
        own = states[b, : max(0, tokens)].long()
        within = 1 <= tokens <= T and 1 <= frames <= most and 0 <= start <= F - frames
        if within and bool(((own >= 0) & (own < M)).all()):
            scores = emissions[start : start + frames].index_select(1, own).T[None]
            may_skip = None if skippable is None else skippable[b : b + 1, :tokens]
            own_durations = durations(scores, text_lengths[b : b + 1], speech_lengths[b : b + 1], may_skip)[0]
            result[b] = 0 if own_durations[0] >= 0 else -1
            result[b, :tokens] = own_durations
    return result


def best_path(x: Tensor, skippable: Tensor) -> Tensor | None:
    """The token of each frame, int64 `[S]`, from float32 `[T, S]` and bool `[T]`; None if no path exists."""
    if bool((skippable[1:] & skippable[:-1]).any()):
        return None
    T, S = x.shape
    x = x.masked_fill(~visitable(skippable, S), _NEG_INF)
    # whether a path may skip to token i: token i-1 is skippable, and there is a token i-2
    may_skip_to = torch.cat([torch.zeros(2), skippable[1:-1]])[:T].bool()
    Q = torch.full((T, S), _NEG_INF)
    Q[0, 0] = x[0, 0]
    if T > 1 and skippable[0]:
        Q[1, 0] = x[1, 0]
    for j in range(1, S):
        stay, move, skip = _predecessors(Q[:, j - 1], may_skip_to)
        Q[:, j] = torch.maximum(torch.maximum(stay, move), skip) + x[:, j]

    may_end_early = T > 1 and bool(skippable[-1])
    best = torch.maximum(Q[T - 1, -1], Q[T - 2, -1]) if may_end_early else Q[T - 1, -1]
    if not best.isfinite():
        return None
    i = T - 2 if may_end_early and Q[T - 1, -1] < Q[T - 2, -1] else T - 1
    path = torch.empty(S, dtype=torch.int64)
    for j in range(S - 1, -1, -1):
        path[j] = i
        if j > 0:
            stay, move, skip = (q[i] for q in _predecessors(Q[:, j - 1], may_skip_to))
            step = 0
            if stay < move:
                step, stay = 1, move
            if stay < skip:
                step = 2
            i -= step
    return path


def visitable(skippable: Tensor, S: int) -> Tensor:
    """Cells `[T, S]` that lie on some path, given which tokens `[T]` are skippable (no neighbours)."""
    needed = (~skippable).long()  # the least number of frames of a token
    before = needed.cumsum(0) - needed
    after = needed.sum() - needed - before
    j = torch.arange(S)
    return (before[:, None] <= j) & (after[:, None] <= S - 1 - j)


def _predecessors(q: Tensor, may_skip_to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best scores `[T]` one frame earlier, for each token: if the path stays, moves or skips."""
    outside = q.new_full((2,), _NEG_INF)
    move = torch.cat([outside[:1], q[:-1]])
    skip = torch.cat([outside, q[:-2]])[: len(q)].masked_fill(~may_skip_to, _NEG_INF)
    return q, move, skip
