"""One voice: FastSpeech2 trained on one aligner's durations, its losses and speech on held-out texts."""

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
from numpy.typing import NDArray
from voice import Corpus, import_code, make_model

from aligner.errors import AlignerError

LOSSES = ("total", "mel", "postnet_mel", "pitch", "energy", "duration")  # as FastSpeech2Loss returns them
BATCH, GROUP = 16, 4  # its train.yaml and train.py: batches of 16 of similar length among 64 at random
WARM_UP_STEPS = 1000  # its 4000 are of 900,000
CURVE_EVERY = 250
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


class Trainer:
    """A voice in training.

    Args:
        args: As `add_commands` reads them.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.features = Features.load(args.features)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        texts = Durations.read(self.features, args.durations)
        self.corpus = Corpus(self.features, texts, args.aligner, import_code(args.code), self.device)
        self.held_out = np.flatnonzero(self.features.held_out)
        from model import ScheduledOptim

        stats = args.out / f"{args.aligner}-{args.seed}"
        stats.mkdir(parents=True, exist_ok=True)
        self.voice, self.loss, model, train = make_model(
            args.code, stats, self.corpus, self.device, args.smaller
        )
        peak = train["optimizer"]["warm_up_step"] ** -0.5
        train["optimizer"]["warm_up_step"] = args.warm_up
        self.optimiser = ScheduledOptim(self.voice, train, model, 0)
        self.optimiser.init_lr *= peak * args.warm_up**0.5  # the published peak, earlier
        self._clip = train["optimizer"]["grad_clip_thresh"]
        self._order = np.random.default_rng(args.seed)
        self._waiting: list[NDArray] = []
        self.curve: list[list[float]] = []
        self.steps = 0

    def train(self, steps: int) -> None:
        """Take steps up to a number of them."""
        while self.steps < steps:
            self.voice.train()
            batch = self.corpus.batch(self._next())
            with self._precision():
                losses = self.loss(batch, self.voice(*batch[2:]))
            losses[0].backward()
            torch.nn.utils.clip_grad_norm_(self.voice.parameters(), self._clip)
            self.optimiser.step_and_update_lr()
            self.optimiser.zero_grad()
            self.steps += 1
            if self.steps % CURVE_EVERY == 0:
                held_out = self.losses(self.held_out[:BATCH])
                self.curve.append([self.steps, *(loss.item() for loss in losses), *held_out])

    def losses(self, utterances: NDArray) -> list[float]:
        """FastSpeech2's losses of some utterances, with their own durations, pitch and energy."""
        self.voice.eval()
        batch = self.corpus.batch(utterances)
        with torch.no_grad(), self._precision():
            return [float(loss) for loss in self.loss(batch, self.voice(*batch[2:]))]

    def speak(self, utterance: int) -> NDArray[np.float16]:
        """The mel of one text, everything predicted, `[S, 80]`."""
        self.voice.eval()
        batch = self.corpus.batch(np.array([utterance]))
        with torch.no_grad():
            mel = self.voice(*batch[2:6])[1][0]
        if not len(mel) or not torch.isfinite(mel).all():
            raise AlignerError(
                f"{self.features.ids[utterance]}: no frames, or some that are not finite; train longer"
            )
        return mel.half().cpu().numpy()

    def wait(self) -> float:
        """The clock, when the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def _next(self) -> NDArray:
        if not self._waiting:
            order = self._order.permutation(np.flatnonzero(~self.features.held_out))
            groups = np.split(order, range(BATCH * GROUP, len(order), BATCH * GROUP))
            lengths = self.corpus.text_lengths
            batches = [part for group in groups for part in _batches(group[np.argsort(-lengths[group])])]
            self._waiting = batches or [order]  # a corpus of less than a batch
        return self._waiting.pop(0)


def _batches(group: NDArray) -> list[NDArray]:
    """Whole batches only, as its `drop_last`."""
    return [group[i : i + BATCH] for i in range(0, len(group) - BATCH + 1, BATCH)]


def train_one(args: argparse.Namespace) -> None:
    """Train one voice; write `{steps}/{aligner}-{seed}.npz` after equal parts of its steps."""
    if args.threads:
        torch.set_num_threads(args.threads)
    name = f"{args.aligner}-{args.seed}"
    trainer, runs = Trainer(args), Runs(args.out, name, args.together)
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
        "curve": np.array(trainer.curve),
        "frames": np.array([len(mel) for mel in speech]),
        "mel": np.concatenate(speech),
        "steps": np.array(trainer.steps),
        "seconds": np.array(seconds),
    }
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **results)
    unfinished.rename(path)
    last = ", ".join(
        f"{loss} {value:.3f}" for loss, value in zip(LOSSES, results["losses"].mean(0), strict=True)
    )
    print(f"{path.stem}: {trainer.steps} steps in {seconds:.0f} s; held out: {last}", flush=True)


def train_all(args: argparse.Namespace) -> None:
    """Train a voice for each aligner and seed, all at once on one device."""
    aligners = list(Durations.read(Features.load(args.features), args.durations).frames)
    args.out.mkdir(parents=True, exist_ok=True)
    for left in (*args.out.glob("*.ready"), *args.out.glob("*.seconds"), *args.out.glob("*/*.npz")):
        left.unlink()  # of a run before
    pace = ["--steps", str(args.steps)] if args.steps else ["--seconds", str(args.seconds)]
    processes = []
    for aligner, seed in product(aligners, range(args.seeds)):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent), "train-one", str(args.features), *pace]
            + ["--code", str(args.code), "--out", str(args.out), "--aligner", aligner, "--seed", str(seed)]
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
        parser.add_argument("--code", type=Path, default=Path("FastSpeech2"), help="a clone of ming024's")
        parser.add_argument("--out", type=Path, required=True)
        length = parser.add_mutually_exclusive_group(required=True)
        length.add_argument("--steps", type=int)
        length.add_argument("--seconds", type=float, help="as many steps as all can take in this time")
        parser.add_argument("--warm-up", type=int, default=WARM_UP_STEPS, help="steps up to the highest rate")
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
