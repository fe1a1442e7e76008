"""The forward sum on a CPU: tensors and threads. What each thread does is in
cpu_forward_sweeps.py.

B items, T text tokens, S speech frames, F packed frames, M states.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.backends.cpu_forward_stretches import Target
from mas.backends.cpu_forward_sweeps import LEAST_DISTANCE, Batch, forward_sums
from mas.backends.cpu_threads import threads

_CELLS_WORTH_A_THREAD = 10_000  # below this, starting a thread costs more than its work
_LEAST_DISTANCE = LEAST_DISTANCE


def log_sums(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """The log-sum over all paths `[B]`, as `reference_forward.log_sums`.

    Args:
        scores: `[B, T, S]`, any float type and strides, on the CPU.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
    """
    return _sums(_dense_batch(scores, text_lengths, speech_lengths, skippable), scores.dtype)


def add_gradient(
    gradient: Tensor,
    weights: Tensor,
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
) -> None:
    """Adds the posteriors `[B, T, S]`, times weights `[B]`, to `gradient`, as the reference.

    Args:
        gradient: `[B, T, S]`, float32 or, for float64 scores, float64.
        weights: `[B]`.
        scores: As in `log_sums`.
        text_lengths: As in `log_sums`.
        speech_lengths: As in `log_sums`.
        skippable: As in `log_sums`.
    """
    batch = _dense_batch(scores, text_lengths, speech_lengths, skippable)
    (B, T, _), (stride_b, stride_i, stride_j) = gradient.shape, gradient.stride()
    columns = np.arange(T)[None] * stride_i
    target = Target(
        _flat(gradient), np.arange(B) * stride_b, stride_j, columns, weights.double().contiguous().numpy()
    )
    _in_threads(batch, target, _no_moments())


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
    """The log-sum over all paths `[B]`, as `reference_forward.state_log_sums`.

    Args:
        emissions: `[F, M]`, any float type and strides, on the CPU.
        starts: `[B]`.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F.
        scale: Of the emissions.
    """
    batch = _state_batch(
        emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    )
    return _sums(batch, emissions.dtype)


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
    """Adds the posteriors of the states, times weights `[B]`, to `gradient` `[F', M]`, as the reference.

    Args:
        gradient: `[F', M]`, contiguous, float32 or, for float64 emissions, float64.
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
    batch = _state_batch(
        emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    )
    M = gradient.shape[1]
    begins = gradient_starts.long().contiguous().numpy()
    target = Target(
        _flat(gradient),
        begins * M,
        M,
        states.long().contiguous().numpy(),
        weights.double().contiguous().numpy(),
    )
    alone = _overlap(begins[batch.fits], batch.speech_lengths[batch.fits])
    _in_threads(batch, target, _no_moments(), alone)


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
    """The log-sums `[B]`, and what `reference_forward.boundary_moments` says, float64 `[B, 3, T]`.

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
    batch = _state_batch(
        emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    )
    moments = np.zeros((len(batch.at), 3, states.shape[1]))
    sums = _in_threads(batch, _no_target(batch), moments)
    return torch.from_numpy(sums), torch.from_numpy(moments)


def _dense_batch(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None
) -> Batch:
    scores = scores if scores.dtype in (torch.float32, torch.float64) else scores.float()
    (B, T, S), (stride_b, stride_i, stride_j) = scores.shape, scores.stride()
    tokens, frames = _integers(text_lengths), _integers(speech_lengths)
    return Batch(
        flat=_flat(scores),
        at=np.arange(B) * stride_b,
        stride=stride_j,
        columns=np.arange(T)[None] * stride_i,
        scale=1.0,
        fits=(tokens >= 1) & (tokens <= T) & (frames >= 1) & (frames <= S),
        text_lengths=tokens,
        speech_lengths=frames,
        skippable=_skippable(skippable),
    )


def _state_batch(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    most_frames: int | None,
    scale: float,
) -> Batch:
    emissions = emissions if emissions.dtype in (torch.float32, torch.float64) else emissions.float()
    (F, M), (stride_f, stride_m) = emissions.shape, emissions.stride()
    T = states.shape[1]
    tokens, frames, begins = _integers(text_lengths), _integers(speech_lengths), _integers(starts)
    most = F if most_frames is None else min(F, most_frames)
    fits = (tokens >= 1) & (tokens <= T) & (frames >= 1) & (frames <= most)
    fits &= (begins >= 0) & (begins <= F - frames)
    own = _integers(states)
    fits &= (((own >= 0) & (own < M)) | (np.arange(T) >= tokens[:, None])).all(1)
    return Batch(
        _flat(emissions), begins * stride_f, stride_f, own * stride_m, scale, fits, tokens, frames,
        _skippable(skippable),
    )  # fmt: skip


def _sums(batch: Batch, dtype: torch.dtype) -> Tensor:
    sums = _in_threads(batch, _no_target(batch), _no_moments())
    return torch.from_numpy(sums).to(dtype if dtype == torch.float64 else torch.float32)


def _in_threads(
    batch: Batch, target: Target, moments: NDArray[np.float64], alone: bool = False
) -> NDArray[np.float64]:
    """`forward_sums` by at most `torch.get_num_threads()` threads, or alone in this one."""
    B = len(batch.at)
    sums = np.empty(B)
    cells = np.where(batch.fits, batch.text_lengths * batch.speech_lengths, 0)
    n = 1 if alone else min(B, torch.get_num_threads(), 1 + int(cells.sum()) // _CELLS_WORTH_A_THREAD)
    longest_first = np.argsort(-cells, kind="stable")

    def work(t: int) -> None:
        forward_sums(batch, longest_first[t::n], target, moments, _LEAST_DISTANCE, sums)

    done = threads(n - 1).map(work, range(1, n)) if n > 1 else ()
    work(0)
    for _ in done:  # raises what a thread raised
        pass
    return sums


def _overlap(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> bool:
    """Whether two items have frames in common, to which two threads must not add."""
    order = np.argsort(begins)
    return bool((begins[order][1:] < (begins + lengths)[order][:-1]).any())


def _flat(values: Tensor) -> NDArray[np.floating]:
    """The memory of a tensor, from its first element to its last."""
    span = 1 + sum((n - 1) * stride for n, stride in zip(values.shape, values.stride(), strict=True))
    return values.as_strided((span,), (1,)).numpy()


def _integers(values: Tensor) -> NDArray[np.int64]:
    return values.long().contiguous().numpy()


def _skippable(skippable: Tensor | None) -> NDArray[np.bool_]:
    return np.empty((0, 0), np.bool_) if skippable is None else skippable.contiguous().numpy()


def _no_target(batch: Batch) -> Target:
    return Target(np.empty(0, batch.flat.dtype), batch.at, 1, np.empty((1, 0), np.int64), np.empty(0))


def _no_moments() -> NDArray[np.float64]:
    return np.empty((0, 0, 0))
