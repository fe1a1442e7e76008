"""Make the models that come with the package (aligner/models) again, from free recordings alone.

    python scripts/make_models.py en-us de --recordings DATA --measure "en-us:TIMIT=timit-dev"

DATA has a folder for each source of the table below, which says where it is from; a model is trained on all
of its sources and on nothing else. Corpora that are measured on (with known times: .wrd, TextGrids) are never
trained on. Each model gets aligner/models/NAME/aligner.ckpt, without what only training needs, and its card,
README.md, with the errors measured here. About ten minutes of CPU time for an hour of recordings.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from aligner.aligner import Aligner
from aligner.calibrate import calibrate
from aligner.checkpoint import MODEL_FILE, MODELS
from aligner.confidence import Calibration
from aligner.corpus.prepared import load_utterances


@dataclass(frozen=True)
class Source:
    """Recordings that anybody may use for anything.

    Args:
        folder: Its name in DATA.
        what: What it is, and where it is from.
        licence: Its.
    """

    folder: str
    what: str
    licence: str


SOURCES = {
    "en-us": (
        Source(
            "kathleen",
            "1,132 CMU ARCTIC prompts, one woman: github.com/rhasspy/dataset-voice-kathleen, the last take "
            "of each prompt, left channel, resampled to 22.05 kHz",
            "CC0",
        ),
        Source(
            "ljspeech-sample",
            "LJ001-0001 to LJ001-0100 of LJSpeech 1.1, one woman: keithito.com/LJ-Speech-Dataset",
            "Public domain",
        ),
    ),
    "de": (
        Source(
            "kerstin",
            "1,374 sentences, one woman: the folder `verified` of github.com/rhasspy/dataset-voice-kerstin",
            "CC0",
        ),
    ),
}
LANGUAGES = {"en-us": "US English", "de": "German"}
NEEDS = {"de": " Its texts are read by gruut's German lexicon: `pip install 'gruut[de]'`."}
CONFIG = "ljspeech"
# Then on the same recordings as they are and in rooms and noise: other people's are. Clean mixtures are
# remembered as more frames than a Gaussian has in an epoch: else clean recordings lose 0.7 ms instead of 0.2.
DEGRADED = {
    "model.perturbation": "{class_path: aligner.training.Degradation}",
    "model.training.init_args.remembered_frames": "1500",
    "model.training.init_args.epochs": "5",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=list(SOURCES), metavar="NAME", help="of models")
    parser.add_argument("--recordings", type=Path, required=True, metavar="DATA")
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="NAME:TITLE=CORPUS",
        help="known times that a model is measured against, such as en-us:TIMIT=timit-dev",
    )
    args = parser.parse_args()
    for given in args.measure:
        if given.partition(":")[0] not in args.names or "=" not in given:
            parser.error(
                f"--measure {given}: NAME:TITLE=CORPUS is needed, NAME one of {' '.join(args.names)}"
            )
    for name in args.names:
        measured_on = [given.partition(":")[2] for given in args.measure if given.startswith(f"{name}:")]
        with tempfile.TemporaryDirectory() as work:
            make(name, args.recordings, measured_on, Path(work))


def make(name: str, recordings: Path, measured_on: list[str], work: Path) -> None:
    """Train a model, write it and its card."""
    folders = [str(recordings / source.folder) for source in SOURCES[name]]
    prepared = aligner("prepare", *folders, "--language", name, "--out", str(work / "prepared"))
    fit = ["fit", "--config", CONFIG, "--data", str(work / "prepared"), "--trainer.accelerator", "cpu"]
    clean = aligner(*fit, "--out", str(work / "clean"))
    degraded = [word for name, value in DEGRADED.items() for word in (f"--{name}", value)]
    trained = aligner(
        *fit, "--out", str(work / "degraded"), "--init-checkpoint", clean["checkpoint"], *degraded
    )
    trained |= {"seconds": clean["seconds"] + trained["seconds"], "clean_epochs": clean["epochs"]}
    checkpoint = MODELS / name / MODEL_FILE
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    made = Aligner.load(trained["checkpoint"])
    if len(folders) > 1:
        made.calibration = calibration_on_unheard(folders, name, work)
    made.save(checkpoint)
    rows = []
    for number, own in enumerate(measured_on):
        title, _, corpus = own.partition("=")
        out = str(work / f"aligned-{number}")
        aligner("align", corpus, "--checkpoint", str(checkpoint), "--out", out)
        rows.append((title, aligner("evaluate", out, "--reference", corpus)["words"]))
    card = _card(name, checkpoint.stat().st_size, prepared, trained, rows)
    (checkpoint.parent / "README.md").write_text(card, encoding="utf-8")
    print(card)


def calibration_on_unheard(folders: list[str], language: str, work: Path) -> Calibration:
    """What scores mean for a voice that a model has not heard: of a model of the first source, on the others.

    People's voices are such. On those that a model has learnt from its scores are far too high for them.
    """
    heard, others = str(work / "heard"), str(work / "others")
    aligner("prepare", folders[0], "--language", language, "--out", heard)
    aligner("prepare", *folders[1:], "--language", language, "--out", others, "--vocabulary", heard)
    fit = ["fit", "--config", CONFIG, "--data", heard, "--trainer.accelerator", "cpu"]
    trained = Aligner.load(aligner(*fit, "--out", str(work / "of_heard"))["checkpoint"])
    calibrate(trained, load_utterances(others), seed=0)
    return trained.calibration


def aligner(*words: str) -> dict[str, Any]:
    """Run a command as a user would; its figures."""
    print("aligner", *words, file=sys.stderr, flush=True)
    program = "from aligner.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--json"], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _card(
    name: str,
    n_bytes: int,
    prepared: dict[str, Any],
    trained: dict[str, Any],
    measured: list[tuple[str, dict[str, Any]]],
) -> str:
    sources = SOURCES[name]
    folders = " ".join(source.folder for source in sources)
    lines = [
        f"# {name}",
        "",
        f"An aligner of {LANGUAGES[name]}: `aligner align RECORDINGS --checkpoint {name} --out aligned`."
        f"{NEEDS.get(name, '')}",
        "",
        f"- **Trained on** {prepared['utterances']} utterances, {60 * prepared['hours']:.0f} minutes, audio "
        "and texts alone, no times:",
        *(f"  - {source.what}. {source.licence}." for source in sources),
        "- **Licence** of the model: MIT, as the package; its recordings are free for any use.",
        f"- **Made by** `python scripts/make_models.py {name} --recordings DATA`, which is `aligner prepare "
        f"{folders} --language {name}`, `aligner fit --config {CONFIG}` ({trained['clean_epochs']} epochs) "
        f"and, from there, `fit` on each utterance twice, as it is and drawn into rooms and noise "
        f"({trained['epochs']} epochs): {trained['seconds']:.0f} s on CPU; {date.today():%d %B %Y}, torch "
        f"{torch.__version__}, {n_bytes / 1e6:.1f} MB.",
        f"- **Knows** {prepared['symbols']} symbols, gruut's phones of {LANGUAGES[name]}, and one way of "
        f"speaking: few voices, read from a page. Its confidence is calibrated {_calibrated(name)}; on 20 "
        "recordings or more `align` calibrates it anew.",
        "",
        "Errors of word boundaries, on recordings that it was not trained on:",
        "",
        "| recordings | boundaries | mean, ms | median, ms | within 20 ms | beyond 100 ms |",
        "|---|---|---|---|---|---|",
    ]
    for title, words in measured:
        lines.append(
            f"| {title} | {words['n']} | {words['mean_ms']:.1f} | {words['median_ms']:.1f} | "
            f"{words['within_20ms']:.1f} % | {words['beyond_100ms']:.1f} % |"
        )
    return "\n".join(lines if measured else lines[:-4]) + "\n"


def _calibrated(name: str) -> str:
    if len(SOURCES[name]) > 1:
        return "on a voice that a model of the first of these had not heard"
    return "on this voice and changes of it, and comes out lower for others"


if __name__ == "__main__":
    main()
