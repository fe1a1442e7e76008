"""`mas` stands alone: what importing it brings along, and what it can do without."""

import subprocess
import sys


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_brings_neither_the_trainer_nor_its_libraries() -> None:
    loaded = _run("import mas, sys; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert "torch" in loaded
    assert not {"aligner", "lightning", "librosa", "lhotse", "numba", "triton"} & set(loaded)


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
