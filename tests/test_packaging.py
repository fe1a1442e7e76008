"""What a wheel holds, and that the tested set of versions covers what the project asks for."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel, built from a copy: setuptools would leave `build/` in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("mas", "aligner", "configs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "out",
        ".",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "out").glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_package_page_has_all_of_the_readme_but_what_leads_into_the_repository(
    wheel: zipfile.ZipFile,
) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    page = message_from_string(wheel.read(name).decode("utf-8"))
    assert page["Description-Content-Type"] == "text/markdown"
    text = page.get_payload()
    assert isinstance(text, str)
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert all(target.startswith("https://") for target in targets)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count("](https://") == len(targets)
    lost = set(re.findall(r"\w+", re.sub(r"\]\([^)]*\)|^!.*", "", readme, flags=re.M))) - set(
        re.findall(r"\w+", text)
    )
    assert not lost


def test_the_wheel_holds_all_code_and_data(wheel: zipfile.ZipFile) -> None:
    files = [path for package in ("mas", "aligner") for path in (ROOT / package).rglob("*") if path.is_file()]
    files.remove(ROOT / "mas" / "benchmark.png")  # for readers of the repository
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    expected |= {f"aligner/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    assert {"mas/py.typed", "aligner/py.typed", "mas/backends/hopper/search.cu"} <= expected
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == expected


def test_checkouts_have_the_configs_where_wheels_have_them() -> None:
    assert (ROOT / "aligner" / "configs").samefile(ROOT / "configs")


def test_every_requirement_is_in_the_tested_set() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in lines if not line.startswith("#")}
    assert all(
        re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.+]*", line) for line in lines
    )  # no paths, no ranges
    wanted = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    assert {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted} <= pinned


def test_the_citation_says_what_the_package_says() -> None:
    """What the Citation File Format 1.2.0 requires, and what changes with a release."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert citation["authors"] == [{"name": "The mas-aligner authors"}]
    assert citation["title"] == PROJECT["name"]
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert set(citation["keywords"]) <= set(PROJECT["keywords"])
    assert citation["abstract"].strip() == PROJECT["description"]


@pytest.mark.slow  # half a minute of mypy
def test_a_users_own_types_are_checked_against_ours(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import mas\nimport torch\nfrom aligner import Aligner, Alignment, Transcript\n"
        "def spoken(path: str, text: Transcript | str) -> Alignment:\n"
        "    return Aligner.load('en-us').align(path, text)\n"
        "total: int = int(spoken('a.wav', 'tea').durations(256, 22050).sum())\n"
        "path: torch.Tensor = mas.search(torch.zeros(1, 2, 3), torch.tensor([2]), torch.tensor([3]))\n"
        "reveal_type(spoken)\nreveal_type(mas.search)\n"
        "wrong: str = spoken('a.wav', 'tea')\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent"]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path), str(program)],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, done.stdout
    assert "Incompatible types in assignment" in errors[0]
    assert "-> aligner.alignment.Alignment" in done.stdout
    assert '"def (scores: torch._tensor.Tensor' in done.stdout


@pytest.mark.slow  # a quarter of a minute of imports
def test_make_docs_has_every_public_name(tmp_path: Path) -> None:
    pytest.importorskip("pdoc", reason="pdoc is not installed: pip install -e '.[dev]'")
    listed = re.search(r"^API = (.*?[^\\])$", (ROOT / "Makefile").read_text(), re.M | re.S)
    assert listed is not None
    modules = listed[1].replace("\\", " ").split()
    command = [sys.executable, "-W", "error", "-m", "pdoc", "--docformat", "google", "-o", str(tmp_path)]
    done = subprocess.run([*command, *modules], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {
        path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")
    }
    for module in modules:
        page = pages[Path(*module.split(".")).with_suffix(".html")]
        for name in getattr(importlib.import_module(module), "__all__", ()):
            own = pages.get(Path(*module.split("."), f"{name}.html"))  # mas.search has the page of its file
            assert f'id="{name}"' in page or own is not None, f"{module}: no {name}"
    for name, module in {
        "Aligner": "aligner",
        "Alignment": "alignment",
        "Transcript": "text/transcript",
    }.items():
        assert f'id="{name}"' in pages[Path("aligner", f"{module}.html")]
