"""What the tests of several frontends share."""

from pathlib import Path

import pytest
import torch
import torchaudio


@pytest.fixture
def tiny_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The weights of a tiny wav2vec 2.0, which torchaudio.pipelines has as TINY: 16 wide, 3 layers."""
    params = {
        "extractor_mode": "group_norm",
        "extractor_conv_layer_config": [(8, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2],
        "extractor_conv_bias": False,
        "encoder_embed_dim": 16,
        "encoder_projection_dropout": 0.1,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 2,
        "encoder_num_layers": 3,
        "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.1,
        "encoder_ff_interm_features": 32,
        "encoder_ff_interm_dropout": 0.1,
        "encoder_dropout": 0.1,
        "encoder_layer_norm_first": False,
        "encoder_layer_drop": 0.05,
        "aux_num_out": None,
    }
    bundle = torchaudio.pipelines.Wav2Vec2Bundle("tiny.pth", params, 16000, True, "Wav2Vec2")
    monkeypatch.setattr(torchaudio.pipelines, "TINY", bundle, raising=False)
    torch.manual_seed(0)
    torch.save(torchaudio.models.wav2vec2_model(**params).state_dict(), tmp_path / "tiny.pth")
    return str(tmp_path / "tiny.pth")
