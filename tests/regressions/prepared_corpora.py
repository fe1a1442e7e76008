"""Corpora as people bring them, written to a folder, and what `aligner prepare` makes of them."""

import contextlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aligner.cli import main
from aligner.corpus.prepared import Utterance, load_utterances

TEXTS = (
    "This is my sentence.",
    "The second one is here.",
    "Please call her now.",
    "Good day to you all.",
    "Where is the dog?",
    "Six spoons of fresh snow peas.",
    "We need a small snake.",
)


def noise(path: Path, seconds: float = 1.0, rate_hz: int = 8000, **format: Any) -> Path:
    """A sound file that is loud enough to pass for speech."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(len(path.name)).uniform(-0.3, 0.3, int(seconds * rate_hz))
    soundfile.write(path, samples.astype(np.float32), rate_hz, **format)
    return path


def write_list(path: Path, lines: Iterable[str], sounds: Iterable[str] = (), encoding: str = "utf-8") -> Path:
    """A list, and sound files beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    for sound in sounds:
        noise(path.parent / sound)
    return path


@dataclass
class Prepared:
    """What one call of `aligner prepare` came to.

    Args:
        status: Its exit status.
        said: What it printed on stderr.
        printed: What it printed on stdout.
        utterances: By id.
        refused: Reason and detail, by id.
        references_refused: Reasons by id.
        summary: What --json prints; empty if it failed.
    """

    status: int
    said: str
    printed: str
    utterances: dict[str, Utterance] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    references_refused: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        return {id: utterance.text for id, utterance in self.utterances.items()}

    @property
    def speakers(self) -> dict[str, str]:
        return {id: utterance.speaker for id, utterance in self.utterances.items()}


def prepare(corpus: Path, *options: object) -> Prepared:
    """Run `aligner prepare` on a corpus, with letters as phones (quick) unless `options` say otherwise.

    The options may begin with more corpora.
    """
    out = corpus.parent / f"{corpus.name}-prepared"
    options = options if "--phonemizer" in options else (*options, "--phonemizer", "characters")
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        try:
            status = main(["prepare", str(corpus), *map(str, options), "--out", str(out), "--json"])
        except SystemExit as error:  # of argparse
            status = int(error.code or 0)
    result = Prepared(status, said.getvalue(), printed.getvalue())
    result.refused = {id: f"{reason}: {detail}" for id, reason, detail, *_ in _rows(out / "refused.tsv")}
    result.references_refused = {id: reason for id, reason in _rows(out / "references-refused.tsv")}
    if status == 0:
        result.utterances = {utterance.id: utterance for utterance in load_utterances(out)}
        result.summary = json.loads(result.printed.splitlines()[-1])
    return result


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
