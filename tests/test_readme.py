"""What the texts say is so: links lead somewhere, commands parse, names can be imported."""

import argparse
import ast
import importlib
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from aligner.cli import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(ROOT.glob("configs/*.yaml"))
RECIPES = sorted(ROOT.glob("recipes/*/*.md"))
# The changelog is not among them: it says what names and options were before.
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *RECIPES]
LINKED = [*GUIDES, ROOT / "CHANGELOG.md", ROOT / "aligner" / "README.md", *sorted(ROOT.glob("mas/*.md"))]

_MOST_WORDS = 700  # read in two minutes
_OVERRIDES = ("--model.", "--data.", "--trainer.")  # `fit` passes these on to LightningCLI
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """A whole text; of a configuration, the comment at its head."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    head = text.partition("\n\n")[0].splitlines()
    return "\n".join(line.removeprefix("#").strip() for line in head)


def blocks(path: Path, language: str) -> list[str]:
    return [block for of, block in _FENCE.findall(text_of(path)) if of == language]


def commands(path: Path) -> Iterator[list[str]]:
    """The words after `aligner` of every command in sh blocks, or at the head of a configuration."""
    shell = blocks(path, "sh") if path.suffix == ".md" else [text_of(path)]
    for line in "\n".join(shell).replace("\\\n", " ").splitlines():
        if line.startswith("aligner "):
            yield shlex.split(line, comments=True)[1:]


COMMAND_LINES = [(path, words) for path in [*GUIDES, *CONFIGS] for words in commands(path)]


def options(command: str) -> set[str]:
    """The options in a command's help."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"aligner.commands.{command}").add_arguments(parser)
    return set(re.findall(r"--[a-z][a-z-]*", parser.format_usage())) | {"--json"}


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a text."""
    prose = _FENCE.sub("", text_of(path))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def import_dotted(dotted: str) -> None:
    """Import a module, or a module and what is in it.

    Raises:
        AttributeError: If there is no such thing.
    """
    parts = dotted.split(".")
    thing = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        if not hasattr(thing, part):
            try:
                importlib.import_module(".".join(parts[:i]))
            except ModuleNotFoundError as error:
                raise AttributeError(f"{dotted}: there is no {'.'.join(parts[:i])}") from error
        thing = getattr(thing, part)


def test_the_readme_is_read_in_two_minutes() -> None:
    words = len((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert words <= _MOST_WORDS, f"README.md has {words} words; move what is measured to recipes/"


@pytest.mark.parametrize("path", LINKED, ids=name)
def test_local_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text_of(path))):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{name(path)}: no {target}"
        assert not anchor or anchor in anchors(linked), f"{name(path)}: no heading for {target}"


def test_every_guide_with_commands_is_found() -> None:
    found = {name(path) for path, _ in COMMAND_LINES}
    assert {"README.md", "recipes/ljspeech/README.md", "configs/ljspeech.yaml"} <= found
    assert {words[0] for _, words in COMMAND_LINES} <= set(COMMANDS)


@pytest.mark.parametrize(
    ("path", "words"),
    COMMAND_LINES,
    ids=[f"{name(path)}: {' '.join(words)[:60]}" for path, words in COMMAND_LINES],
)
def test_commands_are_those_of_the_program(path: Path, words: list[str]) -> None:
    try:
        _, rest = build_parser(words[0]).parse_known_args(words)
    except SystemExit:
        pytest.fail(f"{name(path)}: `aligner {shlex.join(words)}` is refused")
    unknown = [word for word in rest if word.startswith("--")]
    if words[0] == "fit":
        unknown = [word for word in unknown if not word.startswith(_OVERRIDES)]
    assert not unknown, f"{name(path)}: `aligner {words[0]}` has no {', '.join(unknown)}"


@pytest.mark.parametrize("path", [*GUIDES, *CONFIGS], ids=name)
def test_inline_options_are_those_of_some_command(path: Path) -> None:
    """Options outside of blocks, in backquotes."""
    known = {option for command in COMMANDS for option in options(command)}
    scripts = {"--batch-s", "--fit", "--check", "--room-s", "--more", "--more-utterances", "--levels"}
    scripts |= {"--steps", "--smaller", "--seeds", "--rate"}
    others = scripts | {"--teacher_dumpdir", "--logdir", "--help", "--dict", "--cpu", "--speakers"}
    prose = _FENCE.sub("", text_of(path))
    quoted = re.findall(r"`([^`]+)`", prose) if path.suffix == ".md" else [prose]
    named = {option for code in quoted for option in re.findall(r"(?<!\S)--[a-z][\w.-]*", code)}
    unknown = {option for option in named if not option.startswith(_OVERRIDES)} - known - others
    assert not unknown, f"{name(path)}: no command has {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("path", [*GUIDES, *CONFIGS], ids=name)
def test_names_can_be_imported(path: Path) -> None:
    text = path.read_text(encoding="utf-8")  # of a configuration, its classes too
    text = _FENCE.sub(lambda block: "" if block[1] == "python" else block[0], text)  # next test
    for dotted in set(re.findall(r"(?<![\w/.-])(?:aligner|mas)(?:\.\w+)+(?![\w/])", text)):
        if not dotted.endswith((".py", ".md", ".yaml")):
            import_dotted(dotted)


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_python_imports_what_there_is(path: Path) -> None:
    for block in blocks(path, "python"):
        try:
            tree = ast.parse(textwrap.dedent(block))
        except SyntaxError:  # lines to put into another program's code
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("aligner", "mas"):
                for alias in node.names:
                    import_dotted(f"{node.module}.{alias.name}")
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "mas"
            ):
                import_dotted(f"mas.{node.attr}")
