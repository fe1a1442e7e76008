"""`mas` stands alone: what importing it brings along, and what it can do without."""

import subprocess
import sys
from importlib.util import find_spec
from typing import get_args

from mas.search import Backend


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_brings_neither_the_trainer_nor_its_libraries() -> None:
    loaded = _run("import mas, sys; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert "torch" in loaded
    assert not {"aligner", "lightning", "librosa", "lhotse", "numba", "triton", "cuda"} & set(loaded)


def test_backends_have_the_names_of_their_files() -> None:
    for name in get_args(Backend):
        spec = find_spec(f"mas.backends.{name}")
        assert spec is not None, name


def test_triton_backend_imports_the_triton_package() -> None:
    code = "import mas.backends.triton as t, triton; print(t.triton is triton, t.__name__)"
    assert _run(code) == "True mas.backends.triton\n"


def test_works_without_triton() -> None:
    code = """
import sys
sys.modules["triton"] = None
import mas, torch
x = torch.zeros(1, 3, 6)
print(mas.search(x, torch.tensor([3]), torch.tensor([6])).tolist())
print(mas.maximum_path(x, torch.ones(1, 3, 6)).sum().item(), mas.available_backends("cuda"))
"""
    assert _run(code) == "[[1, 1, 4]]\n6.0 ['reference']\n"
