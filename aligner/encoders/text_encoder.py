"""Glow-TTS's text encoder: token ids to a vector for each token, in the context of the sentence.

B batch, T text tokens, V symbols, D hidden width, H heads, W = 2r + 1 window.

Source: Kim et al., "Glow-TTS", 2020, section 3.3 and appendix A.1; https://github.com/jaywalnut310/glow-tts
(attentions.py, models.py); relative positions after Shaw et al., 2018.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_PRENET_KERNEL = 5
_NORM_EPSILON = 1e-4
_CHUNK_TOKENS = 32768  # tokens encoded at once when each token has a window of its own


class TextEncoder(nn.Module):
    """Embedding, convolutional prenet, post-norm transformer.

    Args:
        vocab_size: Symbols; ids are 0..vocab_size-1.
        hidden: Width; D.
        heads: Attention heads.
        layers: Transformer layers, 0 for none.
        filter_channels: Width of the convolutions in each layer.
        kernel: Of those convolutions, odd.
        prenet_layers: Convolutions of width 5 before the transformer, 0 for none.
        relative_window: How many positions either side have relative-position embeddings of their own.
        dropout: In the transformer.
        prenet_dropout: In the prenet.
        context_tokens: How many neighbours either side a token may see; None for the whole sentence.

    Raises:
        ValueError: For sizes that do not fit each other.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden: int,
        heads: int,
        layers: int,
        filter_channels: int,
        kernel: int,
        prenet_layers: int,
        relative_window: int,
        dropout: float,
        prenet_dropout: float,
        context_tokens: int | None,
    ) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"hidden ({hidden}) must be a multiple of heads ({heads})")
        if kernel % 2 == 0:
            raise ValueError(f"kernel ({kernel}) must be odd, so that a token lies in its middle")
        if context_tokens is not None and context_tokens < 0:
            raise ValueError(f"context_tokens ({context_tokens}) must be 0 or more, or null for the sentence")
        self.hidden = hidden
        self.context_tokens = context_tokens
        self.embedding = nn.Embedding(vocab_size, hidden)
        nn.init.normal_(self.embedding.weight, 0.0, hidden**-0.5)
        self.prenet = _Prenet(hidden, prenet_layers, prenet_dropout) if prenet_layers else None
        self.layers = nn.ModuleList(
            _Layer(hidden, heads, filter_channels, kernel, relative_window, dropout) for _ in range(layers)
        )

    def forward(self, token_ids: Tensor, text_lengths: Tensor, added: Tensor | None = None) -> Tensor:
        """A vector for every token, `[B, T, D]`; anything in the padding.

        A sentence's result does not depend on what it is batched with.

        Args:
            token_ids: int64 `[B, T]`. What stands in the padding does not matter.
            text_lengths: `[B]`, tokens of each sentence.
            added: `[B, D]`, to the embedding of each token of a sentence: who speaks; None: nothing.

        Raises:
            ValueError: For other shapes.
        """
        if token_ids.ndim != 2 or text_lengths.shape != token_ids.shape[:1]:
            raise ValueError(
                "token_ids must be [B, T] and text_lengths [B], "
                f"not {list(token_ids.shape)} and {list(text_lengths.shape)}"
            )
        position = torch.arange(token_ids.shape[1], device=token_ids.device)
        mask = position < text_lengths.to(token_ids.device)[:, None]
        token_ids = token_ids.masked_fill(~mask, 0)
        if self.context_tokens is None:
            return self._encode(token_ids, mask, added)
        return self._encode_windows(token_ids, mask, added, self.context_tokens)

    def _encode(self, token_ids: Tensor, mask: Tensor, added: Tensor | None) -> Tensor:
        """`[B, T]` ids, of which `mask [B, T]` says which are there, to `[B, T, D]`."""
        x = self.embedding(token_ids)
        if added is not None:
            x = x + added[:, None]
        x = x * math.sqrt(self.hidden)
        if self.prenet is not None:
            x = self.prenet(x, mask)
        for layer in self.layers:
            x = layer(x, mask)
        return x

    def _encode_windows(self, token_ids: Tensor, mask: Tensor, added: Tensor | None, context: int) -> Tensor:
        """As `_encode`, each token from its own window of the sentence: `[B, T]` to `[B, T, D]`."""
        width = 2 * context + 1
        windows = F.pad(token_ids, (context, context)).unfold(1, width, 1).reshape(-1, width)
        present = F.pad(mask, (context, context)).unfold(1, width, 1).reshape(-1, width)
        rows = max(1, _CHUNK_TOKENS // width)
        parts_of_windows = windows.split(rows)
        of_windows: Sequence[Tensor | None] = [None] * len(parts_of_windows)
        if added is not None:
            of_windows = added.repeat_interleave(token_ids.shape[1], 0).split(rows)
        chunks = list(zip(parts_of_windows, present.split(rows), of_windows, strict=True))
        if len(chunks) > 1 and torch.is_grad_enabled():
            # Recomputed in the backward pass: otherwise all chunks' activations would be held until then.
            parts = [checkpoint(self._encode_centre, *chunk, use_reentrant=False) for chunk in chunks]
        else:
            parts = [self._encode_centre(*chunk) for chunk in chunks]
        centres = torch.cat(parts)
        return centres.view(*token_ids.shape, self.hidden)

    def _encode_centre(self, windows: Tensor, present: Tensor, added: Tensor | None) -> Tensor:
        """`[windows, W]` to `[windows, D]`."""
        return self._encode(windows, present, added)[:, windows.shape[1] // 2]


class _Convolution(nn.Conv1d):
    """Over `[B, T, channels]`, same length; tokens that are not there count as zeros."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x.masked_fill(~mask[..., None], 0.0).mT).mT


class _Prenet(nn.Module):
    """Convolutions added to the embedding.

    Glow-TTS lets their projection start at zero. Here that to the offsets does; with both at zero neither
    would learn (a saddle: the gradient of each is a multiple of the other).
    """

    def __init__(self, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(_Convolution(hidden, hidden, _PRENET_KERNEL) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden, _NORM_EPSILON) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            y = self.dropout(torch.relu(norm(convolution(y, mask))))
        return x + self.project(y)


class _Layer(nn.Module):
    """Attention, then two convolutions; each is added to its input and the sum normalised (post-norm)."""

    def __init__(
        self, hidden: int, heads: int, filter_channels: int, kernel: int, relative_window: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = _RelativeAttention(hidden, heads, relative_window, dropout)
        self.attention_norm = nn.LayerNorm(hidden, _NORM_EPSILON)
        self.widen = _Convolution(hidden, filter_channels, kernel)
        self.narrow = _Convolution(filter_channels, hidden, kernel)
        self.filter_norm = nn.LayerNorm(hidden, _NORM_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        y = self.dropout(torch.relu(self.widen(x, mask)))
        return self.filter_norm(x + self.dropout(self.narrow(y, mask)))


class _RelativeAttention(nn.Module):
    """Self-attention with relative-position keys and values up to `window` either side, shared by all heads;
    farther tokens have none."""

    def __init__(self, hidden: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        for projection in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(projection.weight)
        self.output = nn.Linear(hidden, hidden)
        width = hidden // heads
        self.relative_key = nn.Parameter(torch.randn(2 * window + 1, width) * width**-0.5)
        self.relative_value = nn.Parameter(torch.randn(2 * window + 1, width) * width**-0.5)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            projection(x).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, H, T, D / H]
            for projection in (self.query, self.key, self.value)
        )
        query = query * query.shape[3] ** -0.5
        scores = query @ key.mT + self._from_diagonals(query @ self.relative_key.mT)
        # The least number there is, not -inf: a row without any token must not become NaN.
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = self.dropout(scores.softmax(3))
        mixed = weights @ value + self._diagonals(weights) @ self.relative_value
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _columns(self, like: Tensor) -> Tensor:
        """`[B, H, T, 2 window + 1]`: the columns around the diagonal, in a matrix padded by `window`."""
        row = torch.arange(like.shape[2], device=like.device)[:, None]
        offset = torch.arange(2 * self.window + 1, device=like.device)
        return (row + offset).expand(*like.shape[:2], -1, -1)

    def _diagonals(self, matrix: Tensor) -> Tensor:
        """`[B, H, T, T]` to its diagonals -window..window `[B, H, T, 2 window + 1]`, 0 outside the matrix."""
        return F.pad(matrix, (self.window, self.window)).gather(3, self._columns(matrix))

    def _from_diagonals(self, diagonals: Tensor) -> Tensor:
        """The inverse of `_diagonals`: `[B, H, T, 2 window + 1]` to `[B, H, T, T]`, 0 off the diagonals."""
        n_tokens = diagonals.shape[2]
        padded = diagonals.new_zeros(*diagonals.shape[:3], n_tokens + 2 * self.window)
        padded = padded.scatter(3, self._columns(diagonals), diagonals)
        return padded[..., self.window : self.window + n_tokens]
