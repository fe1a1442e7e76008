"""Made-up alignments for tests of formats, and what these tests do with them."""

import json
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aligner.alignment import Alignment
from aligner.formats import ExportSettings, export
from aligner.spread import with_spreads

RATE_HZ = 22050
PHONES = ["AH0", "B", "EH1", "D", "spn", "Z", "NG", "OY2"]
NONSENSE = ['a"b', "x y", "ʃː", "<&>", "t͡ʃ", "=", "@"]

property_test = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def alignments(draw: st.DrawFn, symbols: Sequence[str] = PHONES, count: int = 1) -> Any:
    """Pauses anywhere, words of one to three phones, a whole number of samples, tokens from one sample up."""
    made = []
    for number in range(count):
        words = draw(
            st.lists(st.lists(st.sampled_from(symbols), min_size=1, max_size=3), min_size=1, max_size=4)
        )
        names: list[str] = []
        owners: list[int] = []
        for index, phones in enumerate(words):
            if draw(st.booleans()):
                names, owners = [*names, "sil"], [*owners, -1]
            names, owners = names + phones, owners + [index] * len(phones)
        if draw(st.booleans()):
            names, owners = [*names, "sil"], [*owners, -1]
        lengths = draw(st.lists(st.integers(1, 9000), min_size=len(names), max_size=len(names)))
        edges = np.concatenate([[0], np.cumsum(lengths)]) / RATE_HZ
        texts = [f"w{index}" for index in range(len(words))]
        scores = [0.5] * len(names) if draw(st.booleans()) else None
        one = Alignment.from_boundaries(
            f"LJ-{number}",
            names,
            owners,
            texts,
            edges,
            edges[-1],
            scores=scores,
            text="what, was | said",
            audio=f"/corpus/wavs/LJ-{number}.wav",
        )
        sure = np.full(len(edges), 0.0123) if draw(st.booleans()) else None
        made.append(one if sure is None else with_spreads(one, edges, sure))
    return made if count > 1 else made[0]


def example(seed: int = 0, n_words: int = 6, id: str = "LJ001-0001", speaker: str = "") -> Alignment:
    """Made-up speech, different for each seed: words of one to four phones, a pause now and then."""
    rng = random.Random(seed)
    names, owners = ["sil"], [-1]
    for index in range(n_words):
        n_phones = rng.randint(1, 4)
        names += [rng.choice(PHONES) for _ in range(n_phones)]
        owners += [index] * n_phones
        if rng.random() < 0.3:
            names, owners = [*names, "sil"], [*owners, -1]
    if names[-1] != "sil":
        names, owners = [*names, "sil"], [*owners, -1]
    edges = np.concatenate([[0], np.cumsum([rng.randint(900, 4000) for _ in names])]) / RATE_HZ
    return Alignment.from_boundaries(
        id, names, owners, [f"word{i}" for i in range(n_words)], edges, edges[-1], scores=[0.5] * len(names),
        speaker=speaker, score=0.25, text="Some words, said.", audio=f"/corpus/wavs/{id}.wav",
    )  # fmt: skip


def write(alignment: Alignment, format: str, root: Path, **more: Any) -> Path:
    """Export a single alignment, which the format must take, with these settings."""
    (result,) = export([alignment], {format: root}, ExportSettings(**more)).values()
    assert not result.refused
    return root


def n_samples(alignment: Alignment) -> int:
    """Samples of its audio."""
    return round(alignment.duration_s * RATE_HZ)


def fewest_s(alignment: Alignment, per_s: int = 1000) -> float:
    """Seconds that its tokens need if each has a whole unit, of which a second has so many."""
    return (len(alignment.tokens) + 1) / per_s


def files(root: Path) -> list[str]:
    """The files in and below a folder, but for those that begin with a point (an export's record)."""
    found = (p for p in root.rglob("*") if p.is_file() and not p.name.startswith("."))
    return sorted(p.relative_to(root).as_posix() for p in found)


def same(one: Alignment, other: Alignment, scores: bool = True, symbols: bool = True) -> None:
    """Assert that two alignments say the same, times to a microsecond."""
    tolerance_s = 1e-6
    assert len(one.tokens) == len(other.tokens)
    assert len(one.words) == len(other.words)
    for ours, theirs in (
        *zip(one.tokens, other.tokens, strict=True),
        *zip(one.words, other.words, strict=True),
    ):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=tolerance_s)
        assert ours.end_s == pytest.approx(theirs.end_s, abs=tolerance_s)
        if symbols:
            assert ours.symbol == theirs.symbol
        assert ours.word == theirs.word
        if scores:
            assert (ours.score is None) == (theirs.score is None)
    assert one.duration_s == pytest.approx(other.duration_s, abs=tolerance_s)


def write_timit(folder: Path, name: str) -> None:
    """TIMIT's two files for half a second: silence, "she", silence. name: of the .phn, with folders."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".phn").write_text("0 1600 h#\n1600 3200 sh\n3200 4800 iy\n4800 8000 h#\n")
    path.with_suffix(".wrd").write_text("1600 4800 she\n")


def safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """What a file of safetensors holds: the length of a JSON text, that text, and the values."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    values, found, end = data[8 + length :], {}, 0
    for name, entry in json.loads(data[8 : 8 + length]).items():
        start, stop = entry["data_offsets"]
        assert (entry["dtype"], start) == ("F32", end)
        found[name], end = np.frombuffer(values[start:stop], "<f4").reshape(entry["shape"]), stop
    assert end == len(values)
    return found
