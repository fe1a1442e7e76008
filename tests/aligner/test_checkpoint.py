"""Checkpoints by path and by name, and the models that come with the package."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from aligner.aligner import Aligner
from aligner.checkpoint import MODELS, find_checkpoint, read_checkpoint, shipped_models
from aligner.cli import main
from aligner.errors import AlignerError
from aligner.text.transcript import Transcript, Word

NAMES = ["de", "en-us"]


def test_the_models_that_come_with_the_package() -> None:
    assert shipped_models() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_small_reads_its_language_and_has_a_card(name: str) -> None:
    file = find_checkpoint(name)
    assert file.parent == MODELS / name
    assert file.stat().st_size < 1.5e6
    content = read_checkpoint(name)
    assert set(content) == {"aligner", "state_dict"}  # nothing that only training needs
    aligner = Aligner.load(name)
    assert aligner.reading is not None
    assert (aligner.reading.phonemizer, aligner.reading.language) == ("gruut", name)
    card = (file.parent / "README.md").read_text(encoding="utf-8")
    for what in ("Trained on", "CC0", "Licence", "Made by", "scripts/make_models.py", "mean, ms"):
        assert what in card
    for what in ("TIMIT", "Czech", "czech"):
        assert what not in card.partition("Errors of word boundaries")[0]


def test_the_english_model_has_the_common_words_of_its_texts() -> None:
    words = Aligner.load("en-us").common_words
    assert words[0][0] in {("ð", "ə"), ("ð", "i")}
    assert all(phone in Aligner.load("en-us").vocabulary.index for phones, _ in words for phone in phones)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_aligns_by_its_name(name: str) -> None:
    aligner = Aligner.load(name)
    phones = tuple(aligner.vocabulary.symbols[1:6])
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)
    alignment = aligner.align(noise, Transcript((Word("word", (phones,)),)), 16000)
    assert [token.symbol for token in alignment.tokens if token.word == 0] == list(phones)


def test_a_file_goes_before_a_name_and_a_name_before_a_folder(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("de").mkdir()
    assert find_checkpoint("de") == MODELS / "de" / "aligner.ckpt"
    shutil.copy(checkpoint, "en-us")
    assert find_checkpoint("en-us") == Path("en-us")
    assert Aligner.load("en-us").vocabulary.symbols == Aligner.load(checkpoint).vocabulary.symbols


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("fr", r"fr: no such file, and none of the models .* \(de, en-us\); of another language, train one"),
        ("Portuguese", "of another language, train one"),
        ("en", "did you mean en-us"),
        ("en_US", "did you mean en-us"),
        ("en-gb", "did you mean en-us"),
        ("English", "did you mean en-us"),
        ("EN-US", "did you mean en-us"),
        ("de-at", "did you mean de"),
        ("German", "did you mean de"),
        ("en-us.ckpt", "did you mean en-us"),
        ("runs/x/last.ckpt", "runs/x/last.ckpt: no such file"),
        ("", "a folder; name the last.ckpt"),
        (".", "a folder; name the last.ckpt"),
        ("x" * 5000, "no path of a checkpoint"),
        ("a\0b", "no such file"),
        (None, "NoneType"),
        (3, "int"),
    ],
)
def test_a_name_that_is_none_says_which_there_are(
    name: object, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AlignerError, match=what):
        Aligner.load(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [
        ["align", "x.wav", "--checkpoint", "fr", "--out", "o"],
        ["align", "--data", "x", "--checkpoint", "fr", "--out", "o"],
        ["segment", "x.wav", "x.txt", "--checkpoint", "fr", "--out", "o"],
        ["evaluate", "--checkpoint", "fr", "--data", "TINY"],
        ["fit", "--config", "smoke", "--data", "TINY", "--init-checkpoint", "fr"],
        ["prepare", "x", "--vocabulary", "fr", "--out", "o"],
    ],
)
def test_every_command_says_the_same_of_it(
    words: list[str],
    tiny_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.txt").write_text("tea")
    np.zeros(3).tofile("x.wav")
    assert main([str(tiny_corpus) if word == "TINY" else word for word in words]) == 1
    assert "fr: no such file, and none of the models that come with this program" in capsys.readouterr().err
    assert not Path("o").exists()
