"""The command line as a whole: help, exit statuses, JSON."""

import argparse
import importlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

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
    assert "--quiet" in shown


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

    def in_a_line(self, summary: dict[str, int]) -> str:
        return f"done {summary}"


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
        assert capsys.readouterr().out == f"a table\ndone {outcome}\n"
    else:
        assert out == "a table\n"
        assert err.startswith("aligner demo: ")
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_can_be_quiet_and_ends_with_a_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"aligner.commands.{command}")
    assert callable(module.in_a_line)
    seen: list[bool] = []

    def run(args: argparse.Namespace) -> dict[str, int]:
        print("a table of \ud83d")  # no Unicode
        print("note: something", file=sys.stderr)
        seen.append(sys.stderr.isatty())
        return {"n": 1}

    pretended = SimpleNamespace(add_arguments=lambda _: None, run=run, in_a_line=lambda _: "done")
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: pretended)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main([command, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "note: something\n")
    assert cli.main([command, "--quiet", "--json"]) == 0
    assert capsys.readouterr() == ('{"n": 1}\n', "note: something\n")
    assert cli.main([command]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "done"
    assert seen == [False, False, True]


def test_a_quiet_command_says_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Pretended(AlignerError("no")))
    assert cli.main(["demo", "--quiet"]) == 1
    assert capsys.readouterr() == ("", "aligner demo: no\n")


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


def _run_with(body: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """`aligner demo` in a process of its own, where the command does what `body` says."""
    code = (
        "import sys, types; from aligner import cli\n"
        f"def run(args):\n    {body}\n    return {{}}\n"
        "nothing = lambda _: ''\n"
        "pretended = types.SimpleNamespace(add_arguments=nothing, run=run, in_a_line=nothing)\n"
        "cli.importlib = types.SimpleNamespace(\n"
        "    import_module=lambda name: pretended, metadata=cli.importlib.metadata\n"
        ")\n"
        "raise SystemExit(cli.main(['demo']))"
    )
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False, **how)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_is_not_utf8_costs_characters_and_not_the_run(
    environment: dict[str, str], stream: str
) -> None:
    body = f"from rich.console import Console; Console(file=sys.{stream}).print('\\u014b'); print('done')"
    done = _run_with(body, stdout=subprocess.PIPE, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    assert b"\\u014b" in (done.stdout if stream == "stdout" else done.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("body", ["print('a table')", "print('a table', flush=True)"])
def test_a_full_disk_under_stdout_is_said_in_one_line(body: str) -> None:
    with open("/dev/full", "w") as full:
        done = _run_with(body, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"aligner demo: stdout: No space left on device\n"


def test_an_interrupt_during_the_imports_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.importlib, "import_module", interrupted)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "aligner demo: interrupted\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["prepare", "c", "--out", ""], "--out"),
        (["prepare", "c", "--out="], "--out"),
        (["prepare", "c", "--out", "o", "--language", " "], "--language"),
        (["prepare", "", "--out", "o"], "an argument"),
        (["prepare", "c", "--out", "o", "--lexicon", "a", ""], "--lexicon"),
        (["align", "--checkpoint", "", "--data", "d", "--out", "o"], "--checkpoint"),
        (["align", "--checkpoint", "c", "--data", "d", "--out", "o", "--device", ""], "--device"),
        (["fit", "--config", "ljspeech", "--data", "", "--out", "o"], "--data"),
    ],
)
def test_nothing_is_no_value(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty path is the current folder, and a shell variable that is not set is an empty path."""
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    assert done.value.code == 2
    assert f"aligner {words[0]}: {named} is empty" in capsys.readouterr().err
