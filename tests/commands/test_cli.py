"""The command line as a whole: help, exit statuses, JSON."""

import argparse
import json
import subprocess
import sys

import pytest

from aligner import cli
from aligner.errors import AlignerError


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main([command, "--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "example" in shown
    assert f"  aligner {command}" in shown
    assert "--json" in shown


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"    {command} " in shown for command in cli.COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["align"],
        ["validate", "--data", "x"],
        ["export", "a", "--to", "npy", "--out", "o"],
        ["demo", "--bogus"],
        ["demo", "--js"],
    ],
)
def test_wrong_arguments_end_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    assert done.value.code == 2
    assert "usage: aligner" in capsys.readouterr().err


class Pretended:
    """A command that does what a test wants."""

    def __init__(self, outcome: dict[str, int] | BaseException) -> None:
        self.outcome = outcome

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        pass

    def run(self, args: argparse.Namespace) -> dict[str, int]:
        print("a table")
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "status"), [({"n": 1}, 0), (AlignerError("no"), 1), (KeyboardInterrupt(), 130)]
)
def test_exit_statuses(
    outcome: dict[str, int] | BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Pretended(outcome))
    assert cli.main(["demo", "--json"]) == status
    out, err = capsys.readouterr()
    if status == 0:
        assert json.loads(out.splitlines()[-1]) == outcome
        assert cli.main(["demo"]) == 0
        assert capsys.readouterr().out == "a table\n"
    else:
        assert out == "a table\n"
        assert err.startswith("aligner demo: ")
        assert len(err.splitlines()) == 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Pretended(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["demo"])


@pytest.mark.parametrize("command", [None, *cli.COMMANDS])
def test_help_comes_without_the_heavy_libraries(command: str | None) -> None:
    code = (
        f"import sys; from aligner.cli import build_parser; build_parser({command!r}).format_help(); "
        "print([m for m in ('torch', 'lightning', 'lhotse') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
