"""Drop-in replacements against what they replace, on the same tensors."""

import monotonic_alignment_search
import numpy as np
import pytest
import torch
from search_cases import random_batch

import mas
from mas.compat import b_mas, glow_tts, super_mas, vits


def _value_and_mask(seed: int = 0, T: int = 11, S: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    batch = random_batch(seed, 12, T, S)
    mask = (torch.arange(T)[:, None] < batch.text_lengths[:, None, None]) & (
        torch.arange(S) < batch.speech_lengths[:, None, None]
    )
    return (2 * batch.scores).round(), mask.float()


@pytest.mark.parametrize("seed", range(5))
def test_paths_are_theirs(seed: int) -> None:
    value, mask = _value_and_mask(seed)
    before = value.clone()
    theirs = monotonic_alignment_search.maximum_path(value, mask)
    assert torch.equal(mas.maximum_path(value, mask), theirs)
    assert torch.equal(glow_tts.maximum_path(value, mask), theirs)
    assert torch.equal(super_mas.maximum_path(value, mask), theirs)
    assert torch.equal(vits.maximum_path(value.mT, mask.mT), theirs.mT)
    assert torch.equal(vits.maximum_path(value.mT.contiguous(), mask.mT), theirs.mT)
    assert torch.equal(value, before)


def test_types_are_theirs() -> None:
    value, mask = _value_and_mask()
    for scores in (value, value.half(), value.bfloat16(), value.double()):
        for of_mask in (mask, mask.half(), mask.bfloat16(), mask.double(), mask.int(), mask.bool()):
            # `value * mask` and its type, as in Glow-TTS, Matcha-TTS and the package; VITS does not multiply
            assert glow_tts.maximum_path(scores, of_mask).dtype == (scores * of_mask).dtype
            assert vits.maximum_path(scores.mT, of_mask.mT).dtype == scores.dtype
    theirs = monotonic_alignment_search.maximum_path(value.half(), mask)
    assert glow_tts.maximum_path(value.half(), mask).dtype == theirs.dtype == torch.float32
    assert mas.maximum_path(value.bfloat16(), mask, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert vits.maximum_path(value.mT.half(), mask.mT).dtype == torch.float16
    assert super_mas.maximum_path(value.half(), mask.int()).dtype == torch.float32
    assert super_mas.maximum_path(value, mask.bool(), torch.int32).dtype == torch.int32


def test_masks_of_any_type_give_exact_lengths() -> None:
    value = torch.zeros(1, 2, 2501)
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.bool, torch.int32, torch.uint8):
        path = mas.maximum_path(value, torch.ones(1, 2, 2501, dtype=dtype))
        assert path.sum() == 2501


def test_strided_arguments() -> None:
    value, mask = _value_and_mask()
    expected = mas.maximum_path(value, mask)
    wide = torch.stack([value, value + 1], 3)[..., 0]
    assert torch.equal(mas.maximum_path(wide, mask.mT.contiguous().mT), expected)


def test_wrong_axes_name_the_right_import() -> None:
    value, mask = _value_and_mask()
    with pytest.raises(ValueError, match="use `from mas.compat import vits as monotonic_align`"):
        glow_tts.maximum_path(value.mT, mask.mT)
    with pytest.raises(ValueError, match="use `from mas.compat import glow_tts as monotonic_align`"):
        vits.maximum_path(value, mask)
    with pytest.raises(ValueError, match="swapped; for value's order, use `from mas.compat import vits"):
        glow_tts.maximum_path(value.mT, mask)
    with pytest.raises(ValueError, match=r"squeeze\(1\)"):
        mas.maximum_path(value, mask[:, None])
    with pytest.raises(ValueError, match="the same three axes are needed"):
        mas.maximum_path(value, mask[:, :, :-1])


def test_items_without_a_path() -> None:
    value, mask = _value_and_mask()
    value[3, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="1 of 12 items cannot be aligned: item 3: scores hold NaN"):
        mas.maximum_path(value, mask)
    path = mas.maximum_path(value, mask, check=False)
    assert not path[3].any()
    assert path[4].sum() == mask[4, 0].sum()


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6, 1.0])
def test_minus_infinity_gives_their_path(share: float) -> None:
    """Also where every path has it: float16 overflows below -65504, and a trainer must not stop there."""
    for seed in range(5):
        value, mask = _value_and_mask(seed)
        draw = torch.rand(value.shape, generator=torch.Generator().manual_seed(seed))
        value[(draw < share) & (mask > 0)] = -torch.inf
        value[mask == 0] = 0  # theirs multiplies by the mask
        theirs = monotonic_alignment_search.maximum_path(value, mask)
        assert torch.equal(mas.maximum_path(value, mask), theirs)
        assert torch.equal(vits.maximum_path(value.mT, mask.mT), theirs.mT)
        log_p = value.mT.contiguous()[:, None].numpy()
        tokens, frames = mask[:, :, 0].sum(1).int().numpy(), mask[:, 0].sum(1).int().numpy()
        path = b_mas(log_p, tokens, frames)
        for b, (t, s) in enumerate(zip(tokens, frames, strict=True)):
            assert np.array_equal(path[b, 0, :s, :t], _moving_on_ties(log_p[b, 0, :s, :t]))


def test_one_item_of_minus_infinity_leaves_the_others_as_they_are() -> None:
    value, mask = _value_and_mask()
    before = mas.maximum_path(value, mask)
    value[3] = -torch.inf
    after = mas.maximum_path(value, mask)
    rest = torch.arange(len(value)) != 3
    assert torch.equal(after[rest], before[rest])
    assert after[3].sum() == mask[3, 0].sum()
    with pytest.raises(ValueError, match="NaN"):
        mas.maximum_path(value.where(torch.arange(12)[:, None, None] != 5, torch.nan), mask)
    with pytest.raises(ValueError, match=r"\+inf"):
        mas.maximum_path(value.where(torch.arange(12)[:, None, None] != 5, torch.inf), mask)


def test_compiles_without_graph_breaks() -> None:
    value, mask = _value_and_mask()
    compiled = torch.compile(vits.maximum_path, fullgraph=True, backend="eager")
    assert torch.equal(compiled(value.mT, mask.mT), vits.maximum_path(value.mT, mask.mT))


def _moving_on_ties(log_p: np.ndarray) -> np.ndarray:
    """NeMo's rule, cell by cell: `[S, T]` log-probabilities -> 0/1."""
    S, T = log_p.shape
    best = np.full((S, T), -np.inf, log_p.dtype)
    best[0, 0] = log_p[0, 0]
    for j in range(1, S):
        for i in range(T):
            move = best[j - 1, i - 1] if i > 0 else -np.inf
            best[j, i] = log_p[j, i] + max(best[j - 1, i], move)
    path = np.zeros_like(log_p)
    i = T - 1
    for j in range(S - 1, -1, -1):
        path[j, i] = 1
        if j > 0 and i > 0 and best[j - 1, i - 1] >= best[j - 1, i]:
            i -= 1
    return path


def test_b_mas_moves_on_ties() -> None:
    assert b_mas(np.zeros((1, 1, 6, 3), np.float32), np.array([3]), np.array([6]))[0, 0].sum(0).tolist() == [
        4,
        1,
        1,
    ]
    differs = False
    for seed in range(5):
        value, mask = _value_and_mask(seed)
        tokens, frames = mask[:, :, 0].sum(1).int().numpy(), mask[:, 0].sum(1).int().numpy()
        log_p = value.mT.contiguous()[:, None].numpy()
        before = log_p.copy()
        path = b_mas(log_p, tokens, frames)
        expected = np.zeros_like(log_p)
        for b, (t, s) in enumerate(zip(tokens, frames, strict=True)):
            expected[b, 0, :s, :t] = _moving_on_ties(log_p[b, 0, :s, :t])
        assert path.dtype == log_p.dtype
        assert np.array_equal(path, expected)
        assert np.array_equal(log_p, before)
        differs |= not np.array_equal(path[:, 0], mas.maximum_path(value, mask).mT.numpy())
    assert differs  # the cases tell the two rules apart


def test_b_mas_errors() -> None:
    log_p = np.zeros((1, 1, 6, 3), np.float32)
    with pytest.raises(ValueError, match="width 2"):
        b_mas(log_p, np.array([3]), np.array([6]), width=2)
    with pytest.raises(ValueError, match=r"\[batch, 1, speech, text\] is needed"):
        b_mas(log_p[0], np.array([3]), np.array([6]))
    with pytest.raises(ValueError, match="item 0: text length 6"):
        b_mas(log_p, np.array([6]), np.array([3]))
