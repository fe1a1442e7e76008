"""`mas.search`: its contract, whatever the backend."""

import re
from collections.abc import Callable

import monotonic_alignment_search
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from search_cases import Batch, batches, random_batch

import mas
from mas.backends import reference


def test_all_ties_stay() -> None:
    assert mas.search(torch.zeros(1, 3, 6), torch.tensor([3]), torch.tensor([6])).tolist() == [[1, 1, 4]]


@settings(max_examples=100, deadline=None)
@given(batches())
def test_contract(batch: Batch) -> None:
    scores, text_lengths, speech_lengths, skippable = batch
    before = scores.clone()
    durations = mas.search(scores, text_lengths, speech_lengths, skippable=skippable)
    assert durations.dtype == torch.int64
    assert torch.equal(durations, reference.durations(*batch))
    assert torch.equal(durations.sum(1), speech_lengths)
    token = torch.arange(scores.shape[1])
    must_speak = token < text_lengths[:, None]
    if skippable is not None:
        must_speak &= ~skippable
    assert (durations[must_speak] > 0).all()
    assert (durations[token >= text_lengths[:, None]] == 0).all()
    assert torch.equal(scores, before)


def test_speech_first_layout() -> None:
    batch = random_batch(1, 8, 9, 30, skips=True)
    expected = reference.durations(*batch)
    for turned in (batch.scores.mT, batch.scores.mT.contiguous()):
        durations = mas.search(turned, *batch[1:3], layout="BST", skippable=batch.skippable)
        assert torch.equal(durations, expected)


def test_padding_is_not_looked_at() -> None:
    batch = random_batch(2, 12, 9, 30)
    inside = (torch.arange(9)[:, None] < batch.text_lengths[:, None, None]) & (
        torch.arange(30) < batch.speech_lengths[:, None, None]
    )
    expected = mas.search(*batch[:3])
    for poison in (float("nan"), float("inf")):
        assert torch.equal(mas.search(batch.scores.masked_fill(~inside, poison), *batch[1:3]), expected)


def test_any_strides() -> None:
    batch = random_batch(3, 6, 7, 20)
    expected = mas.search(*batch[:3])
    every_other = torch.randn(12, 14, 60)[::2, ::2, ::3].copy_(batch.scores)
    assert torch.equal(mas.search(every_other, *batch[1:3]), expected)
    one = batch.scores[:1].expand(6, -1, -1)
    lengths = batch.text_lengths[:1].expand(6), batch.speech_lengths[:1].expand(6)
    assert torch.equal(mas.search(one, *lengths), expected[:1].expand(6, -1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_add_up_in_float32(dtype: torch.dtype) -> None:
    batch = random_batch(4, 8, 20, 300)
    scores = batch.scores.to(dtype)
    assert torch.equal(mas.search(scores, *batch[1:3]), mas.search(scores.float(), *batch[1:3]))


def test_lengths_of_either_integer_type() -> None:
    batch = random_batch(5, 8, 9, 30)
    durations = mas.search(batch.scores, batch.text_lengths.int(), batch.speech_lengths.int())
    assert torch.equal(durations, mas.search(*batch[:3]))


def test_equals_the_package_in_use_today() -> None:
    for seed, (T, S) in enumerate([(1, 1), (1, 9), (7, 7), (20, 61), (33, 200)]):
        batch = random_batch(seed, 16, T, S)
        mask = (torch.arange(T)[:, None] < batch.text_lengths[:, None, None]) & (
            torch.arange(S) < batch.speech_lengths[:, None, None]
        )
        theirs = monotonic_alignment_search.maximum_path(batch.scores, mask.float())
        assert torch.equal(mas.search(*batch[:3]), theirs.sum(2).long())


def test_scores_below_their_minus_1e9() -> None:
    scores = torch.full((1, 2, 4), -1e9)
    scores[0, 1, 1:] = -2e9
    assert mas.search(scores, torch.tensor([2]), torch.tensor([4])).tolist() == [[3, 1]]


def test_many_bfloat16_frames() -> None:
    # 2501 is no bfloat16: where lengths come from adding up a mask in that type, frames go missing.
    scores = torch.zeros(1, 2, 2501, dtype=torch.bfloat16)
    assert mas.search(scores, torch.tensor([2]), torch.tensor([2501])).tolist() == [[1, 2500]]


def test_empty_batches() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert mas.search(torch.zeros(0, 3, 6), none, none).shape == (0, 3)
    assert mas.search(torch.zeros(0, 0, 6), [], []).shape == (0, 0)
    with pytest.raises(ValueError, match="speech length 0 is not within"):
        mas.search(torch.zeros(1, 3, 0), torch.tensor([3]), torch.tensor([0]))
    with pytest.raises(
        ValueError, match="2 of 2 .* item 0: text length 3 is not within the scores' 1 to 0 to"
    ):
        mas.search(torch.zeros(2, 0, 6), [3, 3], [6, 6])
    assert mas.search(torch.zeros(2, 0, 6), [3, 3], [6, 6], check=False).shape == (2, 0)
    with pytest.raises(ValueError, match="text length 0 is not within the scores' 1 to 0 tokens"):
        mas.gaussian_search(torch.zeros(1, 0, 4), None, torch.zeros(1, 6, 4), [0], [6])
    with pytest.raises(ValueError, match="speech length 0 is not within"):
        mas.gaussian_search(torch.zeros(1, 2, 4), None, torch.zeros(1, 0, 4), [2], [0])
    # Without channels every score is the same.
    assert mas.gaussian_search(torch.zeros(1, 3, 0), None, torch.zeros(1, 6, 0), [3], [6]).tolist() == [
        [1, 1, 4]
    ]


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda n: np.array(n, np.int32)])
def test_lengths_that_are_no_tensors(kind: Callable) -> None:
    batch = random_batch(5, 8, 9, 30)
    text, speech = kind(batch.text_lengths.tolist()), kind(batch.speech_lengths.tolist())
    assert torch.equal(mas.search(batch.scores, text, speech), mas.search(*batch[:3]))
    states = torch.arange(9).expand(8, 9)
    expected = mas.search_states(batch.scores.mT, states, *batch[1:3])
    assert torch.equal(mas.search_states(batch.scores.mT, states, text, speech), expected)
    mean, frames = batch.scores[:, :, :4], batch.scores.mT[:, :, :4]
    expected = mas.gaussian_search(mean, None, frames, *batch[1:3])
    assert torch.equal(mas.gaussian_search(mean, None, frames, text, speech), expected)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([7], ValueError, "text_lengths has shape (1,); one length an item is needed: (2,)"),
        ([7.0, 6.0], ValueError, "text_lengths is torch.float32; lengths are int64 or int32"),
        ([True, True], ValueError, "text_lengths is torch.bool"),
        (np.array([7, 6], np.int16), ValueError, "text_lengths is torch.int16"),
        (np.ones((2, 7)), ValueError, "of a mask that is padded at its end, pass the number of its ones"),
        (torch.ones(2, 7, dtype=torch.bool), ValueError, "text_lengths has shape (2, 7); one length an item"),
        (["7", "6"], TypeError, "text_lengths: one integer an item is needed"),
        ([[7], [6, 5]], TypeError, "text_lengths: one integer an item is needed"),
        ([None, 7], TypeError, "text_lengths: one integer an item is needed"),
        (
            7,
            TypeError,
            "text_lengths: a torch.Tensor, a list or a NumPy array of integers is needed, not int",
        ),
        (None, TypeError, "not NoneType"),
    ],
)
def test_lengths_that_are_none(lengths: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        mas.search(torch.zeros(2, 7, 20), lengths, [20, 20])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_lengths": [3, 7, 0]}, "item 2: text length 0 is not within the scores' 1 to 7 tokens"),
        ({"text_lengths": [3, 8, 2]}, "item 1: text length 8 is not within"),
        ({"speech_lengths": [20, -1, 9]}, "item 1: speech length -1 is not within the scores' 1 to 20"),
        ({"speech_lengths": [20, 6, 9]}, "item 1: 7 tokens cannot share 6 frames"),
        ({"at": (2, 1, 4), "score": float("nan")}, "1 of 3 items cannot be aligned: item 2: scores hold NaN"),
        ({"at": (0, 1, 4), "score": float("inf")}, "item 0: scores hold +inf"),
        ({"at": (0, 0, 0), "score": float("-inf")}, "item 0: the best path's score is not finite"),
        ({"skippable": [0, 1]}, "item 1: two neighbouring tokens are skippable"),
    ],
)
def test_items_without_a_path_are_named(change: dict, message: str) -> None:
    scores = torch.randn(3, 7, 20, generator=torch.Generator().manual_seed(0))
    text = torch.tensor(change.get("text_lengths", [3, 7, 2]))
    speech = torch.tensor(change.get("speech_lengths", [20, 19, 9]))
    if "at" in change:
        scores[change["at"]] = change["score"]
    skippable = None
    if "skippable" in change:
        skippable = torch.zeros(3, 7, dtype=torch.bool)
        skippable[1, change["skippable"]] = True
    for backend in ("cpu", "reference"):
        with pytest.raises(ValueError, match=re.escape(message)):
            mas.search(scores, text, speech, skippable=skippable, backend=backend)
        durations = mas.search(scores, text, speech, skippable=skippable, backend=backend, check=False)
        named = int(re.search(r"item (\d)", message).group(1))  # type: ignore[union-attr]
        assert durations[named].tolist() == [-1] * 7
        others = [b for b in range(3) if b != named]
        assert torch.equal(durations[others].sum(1), speech[others])


def test_skippable_tokens_make_room() -> None:
    scores, skippable = torch.zeros(1, 3, 2), torch.tensor([[False, True, False]])
    length = torch.tensor([3]), torch.tensor([2])
    with pytest.raises(ValueError, match="3 tokens cannot share 2 frames"):
        mas.search(scores, *length)
    assert mas.search(scores, *length, skippable=skippable).tolist() == [[1, 0, 1]]


def test_swapped_axes_are_recognised() -> None:
    scores = torch.randn(2, 5, 30)
    text, speech = torch.tensor([5, 4]), torch.tensor([30, 22])
    with pytest.raises(ValueError, match='fit the other axis order: pass layout="BST"'):
        mas.search(scores.mT, text, speech)
    with pytest.raises(ValueError, match='fit the other axis order: pass layout="BTS"'):
        mas.search(scores, text, speech, layout="BST")
    with pytest.raises(ValueError, match="Most texts are longer than their speech"):
        mas.search(torch.randn(2, 30, 30), speech, text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": torch.zeros(7, 20)}, "scores have shape (7, 20)"),
        (
            {"scores": torch.zeros(2, 1, 7, 20)},
            "scores have shape (2, 1, 7, 20); batch, text and speech are "
            "needed; drop the second axis with squeeze(1)",
        ),
        ({"scores": torch.zeros(2, 7, 20, dtype=torch.int32)}, "scores are torch.int32"),
        ({"text_lengths": torch.tensor([7])}, "text_lengths has shape (1,)"),
        ({"speech_lengths": torch.tensor([20.0, 20.0])}, "speech_lengths is torch.float32"),
        ({"layout": "TBS"}, "layout 'TBS'"),
        ({"skippable": torch.zeros(2, 8, dtype=torch.bool)}, "skippable has shape (2, 8)"),
        ({"skippable": torch.zeros(2, 7)}, "skippable is torch.float32"),
        ({"backend": "fortran"}, "backend 'fortran' does not serve cpu"),
        ({"backend": "hopper"}, "backend 'hopper' does not serve cpu"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    right = {
        "scores": torch.zeros(2, 7, 20),
        "text_lengths": torch.tensor([7, 7]),
        "speech_lengths": torch.tensor([20, 20]),
    }
    with pytest.raises(ValueError, match=re.escape(message)):
        mas.search(**(right | arguments))


def test_no_gradient_is_tracked() -> None:
    scores = torch.randn(1, 3, 9, requires_grad=True)
    assert not mas.search(scores, torch.tensor([3]), torch.tensor([9])).requires_grad


def test_compiles_without_graph_breaks() -> None:
    batch = random_batch(6, 4, 7, 20, skips=True)

    @torch.compile(fullgraph=True, backend="eager")
    def durations(scores, text, speech, skippable):
        return mas.search(2 * scores, text, speech, skippable=skippable) + 1

    expected = mas.search(2 * batch.scores, *batch[1:3], skippable=batch.skippable) + 1
    assert torch.equal(durations(*batch), expected)


def test_the_operation_is_what_it_says() -> None:
    batch = random_batch(7, 4, 7, 20, skips=True)
    torch.library.opcheck(torch.ops.mas.search, (*batch, "search BTS", "", True))
    durations = mas.search(*batch[:3])
    torch.library.opcheck(torch.ops.mas.dense_path, (durations, 20, True, torch.float32))


def test_dense_path() -> None:
    durations = torch.tensor([[2, 0, 1, 0], [-1, -1, -1, -1], [1, 1, 1, 1]])
    path = mas.dense_path(durations, 4, dtype=torch.bool)
    assert path[0].int().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert not path[1].any()
    assert torch.equal(path[2], torch.eye(4, dtype=torch.bool))
    assert torch.equal(mas.dense_path(durations, 4, layout="BST", dtype=torch.bool), path.mT)
    with pytest.raises(ValueError, match="layout 'BS'"):
        mas.dense_path(durations, 4, layout="BS")  # type: ignore[arg-type]


def test_dense_path_of_nothing_and_of_the_wrong_thing() -> None:
    none = torch.zeros(0, 3, dtype=torch.int64)
    for layout, shape in (("BTS", (0, 3, 5)), ("BST", (0, 5, 3))):
        assert mas.dense_path(none, 5, layout=layout).shape == shape
    assert mas.dense_path(torch.zeros(2, 0, dtype=torch.int64), 5).shape == (2, 0, 5)
    assert mas.dense_path(torch.ones(2, 3, dtype=torch.int32), 0).shape == (2, 3, 0)
    for wrong, message in (
        (
            torch.ones(2, 1, 3).long(),
            "durations have shape (2, 1, 3); batch and text are needed; drop the second",
        ),
        (torch.ones(3).long(), "durations have shape (3,); batch and text are needed"),
        (torch.ones(2, 3), "durations are torch.float32; whole numbers of frames are integers: use .long()"),
        (torch.ones(2, 3, dtype=torch.bool), "durations are torch.bool"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            mas.dense_path(wrong, 5)
    with pytest.raises(ValueError, match="n_frames is -1"):
        mas.dense_path(torch.ones(2, 3).long(), -1)
    with pytest.raises(TypeError, match="durations: a torch.Tensor is needed, not list"):
        mas.dense_path([[1, 2]], 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="n_frames: an integer is needed, not float"):
        mas.dense_path(torch.ones(2, 3).long(), 3.0)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(("T", "S"), [(100, 2500), (300, 2500), (300, 2503), (1100, 2500)])
def test_the_default_backend_gives_what_each_gives(T: int, S: int, dtype: torch.dtype, skips: bool) -> None:
    scores = torch.randn(2, T, S, device="cuda").to(dtype)
    skippable = (torch.arange(T, device="cuda") % 5 == 0).expand(2, T) if skips else None
    found = mas.search(scores, [T, T - 7], [2500, 2301], skippable=skippable)
    for backend in mas.available_backends("cuda"):
        if backend != "reference":
            again = mas.search(scores, [T, T - 7], [2500, 2301], skippable=skippable, backend=backend)
            assert torch.equal(found, again), backend
