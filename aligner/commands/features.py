"""`aligner features`: a picture of the features of a recording."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import FRAME_RULES_HELP, whole_number
from aligner.errors import AlignerError, did_you_mean, reason

if TYPE_CHECKING:
    from aligner.frontends import Frontend

_LOWEST_RATE_HZ = 4000  # LOWEST_RATE_HZ of aligner.corpus.audio, which --help need not import
FRONTENDS = {
    "mel": "Mel",
    "yingram": "Yingram",
    "energy": "Energy",
    "cqt": "Cqt",
    "nansy": "Nansy",
    "ssl": "SelfSupervised",
}

DESCRIPTION = """\
Draw the features that frontends make of a recording: time in seconds, channels by name, one panel a frontend.
Each channel is normalised to mean 0 and standard deviation 1 over the recording, as in training over the
corpus. Settings are those of the classes in aligner.frontends."""

EPILOG = """\
examples:
  aligner features LJ001-0001.wav
  aligner features LJ001-0001.wav --frontend mel+yingram --out seen.png
  aligner features LJ001-0001.wav --frontend mel --hop 110 --set cepstra=13 deltas=2
  aligner features LJ001-0001.wav --frontend mel+yingram --set mel.mels=40 yingram.preset=nansy
  aligner features LJ001-0001.wav --frontend ssl --set checkpoint=xlsr53.pth channels=40"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recording, the frontends, their settings."""
    from aligner.alignment import FRAME_RULES

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("audio", metavar="AUDIO", help="a recording: wav, flac, ogg or mp3")
    parser.add_argument(
        "--frontend",
        default="mel",
        metavar="NAME[+NAME]",
        help=f"{', '.join(FRONTENDS)}, or several joined by + (default: mel)",
    )
    parser.add_argument(
        "--out", metavar="PNG", help="the picture (default: AUDIO's name and -features.png, in this folder)"
    )
    parser.add_argument(
        "--sample-rate",
        type=whole_number(_LOWEST_RATE_HZ),
        default=22050,
        metavar="HZ",
        help="sample rate of the frontend (default: %(default)s)",
    )
    parser.add_argument(
        "--hop",
        type=whole_number(1),
        default=256,
        metavar="SAMPLES",
        help="samples from one frame to the next (default: %(default)s)",
    )
    parser.add_argument(
        "--frame-rule",
        choices=FRAME_RULES,
        default="same",
        help=f"{FRAME_RULES_HELP} (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings of the frontend; with several frontends FRONTEND.NAME=VALUE",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw it; returns what was drawn: file, seconds, frames, channels."""
    import torch

    from aligner.corpus.audio import read_audio, resample
    from aligner.plot import plot_features, save_picture

    parts = _parts(args.frontend.split("+"), args.sample_rate, args.hop, args.frame_rule, args.set)
    audio = resample(*read_audio(args.audio), args.sample_rate)[None]
    n_samples = torch.tensor([audio.shape[1]])
    features = {}
    for name, part in parts.items():
        try:
            part.fit_normalisation([(audio, n_samples)])  # training does so over a corpus
            features[name] = part(audio, n_samples)[0][0]
        except Exception as error:  # here frontends of all kinds meet a recording
            raise AlignerError(f"{args.audio}, {name}: {reason(error)}{_about(args.set)}") from error
    out = Path(args.out or f"{Path(args.audio).stem}-features.png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_picture(plot_features(parts, features, Path(args.audio).name), out)
    except OSError as error:
        raise AlignerError(f"{out}: cannot be written ({error})") from error
    seconds = audio.shape[1] / args.sample_rate
    channels = {name: part.channels for name, part in parts.items()}
    frames = len(next(iter(features.values())))
    print(f"{args.audio}: {seconds:.2f} s, {frames} frames")
    for name, count in channels.items():
        names = parts[name].channel_names
        print(f"  {name}: {count} channels, {names[0]} to {names[-1]}")
    return {
        "out": str(out),
        "frontend": args.frontend,
        "seconds": seconds,
        "frames": frames,
        "channels": channels,
    }


def in_a_line(summary: dict[str, Any]) -> str:
    """What was drawn, in the end."""
    return f"picture: {summary['out']}"


def _about(assignments: list[str]) -> str:
    """Where to look, since a library that is given the wrong type does not say which setting it was."""
    return f" (with --set {' '.join(assignments)})" if assignments else ""


def _parts(
    names: list[str], sample_rate_hz: int, hop_samples: int, frame_rule: str, assignments: list[str]
) -> dict[str, "Frontend"]:
    """The frontends by name, in the order asked for."""
    import yaml

    from aligner import frontends

    settings: dict[str, dict[str, Any]] = {}
    for name in names:
        if name not in FRONTENDS or name in settings:
            raise AlignerError(
                f"--frontend {'+'.join(names)}: take each at most once of {', '.join(FRONTENDS)}"
            )
        settings[name] = {
            "sample_rate_hz": sample_rate_hz,
            "hop_samples": hop_samples,
            "frame_rule": frame_rule,
        }
    if "mel" in settings and sample_rate_hz < 16000:
        settings["mel"]["fmax_hz"] = sample_rate_hz / 2
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        name, dot, setting = key.rpartition(".")
        name = name if dot else names[0]
        if not equals or name not in settings or (not dot and len(names) > 1):
            hint = "NAME=VALUE" if len(names) == 1 else "FRONTEND.NAME=VALUE"
            raise AlignerError(f"--set {assignment}: write {hint}, FRONTEND one of {', '.join(names)}")
        try:
            settings[name][setting] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise AlignerError(f"--set {assignment}: {value!r} is no value in YAML") from error
    parts = {}
    for name in names:
        _check_settings(name, getattr(frontends, FRONTENDS[name]), settings[name])
        try:
            parts[name] = getattr(frontends, FRONTENDS[name])(**settings[name])
        except (AttributeError, KeyError, TypeError, ValueError, OSError, AlignerError) as error:
            raise AlignerError(f"--frontend {name}: {reason(error)}{_about(assignments)}") from error
    return parts


def _check_settings(name: str, frontend: "type[Frontend]", settings: dict[str, Any]) -> None:
    """Say which setting a frontend lacks or does not know, or which has a value of the wrong kind."""
    import inspect

    from jsonargparse import ArgumentError, ArgumentParser

    from aligner.training.settings import shortened

    known = inspect.signature(frontend).parameters
    for setting in settings:
        if setting not in known:
            near = did_you_mean(setting, known) or f"; it has {', '.join(known)}"
            raise AlignerError(f"--frontend {name} has no setting {setting!r}{near}")
    for setting, parameter in known.items():
        if parameter.default is parameter.empty and setting not in settings:
            raise AlignerError(f"--frontend {name} needs --set {setting}=VALUE")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(frontend)
    try:
        parser.parse_object(settings)
    except ArgumentError as error:
        raise AlignerError(f"--frontend {name}: --set {shortened(str(error))}") from error
