"""Replaces NeMo's `b_mas`, by which its aligner and FastPitch make a hard alignment.

B batch, T text tokens, S speech frames.
"""

from typing import Any

import torch
from numpy.typing import NDArray

from mas.checks import check_lengths
from mas.compat.paths import Check, check_is_one, repaired
from mas.path import dense_path


def b_mas(
    b_log_attn_map: NDArray[Any],
    in_lens: NDArray[Any],
    out_lens: NDArray[Any],
    width: int = 1,
    *,
    check: Check = "lengths",
) -> NDArray[Any]:
    """The best path as 0/1 in the type and shape of the scores, on the CPU; on a tie it moves on.

    Args:
        b_log_attn_map: log-probabilities `[B, 1, S, T]`.
        in_lens: `[B]`, tokens of each item.
        out_lens: `[B]`, frames of each item.
        width: Must be 1.
        check: As in `mas.maximum_path`.

    Raises:
        ValueError: As `mas.maximum_path`, and for another width than 1.

    Source: NVIDIA/NeMo nemo/collections/tts/parts/utils/helpers.py.
    """
    from mas.backends import cpu

    check_is_one(check)
    if width != 1:
        raise ValueError(f"b_mas: width {width}; only 1 is there")
    if b_log_attn_map.ndim != 4 or b_log_attn_map.shape[1] != 1:
        raise ValueError(
            f"b_mas: scores have shape {b_log_attn_map.shape}; [batch, 1, speech, text] is needed"
        )
    scores = torch.from_numpy(b_log_attn_map[:, 0]).mT
    if len(scores) and scores.numel() == 0:
        raise ValueError(f"b_mas: scores have shape {b_log_attn_map.shape}; an item needs tokens and frames")
    tokens, frames = check_lengths(scores, in_lens, out_lens)
    durations = cpu.durations(scores, tokens, frames, ties_move=True)
    if check:
        durations = repaired(scores, tokens, frames, durations, "b_mas", check is True)
    path = dense_path(durations, scores.shape[2], layout="BST", dtype=scores.dtype)
    return path[:, None].numpy()
