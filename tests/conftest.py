"""What all tests share."""

import os
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    # Must be set before triton is imported; torch by itself does not import it.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def speech_data() -> Path:
    """The folder of real recordings: kathleen, ljspeech-sample, timit-dev. It is no part of the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ALIGNER_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no speech data in {folder}; set ALIGNER_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def triton_device() -> str:
    """Where Triton kernels run: the GPU, or without one the CPU, in Triton's interpreter."""
    pytest.importorskip("triton")
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a prepared corpus of tones (see `tiny_corpus.py`), 20 utterances. Tests only read it."""
    from tiny_corpus import write_tiny_corpus

    folder = tmp_path_factory.mktemp("tiny_corpus")
    write_tiny_corpus(folder)
    return folder


@pytest.fixture(scope="session")
def trained_run(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training run on `tiny_corpus`, with several batches an epoch."""
    from aligner.training.lightning_cli import find_config, train

    out = tmp_path_factory.mktemp("trained_run")
    settings = ["--data.data_dir", str(tiny_corpus), "--data.batch_duration_s", "6"]
    train([find_config("smoke")], [*settings, "--trainer.accelerator", "cpu"], out)
    return out


@pytest.fixture(scope="session")
def checkpoint(trained_run: Path) -> Path:
    """The checkpoint of `trained_run`."""
    return trained_run / "checkpoints" / "last.ckpt"
