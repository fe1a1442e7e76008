"""The forward sum in plain PyTorch: slow, easy to read, and the definition of the right result.

B batch, T text tokens, S speech frames, F packed frames, M states; i counts tokens, j counts frames; x[i, j]
is the score of frame j in token i. The paths are those of the search (reference.py). All in float64:

    alpha[i, j]  the log-sum over all ways to be in token i at frame j, scores 0 to j included:
                 log(e^alpha[i, j-1] + e^alpha[i-1, j-1] + (e^alpha[i-2, j-1] if token i-1 is skippable))
                 + x[i, j]
    beta[i, j]   the same over all ways on from there, scores j+1 to the last included
    u[i, j]      beta[i, j] + x[i, j]
    log_sum      over all paths: of alpha where a path may end
    gamma[i, j]  the posterior: alpha[i, j] + beta[i, j] - log_sum, as a probability. It is the gradient of
                 log_sum by x[i, j], and sums to 1 over the tokens of each frame.

-inf: no path. NaN: a score that some path can visit is NaN or +inf.

Source: Rabiner, "A tutorial on hidden Markov models", 1989, section III; Shih et al., "RAD-TTS", 2021.
"""

import torch
from torch import Tensor

from mas.backends.reference import visitable

_NEG_INF = float("-inf")


def log_sums(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """`log_sum` `[B]`, float32 or, for float64 scores, float64.

    Args:
        scores: `[B, T, S]`, any float type.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
    """
    B, T, _ = scores.shape
    result = scores.new_full((B,), _NEG_INF, dtype=_own_type(scores))
    for b, (tokens, frames) in enumerate(zip(text_lengths.tolist(), speech_lengths.tolist(), strict=True)):
        if 1 <= tokens <= T and 1 <= frames <= scores.shape[2]:
            may_skip = None if skippable is None else skippable[b, :tokens]
            result[b] = forward_backward(scores[b, :tokens, :frames], may_skip)[0]
    return result


def add_gradient(
    gradient: Tensor,
    weights: Tensor,
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
) -> None:
    """Adds gamma `[B, T, S]`, times weights `[B]`, to `gradient`: nothing if there is no path; NaN for NaN.

    Args:
        gradient: `[B, T, S]`.
        weights: `[B]`.
        scores: As in `log_sums`.
        text_lengths: As in `log_sums`.
        speech_lengths: As in `log_sums`.
        skippable: As in `log_sums`.
    """
    for b, (tokens, frames) in enumerate(zip(text_lengths.tolist(), speech_lengths.tolist(), strict=True)):
        if 1 <= tokens <= scores.shape[1] and 1 <= frames <= scores.shape[2]:
            may_skip = None if skippable is None else skippable[b, :tokens]
            gamma = forward_backward(scores[b, :tokens, :frames], may_skip)[1]
            gradient[b, :tokens, :frames] += (weights[b].double() * gamma).to(gradient)


def state_log_sums(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
    scale: float = 1.0,
) -> Tensor:
    """`log_sums` where frame j of item b scores scale * emissions[starts[b] + j, states[b, i]] in token i.

    Args:
        emissions: `[F, M]`, any float type.
        starts: `[B]`.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F.
        scale: Of the emissions.
    """
    result = emissions.new_full((len(states),), _NEG_INF, dtype=_own_type(emissions))
    for b in range(len(states)):
        item = _scores_of(
            b, emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
        )
        if item is not None:
            result[b] = forward_backward(*item)[0]
    return result


def add_state_gradient(
    gradient: Tensor,
    gradient_starts: Tensor,
    weights: Tensor,
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
    scale: float = 1.0,
) -> None:
    """Adds gamma, times weights `[B]`, to `gradient` `[F', M]`, at each token's state.

    Args:
        gradient: `[F', M]`.
        gradient_starts: `[B]`, the row of each item's first frame in `gradient`.
        weights: `[B]`.
        emissions: As in `state_log_sums`.
        starts: As in `state_log_sums`.
        states: As in `state_log_sums`.
        text_lengths: As in `state_log_sums`.
        speech_lengths: As in `state_log_sums`.
        skippable: As in `state_log_sums`.
        most_frames: As in `state_log_sums`.
        scale: As in `state_log_sums`.
    """
    for b in range(len(states)):
        item = _scores_of(
            b, emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
        )
        if item is not None:
            gamma = forward_backward(*item)[1]
            tokens, frames = gamma.shape
            rows = gradient[int(gradient_starts[b]) : int(gradient_starts[b]) + frames]
            rows.index_add_(1, states[b, :tokens].long(), (weights[b].double() * gamma.T).to(gradient))


def boundary_moments(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
    scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The log-sums `[B]`; the sums over j of P(token i ends at j) times 1, j and j^2 `[B, 3, T]`; float64.

    A token ends at j if j frames of the item are in it and the tokens before it: the tokens up to i have
    frame j - 1, if there is one, and none after.

    Args:
        emissions: As in `state_log_sums`.
        starts: As in `state_log_sums`.
        states: As in `state_log_sums`.
        text_lengths: As in `state_log_sums`.
        speech_lengths: As in `state_log_sums`.
        skippable: As in `state_log_sums`.
        most_frames: As in `state_log_sums`.
        scale: As in `state_log_sums`.
    """
    arguments = emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    result = torch.zeros((len(states), 3, states.shape[1]), dtype=torch.float64, device=states.device)
    log_sums = result.new_full((len(states),), _NEG_INF)
    for b in range(len(states)):
        item = _scores_of(b, *arguments)
        if item is not None:
            log_sums[b], gamma = forward_backward(*item)
            if log_sums[b].isfinite():
                up_to = gamma.cumsum(0)  # P(frame j is in token i or before)
                tokens, frames = gamma.shape
                before = torch.cat([up_to.new_ones(tokens, 1), up_to], 1)
                ends = before - torch.cat([up_to, up_to.new_zeros(tokens, 1)], 1)  # at j = 0 to frames
                j = torch.arange(frames + 1, device=ends.device, dtype=torch.float64)
                result[b, :, :tokens] = torch.stack([ends @ j.pow(n) for n in range(3)])
    return log_sums, result


def forward_backward(x: Tensor, skippable: Tensor | None) -> tuple[Tensor, Tensor]:
    """log_sum, a scalar, and gamma `[T, S]`, both float64.

    Args:
        x: `[T, S]`, any float type.
        skippable: Bool `[T]` or None.
    """
    T, S = x.shape
    x = x.detach().double()
    if skippable is None:
        skippable = torch.zeros(T, dtype=torch.bool, device=x.device)
    used = visitable(skippable, S)
    no_path = bool((skippable[1:] & skippable[:-1]).any()) or int((~skippable).sum()) > S
    if no_path:
        return x.new_tensor(_NEG_INF), torch.zeros_like(x)
    if not bool((x[used] < float("inf")).all()):
        return x.new_tensor(float("nan")), torch.full_like(x, float("nan"))
    x = x.masked_fill(~used, _NEG_INF)
    alpha = _alpha(x, skippable)
    log_sum = alpha[-1, -1]
    if T > 1 and skippable[-1]:
        log_sum = torch.logaddexp(log_sum, alpha[-2, -1])
    if log_sum == _NEG_INF:
        return log_sum, torch.zeros_like(x)
    # What is true of a path is true of it read backwards; x[i, j] is in both sums.
    u = _alpha(x.flip(0, 1), skippable.flip(0)).flip(0, 1)
    gamma = (alpha + u - x.masked_fill(x == _NEG_INF, 0.0) - log_sum).exp()
    return log_sum, gamma


def _alpha(x: Tensor, skippable: Tensor) -> Tensor:
    """alpha `[T, S]`, from x `[T, S]` that is -inf where no path can be."""
    T, S = x.shape
    alpha = torch.full_like(x, _NEG_INF)
    alpha[0, 0] = x[0, 0]
    if T > 1 and skippable[0]:
        alpha[1, 0] = x[1, 0]
    may_skip_to = torch.cat([skippable.new_zeros(2), skippable[1:-1]])[:T]
    for j in range(1, S):
        stay = alpha[:, j - 1]
        move = torch.cat([stay.new_full((1,), _NEG_INF), stay[:-1]])
        skip = torch.cat([stay.new_full((2,), _NEG_INF), stay[:-2]])[:T].masked_fill(~may_skip_to, _NEG_INF)
        alpha[:, j] = torch.logaddexp(torch.logaddexp(stay, move), skip) + x[:, j]
    return alpha


def _scores_of(
    b: int,
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    most_frames: int | None,
    scale: float,
) -> tuple[Tensor, Tensor | None] | None:
    """The scores `[tokens, frames]` of item b and its skippable tokens; None if they are not all there."""
    F, M = emissions.shape
    start, tokens, frames = int(starts[b]), int(text_lengths[b]), int(speech_lengths[b])
    own = states[b, : max(0, tokens)].long()
    within = 1 <= tokens <= states.shape[1] and 1 <= frames <= (F if most_frames is None else most_frames)
    if not within or not 0 <= start <= F - frames or bool(((own < 0) | (own >= M)).any()):
        return None
    x = emissions[start : start + frames].double().index_select(1, own).T * scale
    return x, None if skippable is None else skippable[b, :tokens]


def _own_type(scores: Tensor) -> torch.dtype:
    return torch.float64 if scores.dtype == torch.float64 else torch.float32
