"""Features kept on disk."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from sounds import noise
from torch import Tensor

from aligner.frontends import Cached, Combine, Mel, SelfSupervised, Yingram


def test_cached_features_are_the_same_and_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, lengths = noise()
    plain = Mel("hifigan")
    expected, _ = plain(audio, lengths)
    cached = Cached(Mel("hifigan"), str(tmp_path))
    torch.testing.assert_close(cached(audio, lengths)[0], expected)
    files = sorted(tmp_path.rglob("*.npy"))
    assert len(files) == 2
    monkeypatch.setattr(cached.frontend, "extract", None)  # whoever computes now fails
    torch.testing.assert_close(cached(audio, lengths)[0], expected)
    torch.testing.assert_close(
        cached(audio[1:, : lengths[1]], lengths[1:])[0][0], expected[1, : 13000 // 256]
    )
    cached.fit_normalisation([(audio, lengths)])
    plain.fit_normalisation([(audio, lengths)])
    torch.testing.assert_close(cached(audio, lengths)[0], plain(audio, lengths)[0])


def test_other_settings_state_or_sound_are_other_files(tmp_path: Path, tiny_bundle: str) -> None:
    audio, lengths = noise()
    count = 0
    ssl = SelfSupervised(tiny_bundle, "TINY", layer=1, channels=2)
    for frontend, samples in [
        (Mel("hifigan"), audio),
        (Mel("hifigan", mels=79), audio),
        (Mel("tacotron2"), audio),
        (Mel("hifigan"), audio + 1e-6),
        (Combine([Mel("hifigan"), Yingram()]), audio),
        (Combine([Mel("hifigan"), Yingram(noise_floor=1e-3)]), audio),
        (ssl, audio),
        (ssl, audio),
    ]:
        cached = Cached(frontend, str(tmp_path))
        if frontend is ssl:
            cached.fit_normalisation([noise(20000, seed=count)])  # other components each time
        cached(samples, lengths)
        new = len(list(tmp_path.rglob("*.npy")))
        assert new >= count + 2
        count = new


def test_a_spoilt_cache_file_is_computed_again(tmp_path: Path) -> None:
    audio, lengths = noise()
    cached = Cached(Mel("hifigan"), str(tmp_path))
    expected, _ = cached(audio, lengths)
    for file, content in zip(sorted(tmp_path.rglob("*.npy")), [b"", b"\x93NUMPY nonsense"], strict=True):
        file.write_bytes(content)
    torch.testing.assert_close(cached(audio, lengths)[0], expected)
    assert all(len(np.load(file)) > 0 for file in tmp_path.rglob("*.npy"))


def test_a_folder_that_cannot_be_written_brings_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cached = Cached(Mel("hifigan"), str(tmp_path / "file" / "features"))
    audio, lengths = torch.randn(1, 4000), torch.tensor([4000])
    with pytest.warns(UserWarning, match="features are not kept"):
        features, _ = cached(audio, lengths)
    torch.testing.assert_close(features, Mel("hifigan")(audio, lengths)[0])


def test_what_is_learned_from_a_corpus_is_kept_for_that_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned(batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        cached = Cached(Combine([Mel("hifigan")]), str(tmp_path))
        cached.fit_normalisation(batches)
        return cached.frontend.frontends[0].channel_mean

    generator = torch.Generator().manual_seed(0)
    audio, lengths = torch.randn(3, 4000, generator=generator), torch.tensor([4000, 3000, 4000])
    first = learned(iter([(audio, lengths)]))
    assert not torch.equal(learned([(audio[:2], lengths[:2])]), first)
    monkeypatch.setattr(Mel, "extract", None)
    assert torch.equal(learned([(audio, lengths)]), first)
