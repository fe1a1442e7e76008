"""Texts through the real `aligner prepare`, over noise."""

from pathlib import Path

import numpy as np
import soundfile

from aligner.cli import main
from aligner.corpus.prepared import load_utterances


def prepare(folder: Path, texts: list[str], *options: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The words of each utterance, and why others were refused, as `aligner prepare` has them."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16000 * 4)
    (folder / "wavs").mkdir()
    for index in range(len(texts)):
        soundfile.write(folder / "wavs" / f"u{index}.wav", noise, 16000)
    lines = "".join(f"u{index}|{text}\n" for index, text in enumerate(texts))
    (folder / "metadata.csv").write_text(lines, encoding="utf-8")
    out = folder / "out"
    main(["prepare", str(folder), "--out", str(out), *options])
    rows = [line.split("\t") for line in (out / "refused.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    kept = load_utterances(out) if (out / "cuts.jsonl.gz").exists() else []
    words = {utterance.id: [word.text for word in utterance.transcript.words] for utterance in kept}
    return words, {row[0]: row[2] for row in rows}
