"""Several processes train what one does."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, get_ident
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_corpus import write_tiny_corpus

import aligner
from aligner.checkpoint import read_checkpoint, weights
from aligner.training import EM, em
from aligner.training.lightning_cli import LAST, find_config, train

COMMON = ["--data.batch_duration_s", "4", "--trainer.accelerator", "cpu"]
EM_OPTIONS = [
    "--model.training.init_args.epochs", "5", "--model.training.init_args.pronunciation_epoch", "2",
]  # fmt: skip
# Without dropout, whose draws depend on what shares a batch.
GLOW = [
    "--model.encoder", "aligner.encoders.GlowTTSEncoder",
    "--model.encoder.init_args.hidden", "16", "--model.encoder.init_args.layers", "1",
    "--model.encoder.init_args.filter_channels", "16", "--model.encoder.init_args.prenet_layers", "0",
    "--model.encoder.init_args.dropout", "0",
    "--model.training", "aligner.training.Gradient", "--model.training.init_args.epochs", "2",
    "--model.training.init_args.warm_start_epochs", "2", "--model.training.init_args.warmup_steps", "1",
]  # fmt: skip
_COMMAND = "import sys; from aligner.cli import main; sys.exit(main())"
_SEVERAL = """
import json, sys
from pathlib import Path
from aligner.training.lightning_cli import find_config, train
for settings, out in json.loads(sys.argv[1]):
    train([find_config("smoke")], settings, Path(out))
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven utterances: uneven shares, and batches that not every process has an utterance of."""
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder, 7, speakers={"anna": 1.0, "ben": 1.2})
    return folder


def test_torchrun_trains_what_one_process_does(corpus: Path, tmp_path: Path) -> None:
    runs = {"em": EM_OPTIONS, "glow": GLOW}
    settings = {name: ["--data.data_dir", str(corpus), *COMMON, *own] for name, own in runs.items()}
    for name, own in settings.items():
        train([find_config("smoke")], own, tmp_path / "one" / name)
    script = tmp_path / "several.py"
    script.write_text(_SEVERAL, encoding="utf-8")
    wanted = [
        [[*own, "--trainer.devices", "2"], str(tmp_path / "two" / name)] for name, own in settings.items()
    ]
    as_torchrun = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "GROUP_RANK": "0",
                   "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), json.dumps(wanted)],
            env=_environment(as_torchrun | {"RANK": str(rank), "LOCAL_RANK": str(rank)}),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    for name in runs:
        _check_equal(tmp_path / "one" / name, tmp_path / "two" / name)
    glow = read_checkpoint(tmp_path / "two" / "glow" / LAST)
    assert (weights(glow)["encoder.speaker_vectors.vectors"].abs().amax(1) > 1e-4).all()


def test_the_command_line_starts_processes_even_if_one_has_no_utterance(tmp_path: Path) -> None:
    write_tiny_corpus(tmp_path / "corpus", 1)
    script = tmp_path / "run.py"
    script.write_text(_COMMAND, encoding="utf-8")
    settings = [*COMMON, *EM_OPTIONS]
    train([find_config("smoke")], ["--data.data_dir", str(tmp_path / "corpus"), *settings], tmp_path / "one")
    arguments: Sequence[str] = [
        "fit", "--config", "smoke", "--data", str(tmp_path / "corpus"), "--out", str(tmp_path / "two"),
        *settings, "--trainer.devices", "2",
    ]  # fmt: skip
    run = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=_environment({}),
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("trained") == 1  # the first speaks for all
    _check_equal(tmp_path / "one", tmp_path / "two")


def test_a_process_takes_from_the_others_what_they_chose_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process knows of my utterances is what I chose earlier."""
    meeting, sent = Barrier(2), dict[int, Any]()

    def gathered(value: Any) -> list[Any]:
        sent[get_ident()] = dict(value)
        meeting.wait(30)
        of_both = list(sent.values())
        meeting.wait(30)
        return of_both

    def run(id: str) -> list[dict[str, Any]]:
        method, shared = EM(), []
        for epoch in range(3):
            texts = SimpleNamespace(variants_of=lambda _, n=epoch: [(n,)], fitting=lambda _, choice: choice)
            batch: Any = SimpleNamespace(ids=[id], texts=texts)
            method.choice(Any, batch, SimpleNamespace(n_frames=None), SimpleNamespace(joint=None))  # type: ignore[arg-type]
            method.share_choices()
            shared.append(method.state_dict()["variants"])
        return shared

    monkeypatch.setattr(em, "gathered", gathered)
    monkeypatch.setattr(em, "choose_pronunciations", lambda *_: None)
    with ThreadPoolExecutor(2) as pool:
        for shared in pool.map(run, "ab"):
            assert shared == [{"a": [epoch], "b": [epoch]} for epoch in range(3)]


def _environment(more: dict[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(aligner.__file__).parents[1]),
        **more,
    }


def _check_equal(first: Path, second: Path) -> None:
    one, two = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (first, second)
    )
    assert one["epoch"] == two["epoch"]
    assert one["global_step"] == two["global_step"]
    assert one["training"] == two["training"]
    for name, weight in one["state_dict"].items():
        # Adam makes steps of rounding errors where a gradient is 0: attention's keys have no use for a bias.
        if not name.endswith("attention.key.bias"):
            torch.testing.assert_close(two["state_dict"][name], weight, rtol=1e-3, atol=1e-4, msg=name)
