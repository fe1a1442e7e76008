"""Who may import whom: data walks straight down. The drawing is in aligner/README.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module imports from its own room and from rooms before it, also inside functions and for types.
ROOMS = [
    *(
        "caches",
        "errors",
        "devices",
        "instantiate",
        "ragged",
        "text",
        "frame_grid",
        "alignment",
        "spread",
        "formats",
        "corpus",
        "frontends",
        "encoders",
        "search",
    ),
    *(
        "boundaries",
        "confidence",
        "evaluate",
        "plot",
        "report",
        "checkpoint",
        "decoded",
        "naming",
        "aligner",
        "align_shards",
        "align_batches",
        "align_processes",
        "calibrate",
        "align_corpus",
        "segment",
        "training",
        "machine",
    ),
    *("cli", "commands"),  # cli.py finds commands by name
]
FORBIDDEN_TO_MAS = {"aligner", "lightning", "librosa"}


def modules(package: str) -> dict[str, Path]:
    """Every module's dotted name and file."""
    files = sorted((ROOT / package).rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write absolute imports"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(name: str) -> str:
    return name.split(".")[1]


ALIGNER = {name: path for name, path in modules("aligner").items() if name != "aligner"}
MAS = modules("mas")


def test_every_file_is_in_a_room_of_the_list() -> None:
    assert {room(name) for name in ALIGNER} == set(ROOMS)


@pytest.mark.parametrize("name", ALIGNER)
def test_data_walks_straight_down(name: str) -> None:
    order = {of: place for place, of in enumerate(ROOMS)}
    upward = {
        other
        for other in imported(ALIGNER[name])
        if other.startswith("aligner.") and order.get(room(other), -1) > order[room(name)]
    }
    assert not upward, f"{name} imports from rooms after its own: {sorted(upward)}"


def test_there_are_no_circles() -> None:
    """Rooms are in order; within a room, files must be too."""
    known = {**ALIGNER, **MAS}
    uses = {
        name: {
            other for used in imported(path) for other in (used, used.rpartition(".")[0]) if other in known
        }
        - {name, *(name.rpartition(".")[0],) * name.count(".")}
        for name, path in known.items()
        if path.name != "__init__.py"  # re-exports what is in the room
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way, name))}"
        if name not in done:
            for other in sorted(uses.get(name, ())):
                visit(other, (*way, name))
            done.add(name)

    for name in uses:
        visit(name, ())


@pytest.mark.parametrize("name", MAS)
def test_mas_stands_alone(name: str) -> None:
    used = imported(MAS[name])
    assert not {other.split(".")[0] for other in used} & FORBIDDEN_TO_MAS
    if name.startswith("mas.backends."):
        assert not any(other.startswith("mas.search") for other in used), f"{name} imports mas.search"
