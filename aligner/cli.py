"""The `aligner` command: each subcommand is a module of `aligner.commands`, imported only when called."""

import argparse
import importlib.metadata
import json
import re
import sys
from typing import NoReturn

from aligner.errors import AlignerError, did_you_mean

COMMANDS = {
    "demo": "make a small corpus with known phone times, train on it, align it, measure the error",
    "prepare": "check and phonemize a corpus, write it as a manifest",
    "fit": "train an aligner on a prepared corpus",
    "align": "find the times of every phone and word of a corpus",
    "evaluate": "measure boundary errors against reference times, of alignments or of a checkpoint",
    "report": "write a page to see, hear and correct alignments in a browser",
    "export": "write alignments in another program's format",
    "features": "draw the features of a recording",
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


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after `aligner`; None: those that the program was called with.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if not word.startswith("-")), None)
    parser = build_parser(command)
    args, rest = parser.parse_known_args(argv)
    if rest:
        if not hasattr(args, "overrides"):
            prog = f"aligner {args.command}"
            print(f"{prog}: {_unknown(rest, args.options)}; usage: {prog} --help", file=sys.stderr)
            raise SystemExit(2)
        args.overrides = rest  # settings that the command hands on to another parser
    module = importlib.import_module(f"aligner.commands.{args.command}")
    try:
        summary = module.run(args)
    except AlignerError as error:
        print(f"aligner {args.command}: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:  # a disk, a folder, a permission
        print(
            f"aligner {args.command}: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print(f"aligner {args.command}: interrupted", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps(summary), flush=True)
    return 0
