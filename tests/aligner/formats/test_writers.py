"""Files of all formats: their names, what is left out, memory."""

import os
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_alignments import example, files, write

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import (
    PRESETS,
    WRITERS,
    ExportSettings,
    export,
)
from aligner.formats.writer import safe_name


@pytest.mark.parametrize("format", list(WRITERS))
def test_nothing_is_written_outside_the_folder(tmp_path: Path, format: str) -> None:
    root = tmp_path / "out"
    evil = [example(id="../../evil"), example(id="/etc/x", speaker="../up"), example(id="a\nb|c d\x00e")]
    export(evil, {format: root}, ExportSettings(grid=PRESETS["fastspeech2"]))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    names = " ".join(files(root))
    assert not set(names) & set("\n|\x00")
    if "durations" in files(root):
        assert all(len(line.split()) > 2 for line in (root / "durations").read_text().splitlines())


@pytest.mark.parametrize("format", [name for name in WRITERS if name not in ("lhotse",)])
def test_two_ids_of_one_name_are_an_error(tmp_path: Path, format: str) -> None:
    with pytest.raises(AlignerError, match="'a/b' and 'a b' would both be written as 'a_b'"):
        export(
            [example(id="a/b"), example(id="a b")], {format: tmp_path}, ExportSettings(grid=PRESETS["vits"])
        )
    lists = ("tokens.txt", "train.txt", "durations", "durations.pt", "phones.ctm", "metadata_attn_mask.txt")
    assert not set(lists) & set(files(tmp_path))
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("id", ["", "..", "/", "...", "a" * 300])
def test_ids_that_make_no_name_are_an_error(id: str) -> None:
    with pytest.raises(AlignerError):
        safe_name(id)


@given(st.text(max_size=40))
def test_safe_names_are_one_plain_part_of_a_path(id: str) -> None:
    try:
        name = safe_name(id)
    except AlignerError:
        return
    assert os.path.basename(name) == name
    assert not name.startswith(".")
    assert not set(name) & set(string.whitespace + "/\\|:*?\"<>'")


def test_utterances_that_do_not_fit_are_named_and_left_out(tmp_path: Path) -> None:
    edges = np.linspace(0, 0.02, 9)
    crowded = Alignment.from_boundaries("crowded", ["B"] * 8, [0] * 8, ["b"], edges, 0.02)
    results = export([crowded, example()], {"matcha": tmp_path / "m", "textgrid": tmp_path / "t"})
    assert results["matcha"].utterances == 1
    assert "crowded: 8 tokens do not fit 1 frames" in results["matcha"].refused[0]
    assert results["textgrid"].utterances == 2
    assert files(tmp_path / "m") == ["durations/LJ001-0001.npy", "tokens.txt"]


def test_tokens_are_checked_against_the_consumers(tmp_path: Path) -> None:
    one = Alignment.from_boundaries("u", ["B", "AH0"], [0, 0], ["ba"], [0, 0.1, 0.2], 0.2)
    for theirs, complaint in (
        ({"u": ("B",)}, "2 tokens, but the consumer has 1"),
        ({"u": ("B", "AH1")}, "token 1 is 'AH0', but the consumer's is 'AH1'"),
        ({}, "not among the tokens"),
    ):
        results = export([one], {"matcha": tmp_path}, ExportSettings(tokens=theirs))
        assert complaint in results["matcha"].refused[0]
    write(one, "matcha", tmp_path, tokens={"u": ("_", "B", "_", "AH0", "_")}, blank="_")


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """Peak allocations of an export of 160 utterances are those of 40, less what a name a file costs."""
    script = """
import sys, tracemalloc
from aligner.formats import PRESETS, ExportSettings, export
sys.path.insert(0, sys.argv[1])
from made_alignments import example
formats = [name for name in sys.argv[3].split(",")]
settings = ExportSettings(grid=PRESETS["fastspeech2"])
def run(n):
    tracemalloc.reset_peak()
    roots = {f: f"{sys.argv[2]}/{n}/{f}" for f in formats}
    export((example(i, id=f"u{i}") for i in range(n)), roots, settings)
    return tracemalloc.get_traced_memory()[1]
run(3)
tracemalloc.start()
print(run(40), run(160))
"""
    names = ",".join(
        name for name in WRITERS if name not in ("nemo",)
    )  # one dictionary by its consumer's wish
    here = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script, here, str(tmp_path), names], capture_output=True, text=True, check=True
    )
    small, large = map(int, done.stdout.split())
    assert large - small < 120 * 700 * len(names.split(","))  # less than a kilobyte: names, not alignments


def test_a_clash_of_names_names_the_ids_as_given(tmp_path: Path) -> None:
    """FastSpeech2 cuts file names at their first dot, so the writer replaces it."""
    clashing = [example(id="a_b"), example(id="a.b")]
    with pytest.raises(AlignerError, match="'a_b' and 'a.b' would both be written as 'a_b'"):
        export(clashing, {"fastspeech2": tmp_path}, ExportSettings(any_symbols=True))
