"""Voices: a model trained on each aligner's durations, its losses and speech on held-out texts."""

import argparse
import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from durations import Durations
from features import Features
from matcha_voice import MatchaTrainer
from trainer import Trainer
from voice import FastSpeech2Trainer

from aligner.errors import AlignerError

MODELS: dict[str, type[Trainer]] = {"fastspeech2": FastSpeech2Trainer, "matcha": MatchaTrainer}
CODE = {"fastspeech2": Path("FastSpeech2"), "matcha": Path("Matcha-TTS")}
WARM_UP_STEPS = 1000  # FastSpeech2's 4000 are of 900,000
UNTIMED_STEPS, TIMED_STEPS = 60, 60
START_EVERY_S = 1.0  # all at once they ask for more memory than a virtual machine grows by
SHARE = 0.95  # of the time that the timed steps promise


class Runs:
    """Voices that are trained side by side, each a process: they begin together and take equally many steps.

    Args:
        folder: Of all of them.
        name: This one's.
        together: How many there are.
    """

    def __init__(self, folder: Path, name: str, together: int) -> None:
        self._folder, self._name, self._together = folder, name, together

    def meet(self, what: str, value: float = 0.0) -> list[float]:
        """Wait until all have come here; the value of each."""
        (self._folder / f"{self._name}.{what}~").write_text(json.dumps(value))
        (self._folder / f"{self._name}.{what}~").rename(self._folder / f"{self._name}.{what}")
        while len(found := sorted(self._folder.glob(f"*.{what}"))) < self._together:
            time.sleep(0.2)
        return [json.loads(path.read_text()) for path in found]


def train_one(args: argparse.Namespace) -> None:
    """Train one voice; write `{steps}/{aligner}-{seed}.npz` after equal parts of its steps."""
    if args.threads:
        torch.set_num_threads(args.threads)
    args.code = args.code or CODE[args.model]
    name = f"{args.aligner}-{args.seed}"
    trainer, runs = MODELS[args.model](args), Runs(args.out, name, args.together)
    runs.meet("ready")
    begin, steps = trainer.wait(), args.steps
    if steps is None:
        trainer.train(UNTIMED_STEPS)
        start = trainer.wait()
        trainer.train(UNTIMED_STEPS + TIMED_STEPS)
        now = trainer.wait()
        slowest = max(runs.meet("seconds", (now - start) / TIMED_STEPS))
        left = args.seconds - (now - begin)
        steps = UNTIMED_STEPS + TIMED_STEPS + int(SHARE * left / slowest) // 100 * 100
        print(f"{name}: {1000 * slowest:.0f} ms a step, {steps} steps", flush=True)
    for part in range(1, args.snapshots + 1):
        trainer.train(steps * part // args.snapshots)
        write_voice(trainer, args.out / str(trainer.steps) / f"{name}.npz", trainer.wait() - begin)


def write_voice(trainer: Trainer, path: Path, seconds: float) -> None:
    """Write a voice's losses and its speech on held-out texts, which the step `measure` reads.

    Args:
        trainer: The voice.
        path: An .npz file.
        seconds: How long it has trained.
    """
    speech = [trainer.speak(utterance) for utterance in trainer.held_out]
    results: dict[str, Any] = {
        "ids": trainer.features.ids[trainer.held_out],
        "losses": np.array([trainer.losses(one) for one in trainer.held_out[:, None]]),
        "loss_names": np.array(trainer.LOSSES),
        "curve": np.array(trainer.curve),
        "frames": np.array([len(mel) for mel in speech]),
        "mel": np.concatenate(speech),
        "steps": np.array(trainer.steps),
        "seconds": np.array(seconds),
    }
    if (found := trainer.found()) is not None:
        results["found"] = found
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **results)
    unfinished.rename(path)
    last = ", ".join(
        f"{loss} {value:.3f}" for loss, value in zip(trainer.LOSSES, results["losses"].mean(0), strict=True)
    )
    print(f"{path.stem}: {trainer.steps} steps in {seconds:.0f} s; held out: {last}", flush=True)


def train_all(args: argparse.Namespace) -> None:
    """Train a voice for each aligner and seed, all at once on one device."""
    args.code = args.code or CODE[args.model]
    given = list(Durations.read(Features.load(args.features), args.durations).frames)
    aligners = [*given, *MODELS[args.model].OWN_DURATIONS]
    if len(set(aligners)) < len(aligners):
        raise AlignerError(f"durations have a name that is taken: {', '.join(given)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for left in (*args.out.glob("*.ready"), *args.out.glob("*.seconds"), *args.out.glob("*/*.npz")):
        left.unlink()  # of a run before
    pace = ["--steps", str(args.steps)] if args.steps else ["--seconds", str(args.seconds)]
    processes = []
    for aligner, seed in product(aligners, range(args.seeds)):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent), "train-one", str(args.features), *pace]
            + ["--model", args.model, "--code", str(args.code), "--out", str(args.out)]
            + ["--aligner", aligner, "--seed", str(seed)]
            + (["--rate", str(args.rate)] if args.rate else [])
            + ["--together", str(len(aligners) * args.seeds), "--warm-up", str(args.warm_up)]
            + ["--snapshots", str(args.snapshots), "--threads", "1", "--durations", *map(str, args.durations)]
            + ["--smaller"] * args.smaller
        )
        processes.append(process)
        time.sleep(START_EVERY_S)
    try:
        while any(process.poll() is None for process in processes):
            time.sleep(0.5)
            if any(process.poll() for process in processes):
                raise AlignerError("a training failed, see above; the others are ended")
    finally:
        for process in processes:
            process.terminate()
    if any(process.wait() for process in processes):
        raise AlignerError("a training failed, see above")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`train` and, for each of its processes, `train-one`."""
    for name, run, help in (
        ("train", train_all, "train a voice for each aligner and seed, side by side"),
        ("train-one", train_one, "train one voice"),
    ):
        parser = commands.add_parser(name, help=help)
        parser.add_argument("features", type=Path, help="what the step `features` wrote")
        parser.add_argument(
            "--durations", type=Path, nargs="+", required=True, help="folders, one an aligner"
        )
        parser.add_argument("--model", choices=MODELS, default="fastspeech2")
        parser.add_argument(
            "--code", type=Path, help="a clone of the model's source (default: FastSpeech2, Matcha-TTS)"
        )
        parser.add_argument("--out", type=Path, required=True)
        length = parser.add_mutually_exclusive_group(required=True)
        length.add_argument("--steps", type=int)
        length.add_argument("--seconds", type=float, help="as many steps as all can take in this time")
        parser.add_argument(
            "--warm-up", type=int, default=WARM_UP_STEPS, help="FastSpeech2: steps up to the highest rate"
        )
        parser.add_argument("--rate", type=float, help="Matcha: learning rate (default: its settings')")
        parser.add_argument(
            "--snapshots", type=int, default=2, help="how often a voice is written, after equal parts of it"
        )
        parser.add_argument("--smaller", action="store_true", help="a quarter of the width, to try the steps")
        parser.set_defaults(run=run)
        if run is train_all:
            parser.add_argument("--seeds", type=int, default=3)
        else:
            parser.add_argument("--aligner", required=True)
            parser.add_argument("--seed", type=int, default=0)
            parser.add_argument("--together", type=int, default=1, help="processes to wait for")
            parser.add_argument("--threads", type=int)
