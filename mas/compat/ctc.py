"""`forced_align`: the best path of a label sequence through CTC's log-probabilities, as torchaudio has it.

B batch, S speech frames, V labels with the blank, L target labels.

CTC's topology is that of `search_states` with skippable tokens: a blank before, between and after the labels,
each of which may get no frame, but for a blank between two equal labels.
"""

import torch
from torch import Tensor

from mas.checks import (
    FLOATS,
    INTEGERS,
    Lengths,
    any_failed,
    check_may_wait,
    check_tensors,
    lengths_tensor,
    named,
    why_not_finite,
)
from mas.devices import implement
from mas.search import Backend


def forced_align(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths | None = None,
    target_lengths: Lengths | None = None,
    blank: int = 0,
    *,
    backend: Backend | None = None,
    check: bool = True,
) -> tuple[Tensor, Tensor]:
    """The label of each frame on the best path, and its log-probability: torchaudio's, but for batches too.

    Replaces `torchaudio.functional.forced_align`. Sums are float32 for every type. On equal scores a path
    stays rather than moves and moves rather than skips, and ends in the last blank. torchaudio ends in the
    last label then; and where move and skip are equal and above stay, some of its versions step back as if
    the path had stayed, to a worse path. Where no tie decides, float32 paths are those of its CPU kernel.

    Args:
        log_probs: `[B, S, V]`, float32, float16, bfloat16 or float64 (which is rounded to float32 to search).
        targets: `[B, L]`, int64 or int32: labels other than the blank. Those beyond a target length may be
            anything.
        input_lengths: `[B]` integers, the frames of each item; by default S.
        target_lengths: `[B]` integers, the labels of each item, at least 1; by default L.
        blank: The blank's place among the V labels.
        backend: As in `mas.search`.
        check: As in `mas.search`. Without it, an item that cannot be aligned gets a path of -1 with scores of
            -inf.

    Returns:
        Paths `[B, S]` in the type of `targets`, and scores `[B, S]` in that of `log_probs`, differentiable.
        Beyond an item's frames the path holds the blank and the scores are 0: so `scores.sum(1)` is that of
        the path, and torchaudio's `merge_tokens(paths[b], scores[b])` finds the item's labels only.

    Raises:
        TypeError: Something other than tensors or lengths.
        ValueError: Wrong shapes or types, or a blank that is none of the V. If `check`, also for items that
            cannot be aligned, which the error names: a length of 0 or beyond the tensors, a label that is the
            blank or none of the V, more labels (and blanks between equal ones) than frames, or a best score
            that is not finite.

    Source: Graves et al., "Connectionist Temporal Classification", 2006, with max for sum; the interface is
    pytorch/audio, torchaudio/functional/functional.py.
    """
    _check(log_probs, targets, blank)
    (B, S, _), device = log_probs.shape, log_probs.device
    targets = targets.to(device)
    frames = _lengths("input_lengths", input_lengths, B, S, device)
    labels = _lengths("target_lengths", target_lengths, B, targets.shape[1], device)
    paths = torch.ops.mas.forced_align.default(
        log_probs.detach(), targets, frames, labels, blank, backend or "", check
    )
    scores = log_probs.gather(2, paths.clamp(min=0).long()[:, :, None])[:, :, 0]
    scores = scores.masked_fill(torch.arange(S, device=device) >= frames[:, None], 0)
    return paths, scores.masked_fill(paths < 0, -torch.inf)


def _lengths(name: str, lengths: Lengths | None, B: int, full: int, device: torch.device) -> Tensor:
    """Checked lengths `[B]` on the device; `full` for all items if none are given."""
    if lengths is None:
        return torch.full((B,), full, device=device)
    return lengths_tensor(name, lengths, B, device)


def _forced_align_op(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int,
    backend: str,
    check: bool,
) -> Tensor:
    """`torch.ops.mas.forced_align`: the paths. One opaque operation, as `torch.ops.mas.search`."""
    if check:
        check_may_wait(log_probs)
    B, S, V = log_probs.shape
    if B == 0:
        return targets.new_empty((B, S))
    states, n_states, skippable = topology(targets, target_lengths, blank)
    durations = torch.ops.mas.search_states.default(
        log_probs, states, None, n_states, input_lengths, None, skippable, backend, False
    )
    if check and any_failed(durations):
        raise ValueError(_explain(log_probs, targets, input_lengths, target_lengths, blank, durations))
    starts = durations.cumsum(1) - durations
    at = torch.where(durations > 0, starts, S)  # S: a place for states without frames, not looked at
    every = torch.arange(states.shape[1], device=states.device).expand_as(at)
    state = torch.zeros((B, S + 1), dtype=torch.int64, device=states.device).scatter_(1, at, every)
    paths = states.gather(1, state[:, :S].cummax(1)[0])
    paths = paths.masked_fill(torch.arange(S, device=paths.device) >= input_lengths[:, None], blank)
    return paths.masked_fill(durations[:, :1] < 0, -1)


def topology(targets: Tensor, target_lengths: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor]:
    """States `[B, 2L + 1]`, of each item how many, and which may be skipped.

    No item has a path with a target length outside of 1 to L, or a blank among its targets: it gets a number
    of states, or a state, that there is not.
    """
    B, L = targets.shape
    states = targets.new_full((B, 2 * L + 1), blank)
    states[:, 1::2] = targets.masked_fill(targets == blank, -1)
    skippable = torch.zeros((B, 2 * L + 1), dtype=torch.bool, device=targets.device)
    outer = torch.arange(L + 1, device=targets.device) >= target_lengths[:, None]
    outer[:, 0] = True
    outer[:, 1:-1] |= targets[:, 1:] != targets[:, :-1]
    skippable[:, ::2] = outer
    n_states = torch.where(target_lengths > 0, 2 * target_lengths + 1, 0)
    return states, n_states, skippable


def _check(log_probs: Tensor, targets: Tensor, blank: int) -> None:
    """Raises TypeError or ValueError unless the three fit each other.

    Args:
        log_probs: `[B, S, V]`, floats.
        targets: `[B, L]`, int64 or int32.
        blank: 0 to V - 1.
    """
    check_tensors(log_probs=log_probs, targets=targets)
    if log_probs.dim() != 3:
        raise ValueError(f"log_probs have shape {tuple(log_probs.shape)}; batch, frames, labels are needed")
    if log_probs.dtype not in FLOATS:
        raise ValueError(f"log_probs are {log_probs.dtype}; use float32, float16 or bfloat16")
    if targets.dim() != 2 or len(targets) != len(log_probs):
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}; one row of labels an item is needed: "
            f"({len(log_probs)}, L)"
        )
    if targets.dtype not in INTEGERS:
        raise ValueError(f"targets are {targets.dtype}; use int64 or int32")
    if not 0 <= blank < log_probs.shape[2]:
        raise ValueError(f"blank {blank} is none of the {log_probs.shape[2]} labels of log_probs")


def _explain(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int,
    durations: Tensor,
) -> str:
    """The error message for items without a path, as `mas.checks.explain`.

    Args:
        log_probs: `[B, S, V]`.
        targets: `[B, L]`.
        input_lengths: `[B]`, frames.
        target_lengths: `[B]`, labels.
        blank: The blank's place among the V.
        durations: `[B, 2L + 1]`; rows of -1 mark the items to explain.
    """
    S, V = log_probs.shape[1:]
    L = targets.shape[1]

    def why(b: int, labels: int, frames: int) -> str:
        if labels == 0:
            return "its target is empty"
        if not 1 <= labels <= L:
            return f"target length {labels} is not within the targets' 1 to {L} labels"
        if not 1 <= frames <= S:
            return f"input length {frames} is not within log_probs' 1 to {S} frames"
        own = targets[b, :labels]
        wrong = ((own < 0) | (own >= V) | (own == blank)).nonzero()
        if len(wrong):
            i = int(wrong[0])
            of_blank = f"the blank, {blank}" if own[i] == blank else f"none of the labels 0 to {V - 1}"
            return f"target {int(own[i])} at place {i} is {of_blank}"
        repeats = int((own[1:] == own[:-1]).sum())
        if labels + repeats > frames:
            blanks = f" and {repeats} blanks between equal ones" if repeats else ""
            return f"{labels} labels{blanks} cannot share {frames} frames (each needs at least one)"
        used = torch.cat([own.long(), own.new_tensor([blank]).long()]).unique()
        return why_not_finite(log_probs[b, :frames].index_select(1, used))

    return named(why, target_lengths, input_lengths, durations)


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "forced_align(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank, "
    "str backend, bool check) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
implement(_library, "forced_align", _forced_align_op)


@torch.library.register_fake("mas::forced_align")
def _forced_align_fake(log_probs: Tensor, targets: Tensor, *_others: object) -> Tensor:
    return targets.new_empty(log_probs.shape[:2])
