"""`aligner doctor`: what it says, and what it does where something is broken."""

import json
import sys

import pytest

import aligner.machine
import mas.self_test
from aligner import cli
from mas.self_test import SelfTest


def run(*argv: str) -> int:
    return cli.main(["doctor", "--seconds", "0.05", *argv])


def test_it_says_what_is_there_and_that_the_search_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    shown = capsys.readouterr().out
    data = json.loads(shown.splitlines()[-1])
    assert {"aligner", "system", "processor", "PyTorch", "GPU"} <= set(data["machine"])
    assert {"device", "search on the CPU", "Triton", "NVRTC", "numba", "eSpeak NG"} <= set(data["used"])
    assert [entry["wrong"] for entry in data["search"]] == [""] * len(data["search"])
    for value in (*data["machine"].values(), *data["used"].values()):
        assert value in shown
    assert "batches equal, bit for bit" in shown
    assert "cuda" not in data["machine"]["GPU"] or data["used"]["search on the GPU"] != "-"


def test_a_backend_that_differs_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        mas.self_test, "self_test", lambda *_: SelfTest(7, 1.0, 0.5, "search, seed 6: items [0] differ")
    )
    assert run() == 1
    captured = capsys.readouterr()
    assert "WRONG: search, seed 6" in captured.out
    assert "report all of the above" in captured.err


def test_a_backend_that_cannot_run_is_an_error_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_driver(*_: object) -> SelfTest:
        raise RuntimeError("driver too old")

    monkeypatch.setattr(mas.self_test, "self_test", no_driver)
    assert run() == 1
    assert "cannot run: RuntimeError: driver too old" in capsys.readouterr().out


@pytest.mark.parametrize(
    "module", ["triton", "soundfile", "gruut", "espeakng_loader", "cuda.bindings", "numba"]
)
def test_a_part_that_is_missing_is_said_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    told = dict(aligner.machine.used_rows())
    unusable = [name for name, value in told.items() if value.startswith(("not installed", "not usable"))]
    assert len(unusable) >= 1
    assert len(told) == 11


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x", "inf"])
def test_seconds_that_make_no_sense(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["doctor", "--seconds", seconds])
    assert done.value.code == 2
    assert "must be a number above 0" in capsys.readouterr().err
