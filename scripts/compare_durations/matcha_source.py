"""Matcha-TTS's source and settings, imported without what a voice does not use.

B batch, S speech frames, C channels.
"""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import yaml
from torch import Tensor, nn

from aligner.errors import AlignerError
from mas.compat import glow_tts

SETTINGS = {"data": "data/ljspeech", "model": "model/matcha"}  # of its configs/
# Of its configs/model/.
PARTS = {"encoder": "default", "decoder": "default", "cfm": "default", "optimizer": "adam"}
REFERENCE = re.compile(r"\$\{([\w.]+)\}")  # as OmegaConf resolves it


class Attention(nn.Module):
    """Self-attention as Matcha uses that of diffusers 0.25, with its parameters' names.

    The mask is added to the logits as it is, 1 in an utterance and 0 after it, because diffusers does so:
    what is padded is heard less, not masked.

    Args:
        query_dim: C.
        heads: How many.
        dim_head: Channels of each.
        dropout: After the projection.
        bias: Of queries, keys and values.
        **unused: `cross_attention_dim` and `upcast_attention`, which Matcha leaves None and False.
    """

    def __init__(
        self, query_dim: int, heads: int, dim_head: int, dropout: float, bias: bool, **unused: Any
    ) -> None:
        super().__init__()
        if any(unused.values()):
            raise AlignerError(f"Matcha's attention wants what is not here: {unused}")
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(query_dim, heads * dim_head, bias) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, query_dim), nn.Dropout(dropout))

    def forward(
        self, hidden_states: Tensor, encoder_hidden_states: None = None, attention_mask: Tensor | None = None
    ) -> Tensor:
        """`[B, S, C]`; `attention_mask` is `[B, S]`."""
        query, key, value = (
            layer(hidden_states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        added = None if attention_mask is None else attention_mask[:, None, None].to(query.dtype)
        heard = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=added)
        return self.to_out(heard.transpose(1, 2).flatten(-2))


def import_matcha(folder: Path) -> type:
    """Make Matcha's modules importable; its class `MatchaTTS`.

    Its search is this project's, which finds the same paths. What it has of diffusers is `Attention` above
    or plain PyTorch. Hydra and all else that only its command line needs is left out.

    Args:
        folder: A clone of shivammehta25/Matcha-TTS.
    """
    if not (folder / "matcha" / "models" / "matcha_tts.py").is_file():
        raise AlignerError(f"{folder}: is no clone of https://github.com/shivammehta25/Matcha-TTS")
    sys.path.insert(0, str(folder))
    _module("diffusers.models.activations", get_activation={"silu": nn.SiLU()}.__getitem__)
    not_called = dict.fromkeys(("GEGLU", "GELU", "AdaLayerNorm", "AdaLayerNormZero", "ApproximateGELU"))
    _module("diffusers.models.attention", **not_called)
    _module("diffusers.models.attention_processor", Attention=Attention)
    _module("diffusers.models.lora", LoRACompatibleLinear=nn.Linear)
    _module("diffusers.utils.torch_utils", maybe_allow_in_graph=lambda block: block)
    _module("conformer", ConformerBlock=nn.Module)
    # `matcha.utils` imports hydra, gdown and wget; of its parts only `model` and `pylogger` are used.
    utils = _module("matcha.utils")
    utils.__path__ = [str(folder / "matcha" / "utils")]
    _module("matcha.utils.utils", plot_tensor=None)
    _module("matcha.utils.monotonic_align", maximum_path=glow_tts.maximum_path)
    from matcha.utils.pylogger import get_pylogger

    utils.get_pylogger = get_pylogger  # type: ignore[attr-defined]
    from matcha.models.matcha_tts import MatchaTTS

    return MatchaTTS


def settings(folder: Path) -> SimpleNamespace:
    """Matcha's settings for LJSpeech: `model` with its parts, and `data`.

    Args:
        folder: As in `import_matcha`.
    """
    read = {name: _yaml(folder / "configs" / f"{path}.yaml") for name, path in SETTINGS.items()}
    for part, name in PARTS.items():
        read["model"][part] = _yaml(folder / "configs" / "model" / part / f"{name}.yaml")
    return resolved(read, read)


def make_model(
    folder: Path, mel_mean: float, mel_deviation: float, searches: bool, smaller: bool
) -> tuple[Any, SimpleNamespace]:
    """Matcha, and its settings.

    Args:
        folder: As in `import_matcha`.
        mel_mean: Of all mels that are trained on.
        mel_deviation: Likewise.
        searches: Find durations in training; False: they are given.
        smaller: A quarter of the width, for a try on a CPU.
    """
    cls, found = import_matcha(folder), settings(folder)
    model = found.model
    if smaller:
        vars(model.encoder.encoder_params).update(
            n_channels=64, filter_channels=128, n_layers=2, filter_channels_dp=64
        )
        vars(model.decoder).update(channels=[64, 64], attention_head_dim=32)
    voice = cls(
        n_vocab=model.n_vocab, n_spks=model.n_spks, spk_emb_dim=model.spk_emb_dim, n_feats=model.n_feats,
        encoder=model.encoder, decoder=vars(model.decoder), cfm=model.cfm,
        data_statistics={"mel_mean": mel_mean, "mel_std": mel_deviation}, out_size=model.out_size,
        prior_loss=model.prior_loss, use_precomputed_durations=not searches,
    )  # fmt: skip
    return voice, found


def resolved(value: Any, everything: dict[str, Any]) -> Any:
    """References followed, dictionaries as namespaces, 1e-4 as a number, which YAML 1.1 reads as text.

    Args:
        value: A setting, or a dictionary of them.
        everything: What references begin at; None is what they find of a group that is not in it.
    """
    if isinstance(value, dict):
        return SimpleNamespace(**{name: resolved(its, everything) for name, its in value.items()})
    if isinstance(value, str) and (reference := REFERENCE.fullmatch(value)):
        found: Any = everything
        for name in reference[1].split("."):
            if name not in found:
                return None
            found = found[name]
        return resolved(found, everything)
    if isinstance(value, str) and re.fullmatch(r"\d+e-\d+", value):
        return float(value)
    return value


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def _module(name: str, **content: Any) -> ModuleType:
    """A module of this name and, around it, packages of nothing."""
    parts = name.split(".")
    for end in range(1, len(parts) if parts[0] != "matcha" else 1):
        package = sys.modules.setdefault(".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        package.__path__ = []
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(content)
    return module
