"""Drop-in replacements against what they replace, on the same tensors."""

import re
from collections.abc import Callable

import monotonic_alignment_search
import numpy as np
import pytest
import torch
from monotonic_alignment_search import core
from search_cases import random_batch

import mas
from mas.compat import b_mas, glow_tts, monotonic_align, super_mas, vits


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
    with pytest.raises(ValueError, match=r"value has shape \(12, 1, 11, 40\).*squeeze\(1\)"):
        mas.maximum_path(value[:, None], mask[:, None])
    for wrong in ((value.numpy(), mask), (value, None), (value, mask.tolist())):
        with pytest.raises(
            TypeError, match=r"(value|mask): a torch.Tensor is needed, not (ndarray|NoneType|list)"
        ):
            mas.maximum_path(*wrong)  # type: ignore[arg-type]


def _their_core(value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The Cython code itself, for scores that multiplication by a mask would spread."""
    values, paths = value.numpy().copy(), np.zeros(value.shape, np.int32)
    core.maximum_path_c(paths, values, mask[:, :, 0].sum(1).int().numpy(), mask[:, 0].sum(1).int().numpy())
    return torch.from_numpy(paths)


_DROP_INS: dict[str, Callable] = {
    "mas": mas.maximum_path,
    "glow_tts": glow_tts.maximum_path,
    "super_mas": super_mas.maximum_path,
    "monotonic_align": monotonic_align.maximum_path,
    "vits": lambda value, mask, **check: vits.maximum_path(value.mT, mask.mT, **check).mT,
}


@pytest.mark.parametrize("drop_in", _DROP_INS.values(), ids=_DROP_INS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_allow_no_path_end_no_training_run(drop_in: Callable, bad: float) -> None:
    kind = "NaN" if bad != bad else r"\+inf"
    for seed in range(5):
        value, mask = _value_and_mask(seed)
        clean = drop_in(value, mask)
        draw = torch.rand(value.shape, generator=torch.Generator().manual_seed(seed))
        value[3][draw[3] < 0.1 * seed] = bad
        value[3, 0, 0] = bad
        with pytest.warns(UserWarning, match=rf"mas: item 3: scores hold {kind}; .* check=True"):
            path = drop_in(value, mask)
        assert torch.equal(path.int(), _their_core(value, mask))
        assert path[3].sum() == mask[3, 0].sum()
        others = torch.arange(12) != 3
        assert torch.equal(path[others], clean[others])
        with pytest.raises(ValueError, match=f"1 of 12 items cannot be aligned: item 3: scores hold {kind}"):
            drop_in(value, mask, check=True)
        path = drop_in(value, mask, check=False)
        assert not path[3].any()
        assert torch.equal(path[others], clean[others])


@pytest.mark.parametrize("drop_in", _DROP_INS.values(), ids=_DROP_INS)
def test_lengths_that_allow_no_path_are_errors_unless_asked(drop_in: Callable) -> None:
    value, mask = _value_and_mask()
    mask[5] = 0
    mask[5, :11, :4] = 1
    for check in ("lengths", True):
        with pytest.raises(ValueError, match="1 of 12 .* item 5: 11 tokens cannot share 4 frames"):
            drop_in(value, mask, check=check)
    assert not drop_in(value, mask, check=False)[5].any()
    with pytest.raises(ValueError, match="check 'all': use \"lengths\", True or False"):
        drop_in(value, mask, check="all")


def test_b_mas_checks_as_the_others() -> None:
    value, mask = _value_and_mask()
    tokens, frames = mask[:, :, 0].sum(1).int().numpy(), mask[:, 0].sum(1).int().numpy()
    log_p = value.mT.contiguous()[:, None].numpy()
    clean = b_mas(log_p, tokens, frames)
    log_p[3, 0, frames[3] // 2] = np.nan
    with pytest.warns(UserWarning, match="item 3: scores hold NaN"):
        path = b_mas(log_p, tokens, frames)
    assert (path[3].sum(2)[0, : frames[3]] == 1).all()
    assert np.array_equal(np.delete(path, 3, 0), np.delete(clean, 3, 0))
    with pytest.raises(ValueError, match="item 3: scores hold NaN"):
        b_mas(log_p, tokens, frames, check=True)
    assert not b_mas(log_p, tokens, frames, check=False)[3].any()


@pytest.mark.parametrize("sides", ["text", "speech", "both"])
def test_masks_padded_at_their_start_are_refused(sides: str) -> None:
    value, mask = _value_and_mask()
    axes = {"text": [1], "speech": [2], "both": [1, 2]}[sides]
    flipped = mask.flip(axes)
    padded = [b for b in range(12) if not torch.equal(flipped[b], mask[b])]
    with pytest.raises(ValueError, match=f"{len(padded)} of 12 .* item {padded[0]}: it has no tokens or no "):
        mas.maximum_path(value, flipped)
    with pytest.raises(ValueError, match="padded after an item, not before it"):
        vits.maximum_path(value.mT, flipped.mT)
    path = mas.maximum_path(value, flipped, check=False)
    assert [b for b in range(12) if not path[b].any()] == padded


def test_empty_axes() -> None:
    assert mas.maximum_path(torch.zeros(0, 3, 5), torch.zeros(0, 3, 5)).shape == (0, 3, 5)
    assert vits.maximum_path(torch.zeros(0, 0, 5), torch.zeros(0, 0, 5)).shape == (0, 0, 5)
    for shape in ((2, 0, 5), (2, 3, 0)):
        for check in ("lengths", True, False):
            with pytest.raises(ValueError, match=re.escape(f"value has shape {shape}; an item needs tokens")):
                mas.maximum_path(torch.zeros(shape), torch.zeros(shape), check=check)
        with pytest.raises(ValueError, match="an item needs tokens and frames"):
            b_mas(np.zeros(shape, np.float32)[:, None], np.array([1, 1]), np.array([1, 1]))


def test_resemble_ais_package_as_styletts2_uses_it() -> None:
    value, mask = _value_and_mask(T=9, S=40)
    tokens, frames = mask[:, :, 0].sum(1).int(), mask[:, 0].sum(1).int()
    for dtype in (torch.float32, torch.float16, torch.float64):
        found = monotonic_align.mask_from_lens(value.to(dtype), tokens, frames)
        assert found.dtype == dtype
        assert torch.equal(found.float(), mask)
        path = monotonic_align.maximum_path(
            value.to(dtype), mask
        )  # theirs gives value's type, not value * mask's
        assert path.dtype == dtype
        assert torch.equal(path.int(), _their_core(value.to(dtype).float(), mask))
    theirs = monotonic_alignment_search.maximum_path(value, torch.ones_like(value))
    assert torch.equal(monotonic_align.maximum_path(value), theirs)
    assert torch.equal(monotonic_align.maximum_path(value, topology="1-step-alt"), theirs)
    assert torch.equal(monotonic_align.mask_from_lens(value, tokens.tolist(), frames.numpy()), mask)
    assert monotonic_align.mask_from_len(tokens).shape == (12, int(tokens.max()))
    with pytest.raises(ValueError, match="topology '2-step'"):
        monotonic_align.maximum_path(value, mask, topology="2-step")
    with pytest.raises(ValueError, match="output_scores"):
        monotonic_align.maximum_path(value, mask, "1-step", True)


def test_the_core_of_styletts2s_own_maximum_path() -> None:
    value, mask = _value_and_mask()
    values, paths = value.numpy().copy(), np.zeros(value.shape, np.int32)
    tokens, frames = mask.sum(1)[:, 0].int().numpy(), mask.sum(2)[:, 0].int().numpy()
    monotonic_align.maximum_path_c(paths, values, tokens, frames)
    assert np.array_equal(paths, _their_core(value, mask).numpy())
    assert np.array_equal(values, value.numpy())
    values[3] = np.nan
    with pytest.raises(ValueError, match="item 3: scores hold NaN"):
        monotonic_align.maximum_path_c(paths, values, tokens, frames, check=True)
    with pytest.raises(ValueError, match="path has shape"):
        monotonic_align.maximum_path_c(paths[:, :3], values, tokens, frames)


def test_one_import_replaces_each() -> None:
    """Both ways that trainers import: the module, and the function out of it."""
    value, mask = _value_and_mask()
    expected = mas.maximum_path(value, mask)
    for name, turned in (
        ("glow_tts", False),
        ("vits", True),
        ("super_mas", False),
        ("monotonic_align", False),
    ):
        for statement in (
            f"from mas.compat import {name} as monotonic_align; maximum_path = monotonic_align.maximum_path",
            f"from mas.compat.{name} import maximum_path",
        ):
            names: dict = {}
            exec(statement, names)
            path = names["maximum_path"](*((value.mT, mask.mT) if turned else (value, mask)))
            assert torch.equal(path.mT if turned else path, expected)


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
