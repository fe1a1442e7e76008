"""The encoder's contract: padding, receptive field, and attention against its formula."""

import math

import pytest
import torch

from aligner.encoders import text_encoder
from aligner.encoders.text_encoder import TextEncoder, _RelativeAttention

VOCAB = 11
SIZES = {  # Glow-TTS's
    "hidden": 192, "heads": 2, "layers": 6, "filter_channels": 768, "kernel": 3, "prenet_layers": 3,
    "relative_window": 4, "dropout": 0.1, "prenet_dropout": 0.5, "context_tokens": None,
}  # fmt: skip
SMALL = {"hidden": 16, "heads": 2, "layers": 2, "filter_channels": 24, "relative_window": 2}


def make(**changes) -> TextEncoder:
    """A small encoder in float64, in eval mode."""
    torch.manual_seed(0)
    return TextEncoder(VOCAB, **{**SIZES, **SMALL, **changes}).double().eval()


def sentences(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, VOCAB, (len(lengths), max(lengths)), generator=generator)
    return ids, torch.tensor(lengths)


@pytest.mark.parametrize("context", [None, 0, 1, 3])
def test_padding_and_batch_mates_do_not_matter(context: int | None) -> None:
    model = make(context_tokens=context)
    ids, lengths = sentences(9, 4, 1)
    padded = ids.clone()
    padded[1, 4:] = -1  # no id at all
    encoded = model(padded, lengths)
    for item, length in enumerate(lengths):
        alone = model(ids[item : item + 1, :length], lengths[item : item + 1])
        torch.testing.assert_close(encoded[item, :length], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("context", [0, 1, 2, 4])
@pytest.mark.parametrize("centre", [0, 5, 11])
def test_receptive_field_is_exact(context: int, centre: int) -> None:
    model = make(context_tokens=context)
    ids, lengths = sentences(12)
    before = model(ids, lengths)[0, centre]
    for place in range(12):
        changed = ids.clone()
        changed[0, place] = (ids[0, place] + 1) % VOCAB
        after = model(changed, lengths)[0, centre]
        assert torch.equal(before, after) == (abs(place - centre) > context)


@pytest.mark.parametrize("context", [None, 0, 20])
def test_what_is_added_to_a_sentence_changes_it_alone(
    context: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(context_tokens=context)
    ids, lengths = sentences(9, 4, 9)
    added = torch.zeros(3, SMALL["hidden"], dtype=torch.float64)
    plain = model(ids, lengths)
    torch.testing.assert_close(model(ids, lengths, added), plain, rtol=0, atol=1e-12)
    added[1] = 0.5
    changed = model(ids, lengths, added)
    torch.testing.assert_close(changed[[0, 2]], plain[[0, 2]], rtol=0, atol=1e-12)
    assert (changed[1, :4] - plain[1, :4]).abs().amax(1).min() > 1e-3
    if context == 20:  # windows of whole sentences: as without windows, also in chunks
        monkeypatch.setattr(text_encoder, "_CHUNK_TOKENS", 100)
        whole = make(context_tokens=None)(ids, lengths, added)
        again = model(ids, lengths, added)
        for row, length in enumerate(lengths):
            torch.testing.assert_close(again[row, :length], whole[row, :length], rtol=0, atol=1e-12)


def test_without_a_limit_a_token_sees_the_whole_sentence() -> None:
    model = make()
    ids, lengths = sentences(30)
    changed = ids.clone()
    changed[0, 29] = (ids[0, 29] + 1) % VOCAB
    assert not torch.equal(model(ids, lengths)[0, 0], model(changed, lengths)[0, 0])


def test_the_sentence_end_beyond_the_window_is_not_seen() -> None:
    model = make(context_tokens=2)
    ids, _ = sentences(12)
    long = model(ids, torch.tensor([12]))
    short = model(ids, torch.tensor([8]))
    torch.testing.assert_close(short[:, :6], long[:, :6], rtol=0, atol=0)
    assert not torch.isclose(short[:, 6:8], long[:, 6:8]).all(2).any()


def test_windows_that_hold_the_sentence_equal_no_windows() -> None:
    ids, lengths = sentences(7, 5)
    whole, windows = make(), make(context_tokens=6)
    there = torch.arange(7) < lengths[:, None]
    a, b = whole(ids, lengths)[there], windows(ids, lengths)[there]
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_chunks_do_not_change_results_or_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(context_tokens=1)
    ids, lengths = sentences(9, 6)
    gradients = []
    for chunk_tokens in (1000, 12, 1):  # all windows, four, one at a time
        monkeypatch.setattr(text_encoder, "_CHUNK_TOKENS", chunk_tokens)
        encoded = model(ids, lengths)
        with torch.no_grad():
            torch.testing.assert_close(model(ids, lengths), encoded, rtol=1e-9, atol=1e-9)
        model.zero_grad()
        (encoded**3).sum().backward()
        flat = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        gradients.append(torch.cat([encoded.detach().flatten(), *flat]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients[0], gradients[2], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("n_tokens", "window"), [(1, 2), (3, 4), (9, 2)])
def test_attention_equals_its_formula(n_tokens: int, window: int) -> None:
    """Shaw et al. 2018, equations 3 and 4, token by token."""
    torch.manual_seed(0)
    attention = _RelativeAttention(8, 2, window, dropout=0.0).double()
    x = torch.randn(2, n_tokens, 8).double()
    mask = torch.arange(n_tokens) < torch.tensor([n_tokens, max(1, n_tokens - 2)])[:, None]
    query, key, value = attention.query(x), attention.key(x), attention.value(x)
    mixed = torch.zeros_like(x)
    for item in range(2):
        there = [s for s in range(n_tokens) if mask[item, s]]
        for head in (slice(0, 4), slice(4, 8)):
            for t in range(n_tokens):
                keys, values = [], []
                for s in there:
                    near = abs(s - t) <= window
                    offset = s - t + window
                    keys.append(key[item, s, head] + (attention.relative_key[offset] if near else 0))
                    values.append(value[item, s, head] + (attention.relative_value[offset] if near else 0))
                scores = torch.stack(keys) @ query[item, t, head] / math.sqrt(4)
                mixed[item, t, head] = scores.softmax(0) @ torch.stack(values)
    expected = attention.output(mixed)
    torch.testing.assert_close(attention(x, mask)[mask], expected[mask], rtol=0, atol=1e-12)


def test_glow_tts_has_as_many_parameters() -> None:
    model = TextEncoder(148, **SIZES)
    projections = 2 * (192 * 80 + 80)  # to its means and deviations, of 80 log-mels
    assert sum(p.numel() for p in model.parameters()) + projections == pytest.approx(6.85e6, rel=0.01)
    assert model.embedding.weight.std().item() == pytest.approx(192**-0.5, rel=0.02)


@pytest.mark.parametrize("context", [None, 1])
def test_every_parameter_learns(context: int | None) -> None:
    model = make(context_tokens=context, relative_window=1).train()
    (model(*sentences(9, 4)) ** 3).sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9]
    # The same for every key a query meets, so the softmax takes it out again.
    assert still == ["layers.0.attention.key.bias", "layers.1.attention.key.bias"]


def test_half_precision_stays_finite() -> None:
    model = make(layers=1, context_tokens=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert model(*sentences(9, 1)).isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"hidden": 15}, "multiple of heads"), ({"kernel": 4}, "odd"), ({"context_tokens": -1}, "0 or more")],
)
def test_wrong_sizes_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"text_lengths \[B\], not \[1, 4\] and \[2\]"):
        make()(torch.zeros(1, 4, dtype=torch.int64), torch.tensor([4, 4]))
