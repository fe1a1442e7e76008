"""`mas.search_states`: its contract, whatever the backend."""

import re

import pytest
import torch
from hypothesis import given, settings
from state_cases import StateBatch, random_state_batch, state_batches

import mas
from mas.backends import reference


@settings(max_examples=200, deadline=None)
@given(state_batches())
def test_equals_the_search_over_gathered_scores(batch: StateBatch) -> None:
    before = [None if t is None else t.clone() for t in batch]
    expected = batch.expected()
    for backend in ("cpu", "reference"):
        durations = batch.search(backend=backend)
        assert durations.dtype == torch.int64
        assert torch.equal(durations, expected)
    for own, then in zip(batch, before, strict=True):
        assert own is then is None or torch.equal(own, then)


def test_items_may_overlap() -> None:
    emissions = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    starts, lengths = torch.tensor([0, 0, 5, 12]), torch.tensor([20, 20, 9, 8])
    states = torch.tensor([[0, 1, 2], [2, 1, 0], [0, 1, 0], [1, 1, 1]])
    tokens = torch.tensor([3, 3, 3, 2])
    durations = mas.search_states(emissions, states, tokens, lengths, starts=starts)
    for b, (start, length, n) in enumerate(zip(starts, lengths, tokens, strict=True)):
        scores = emissions[start : start + length, states[b, :n]].T[None]
        assert torch.equal(durations[b, :n], mas.search(scores, n[None], length[None])[0])


def test_padding_is_not_looked_at() -> None:
    batch = random_state_batch(2, 12, 9, 30, 5)
    expected = batch.search()
    emissions, states = batch.emissions.clone(), batch.states.clone()
    states[torch.arange(9) >= batch.text_lengths[:, None]] = -(2**40)
    for poison in (float("nan"), float("inf")):
        emissions[torch.arange(30) >= batch.speech_lengths[:, None]] = poison
        for b in range(12):
            unused = torch.ones(5, dtype=torch.bool)
            unused[batch.states[b, : batch.text_lengths[b]]] = False
            emissions[b, :, unused] = poison
        for backend in ("cpu", "reference"):
            poisoned = batch._replace(emissions=emissions, states=states)
            assert torch.equal(poisoned.search(backend=backend), expected)


def test_cells_no_path_can_visit_are_not_looked_at() -> None:
    # Each token has a state of its own, so that a cell is an emission.
    emissions = torch.randn(1, 7, 4, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([4]), torch.tensor([7])
    expected = mas.search_states(emissions, torch.arange(4)[None], *lengths)
    poisoned = emissions.masked_fill(
        ~reference.visitable(torch.zeros(4, dtype=torch.bool), 7).T, float("nan")
    )
    assert poisoned.isnan().sum() == 12
    assert torch.equal(mas.search_states(poisoned, torch.arange(4)[None], *lengths), expected)


def _views(emissions: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same emissions in other memory, among garbage."""
    sizes = emissions.shape
    room = torch.full([3 * n + 2 for n in sizes], float("nan"))
    sliced = room.clone()[tuple(slice(1, 1 + n) for n in sizes)]
    scattered = room.clone()[tuple(slice(1, 1 + 3 * n, 3) for n in sizes)]
    turned = torch.full(sizes[::-1], float("nan")).permute(*range(len(sizes))[::-1])
    views = {"sliced": sliced, "scattered": scattered, "turned": turned}
    return {name: view.copy_(emissions) for name, view in views.items()}


@pytest.mark.parametrize("packed", [False, True])
def test_any_strides(packed: bool) -> None:
    batch = random_state_batch(3, 6, 7, 20, 4, packed=packed)
    expected = batch.search()
    for name, view in _views(batch.emissions).items():
        for backend in ("cpu", "reference"):
            assert torch.equal(batch._replace(emissions=view).search(backend=backend), expected), name
    wide = torch.full((6, 14), -1)
    wide[:, ::2] = batch.states
    assert torch.equal(batch._replace(states=wide[:, ::2]).search(), expected)


def test_one_speech_for_all_items() -> None:
    batch = random_state_batch(4, 5, 7, 20, 4)
    one = batch.emissions[:1].expand(5, -1, -1)
    assert torch.equal(
        batch._replace(emissions=one).search(), batch._replace(emissions=one.contiguous()).search()
    )


def test_emissions_are_not_copied_where_a_view_will_do() -> None:
    from mas.backends.packed_emissions import packed

    emissions = torch.randn(3, 12, 6)
    for view in (emissions, emissions[:, 1:10], emissions[:, :, 1:4], emissions[:1].expand(3, -1, -1)):
        rows, starts = packed(view, None)
        assert rows.untyped_storage().data_ptr() == emissions.untyped_storage().data_ptr()
        assert starts.tolist() == [b * view.stride(0) // 6 for b in range(3)]
        for b in range(3):
            assert torch.equal(rows[starts[b] : starts[b] + view.shape[1]], view[b])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_add_up_in_float32(dtype: torch.dtype) -> None:
    batch = random_state_batch(5, 8, 20, 300, 12)
    other = batch._replace(emissions=batch.emissions.to(dtype))
    assert torch.equal(other.search(), other._replace(emissions=other.emissions.float()).search())


def test_integers_of_either_type() -> None:
    batch = random_state_batch(6, 8, 9, 30, 5, packed=True)
    integers = {name: getattr(batch, name).int() for name in batch._fields[1:5]}
    for backend in ("cpu", "reference"):
        assert torch.equal(batch._replace(**integers).search(backend=backend), batch.search())


def test_empty_batches() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert mas.search_states(torch.zeros(0, 6, 2), none.view(0, 3), none, none).shape == (0, 3)
    assert mas.search_states(torch.zeros(6, 2), none.view(0, 3), none, none, starts=none).shape == (0, 3)
    no_tokens = torch.zeros(2, 0, dtype=torch.int64)
    with pytest.raises(ValueError, match="2 of 2 .* item 0: text length 0 is not within the states' 1 to 0"):
        mas.search_states(torch.zeros(2, 6, 2), no_tokens, [0, 0], [6, 6])
    assert mas.search_states(torch.zeros(2, 6, 2), no_tokens, [0, 0], [6, 6], check=False).shape == (2, 0)
    length = torch.tensor([1])
    with pytest.raises(ValueError, match="speech length 1 is not within the emissions' 1 to 0 frames"):
        mas.search_states(torch.zeros(1, 0, 2), torch.zeros(1, 3, dtype=torch.int64), length, length)
    with pytest.raises(ValueError, match="state 0 of token 0 is no column"):
        mas.search_states(torch.zeros(1, 4, 0), torch.zeros(1, 3, dtype=torch.int64), length, length)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_lengths": [3, 7, 0]}, "item 2: text length 0 is not within the states' 1 to 7 tokens"),
        ({"text_lengths": [3, 8, 2]}, "item 1: text length 8 is not within"),
        ({"speech_lengths": [20, -1, 9]}, "item 1: speech length -1"),
        ({"speech_lengths": [20, 19, 21]}, "item 2: speech length 21 is not within the emissions' 1 to 20"),
        ({"speech_lengths": [21, 19, 9]}, "item 0: speech length 21 is not within the emissions' 1 to 20"),
        ({"speech_lengths": [20, 6, 9]}, "item 1: 7 tokens cannot share 6 frames"),
        ({"starts": [0, 40, 51], "speech_lengths": [20, 19, 9]}, "item 2: start 51 and speech length 9 are"),
        ({"starts": [0, -1, 40]}, "item 1: start -1 and speech length 19 are not within the emissions' 59 r"),
        (
            {"starts": [0, 0, 0], "speech_lengths": [20, 60, 9]},
            "item 1: start 0 and speech length 60 are not",
        ),
        ({"states": (1, 6, 5)}, "item 1: state 5 of token 6 is no column of the emissions (0 to 4)"),
        ({"states": (0, 2, -1)}, "item 0: state -1 of token 2 is no column of the emissions (0 to 4)"),
        ({"at": (2, 1, 4), "score": float("nan")}, "1 of 3 items cannot be aligned: item 2: scores hold NaN"),
        ({"at": (0, 1, 4), "score": float("inf")}, "item 0: scores hold +inf"),
        ({"at": (0, 0), "score": float("-inf")}, "item 0: the best path's score is not finite"),
        ({"skippable": [0, 1]}, "item 1: two neighbouring tokens are skippable"),
    ],
)
def test_items_without_a_path_are_named(change: dict, message: str) -> None:
    emissions = torch.randn(3, 20, 5, generator=torch.Generator().manual_seed(0))
    states = torch.tensor([4, 0, 4, 2, 3, 4, 1]).repeat(3, 1)
    text = torch.tensor(change.get("text_lengths", [3, 7, 2]))
    speech = torch.tensor(change.get("speech_lengths", [20, 19, 9]))
    options = {}
    if "at" in change:
        emissions[change["at"]] = change["score"]
    if "states" in change:
        b, i, state = change["states"]
        states[b, i] = state
    if "starts" in change:
        emissions, options["starts"] = emissions.reshape(60, 5)[:59], torch.tensor(change["starts"])
    if "skippable" in change:
        options["skippable"] = torch.zeros(3, 7, dtype=torch.bool)
        options["skippable"][1, change["skippable"]] = True
    for backend in ("cpu", "reference"):
        with pytest.raises(ValueError, match=re.escape(message)):
            mas.search_states(emissions, states, text, speech, **options, backend=backend)
        durations = mas.search_states(
            emissions, states, text, speech, **options, backend=backend, check=False
        )
        named = int(re.search(r"item (\d)", message).group(1))  # type: ignore[union-attr]
        assert durations[named].tolist() == [-1] * 7
        others = [b for b in range(3) if b != named]
        assert torch.equal(durations[others].sum(1), speech[others])


def test_skippable_tokens_make_room() -> None:
    emissions, states = torch.zeros(1, 2, 1), torch.zeros(1, 3, dtype=torch.int64)
    length = torch.tensor([3]), torch.tensor([2])
    with pytest.raises(ValueError, match="3 tokens cannot share 2 frames"):
        mas.search_states(emissions, states, *length)
    skippable = torch.tensor([[False, True, False]])
    assert mas.search_states(emissions, states, *length, skippable=skippable).tolist() == [[1, 0, 1]]


def test_lengths_that_seem_swapped() -> None:
    states = torch.zeros(2, 30, dtype=torch.int64)
    with pytest.raises(ValueError, match="are the two lengths swapped"):
        mas.search_states(torch.randn(2, 30, 3), states, torch.tensor([30, 22]), torch.tensor([5, 4]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"emissions": torch.zeros(7, 20)}, "packed emissions [F, M] need starts"),
        ({"emissions": torch.zeros(3, 20, 4)}, "emissions have shape (3, 20, 4); 2 items"),
        ({"emissions": torch.zeros(2, 20, 4, dtype=torch.int32)}, "emissions are torch.int32"),
        ({"starts": torch.zeros(2, dtype=torch.int64)}, "with starts, use [F, M]"),
        ({"states": torch.zeros(7, dtype=torch.int64)}, "states have shape (7,)"),
        ({"states": torch.zeros(2, 7)}, "states are torch.float32"),
        ({"emissions": torch.zeros(20, 4), "starts": torch.tensor([0])}, "starts has shape (1,)"),
        ({"emissions": torch.zeros(20, 4), "starts": torch.zeros(2)}, "starts is torch.float32"),
        ({"text_lengths": torch.tensor([7])}, "text_lengths has shape (1,)"),
        ({"speech_lengths": torch.tensor([20.0, 20.0])}, "speech_lengths is torch.float32"),
        ({"skippable": torch.zeros(2, 8, dtype=torch.bool)}, "skippable has shape (2, 8)"),
        ({"skippable": torch.zeros(2, 7)}, "skippable is torch.float32"),
        ({"backend": "fortran"}, "backend 'fortran' does not serve cpu"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    right = {
        "emissions": torch.zeros(2, 20, 4),
        "states": torch.zeros(2, 7, dtype=torch.int64),
        "text_lengths": torch.tensor([7, 7]),
        "speech_lengths": torch.tensor([20, 20]),
    }
    with pytest.raises(ValueError, match=re.escape(message)):
        mas.search_states(**(right | arguments))


def test_no_gradient_is_tracked() -> None:
    emissions = torch.randn(1, 9, 2, requires_grad=True)
    states = torch.tensor([[0, 1, 0]])
    assert not mas.search_states(emissions, states, torch.tensor([3]), torch.tensor([9])).requires_grad


def test_compiles_without_graph_breaks() -> None:
    batch = random_state_batch(7, 4, 7, 20, 5, packed=True, skips=True)

    @torch.compile(fullgraph=True, backend="eager")
    def durations(emissions, states, text, speech, starts, skippable):
        return mas.search_states(2 * emissions, states, text, speech, starts=starts, skippable=skippable) + 1

    assert torch.equal(durations(*batch), batch._replace(emissions=2 * batch.emissions).search() + 1)


@pytest.mark.parametrize("packed", [False, True])
def test_the_operation_is_what_it_says(packed: bool) -> None:
    emissions, states, text, speech, starts, skippable = random_state_batch(
        8, 4, 7, 20, 5, packed=packed, skips=True
    )
    arguments = (emissions, states, starts, text, speech, 25, skippable, "", True)
    torch.library.opcheck(torch.ops.mas.search_states, arguments)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_items_of_more_than_most_frames_are_named(packed: bool, backend: str) -> None:
    batch = random_state_batch(9, 4, 7, 20, 5, packed=packed)._replace(
        text_lengths=torch.tensor([3, 3, 3, 3]), speech_lengths=torch.tensor([8, 12, 13, 9])
    )
    if packed:
        batch = batch._replace(starts=torch.tensor([0, 20, 3, 31]))
    expected = batch.search(backend="reference")
    assert torch.equal(batch.search(backend=backend, most_frames=13), expected)
    assert torch.equal(batch.search(backend=backend, most_frames=1000), expected)
    expected[2] = -1
    assert torch.equal(batch.search(backend=backend, most_frames=12, check=False), expected)
    with pytest.raises(
        ValueError, match=r"1 of 4 items .* item 2: speech length 13 is more than most_frames, 12"
    ):
        batch.search(backend=backend, most_frames=12)
    assert (batch.search(backend=backend, most_frames=0, check=False) == -1).all()
