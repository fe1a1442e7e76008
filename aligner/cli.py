"""The `aligner` command: each subcommand is a module of `aligner.commands`, imported only when called."""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import NoReturn, TextIO

from aligner.errors import AlignerError, did_you_mean

COMMANDS = {
    "demo": "make a small corpus with known phone times, train on it, align it, measure the error",
    "prepare": "check and phonemize a corpus, write it as a manifest",
    "fit": "train an aligner on a prepared corpus",
    "align": "find the times of every phone and word of a corpus",
    "evaluate": "measure boundary errors against reference times, of alignments or of a checkpoint",
    "segment": "cut a long recording and its text into a corpus of utterances",
    "report": "write a page to see, hear and correct alignments in a browser",
    "export": "write alignments in another program's format",
    "plot": "draw an alignment, the likelihoods and the path, or durations, as PNG, SVG or PDF",
    "features": "draw the features of a recording",
    "doctor": "say what machine this is and what will be used, and try the search on it",
}


class OneLineParser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Print it and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; usage: {self.prog} --help\n")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        command: The command whose arguments are added; None: only the list of commands. Other commands are
            not imported, so that help comes at once.
    """
    parser = OneLineParser(
        prog="aligner",
        description="Phone and word times for speech, learnt from recordings and texts alone.",
        epilog="Start here: aligner demo. Every command's --help shows a working example.",
    )
    parser.add_argument("--version", action="version", version=f"aligner {_version()}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=summary,
            add_help=name == command,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == command:
            importlib.import_module(f"aligner.commands.{name}").add_arguments(subparser)
            subparser.add_argument(
                "--quiet",
                action="store_true",
                help="print no tables, no progress and no summary; notes and what went wrong stay, on stderr",
            )
            subparser.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")
            subparser.set_defaults(options=re.findall(r"--[\w-]+", subparser.format_usage()))
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("mas-aligner")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return "(not installed)"


def _unknown(words: list[str], options: list[str]) -> str:
    """What is wrong with words that no argument takes, and which options are like the first of them."""
    first = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
    return f"unrecognized arguments: {' '.join(words)}{did_you_mean(first, options)}"


def _empty(words: list[str], options: list[str]) -> str:
    """The option or argument that was given as nothing, as by a shell variable that is not set; "" if none.

    An empty path would be the current folder. What a command hands on to another parser is not looked at.
    """
    last = ""
    for word in words:
        name, equals, value = word.partition("=")
        if name in options:
            last = name
            if equals and not value.strip():
                return name
        elif word.startswith("--"):
            last = word
        elif not word.strip() and (last in options or not last):
            return last or "an argument"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after `aligner`; None: those that the program was called with.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if not word.startswith("-")), None)
    name = f"aligner {command}" if command in COMMANDS else "aligner"
    try:
        _write_any_text()
        return _run(command, argv)
    except AlignerError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:  # a disk, a folder, a permission
        where = error.filename or ("stdout" if _stdout_is_full() else "file")
        print(f"{name}: {where}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # also while a command is imported, which takes seconds
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def _run(command: str | None, argv: list[str]) -> int:
    parser = build_parser(command)
    args, rest = parser.parse_known_args(argv)
    if rest:
        if not hasattr(args, "overrides"):
            prog = f"aligner {args.command}"
            print(f"{prog}: {_unknown(rest, args.options)}; usage: {prog} --help", file=sys.stderr)
            raise SystemExit(2)
        args.overrides = rest  # settings that the command hands on to another parser
    if empty := _empty(argv, args.options):
        prog = f"aligner {args.command}"
        print(f"{prog}: {empty} is empty; usage: {prog} --help", file=sys.stderr)
        raise SystemExit(2)
    module = importlib.import_module(f"aligner.commands.{args.command}")
    with _quiet() if args.quiet else contextlib.nullcontext():
        summary = module.run(args)
        print(module.in_a_line(summary))
    print(f"{json.dumps(summary)}\n" if args.json else "", end="", flush=True)  # a full disk is said here
    return 0


class _NoTerminal(io.TextIOBase):
    """A stream that is no terminal, so that nobody draws progress on it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what is printed on stdout, and let stderr seem no terminal: what it gets is not progress, then."""
    with (
        open(os.devnull, "w", encoding="utf-8", errors="backslashreplace") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(_NoTerminal(sys.stderr)),  # type: ignore[type-var]
    ):
        yield


def _write_any_text() -> None:
    """Let a terminal or a log that is not UTF-8, or a file name that is not, cost only characters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stdout_is_full() -> bool:
    """Whether stdout cannot take what was printed; it is closed then, as Python would try again at exit."""
    try:
        print(end="", flush=True)
    except OSError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return True
    return False
