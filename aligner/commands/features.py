"""`aligner features`: a picture of what the model sees of a recording."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from aligner.frontends import Frontend

FRONTENDS = {
    "mel": "Mel",
    "yingram": "Yingram",
    "energy": "Energy",
    "cqt": "Cqt",
    "nansy": "Nansy",
    "ssl": "SelfSupervised",
}
_LABELS = 12  # channel names on an axis
_INCHES_A_SECOND = 3.0
_WIDEST_INCHES = 60.0
_FARTHEST_DEVIATIONS = 2.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recording, the frontends, their settings."""
    from aligner.alignment import FRAME_RULES

    parser.description = (
        "Draw the features that frontends make of a recording: time in seconds, channels by name, one panel\n"
        "a frontend. Each channel has mean 0 and deviation 1 over the recording, as it has over a corpus in\n"
        "training. Settings are those of the classes in aligner.frontends."
    )
    parser.epilog = (
        "examples:\n"
        "  aligner features LJ001-0001.wav\n"
        "  aligner features LJ001-0001.wav --frontend mel+yingram --out seen.png\n"
        "  aligner features LJ001-0001.wav --frontend mel --hop 110 --set cepstra=13 deltas=2\n"
        "  aligner features LJ001-0001.wav --frontend mel+yingram --set mel.mels=40 yingram.preset=nansy\n"
        "  aligner features LJ001-0001.wav --frontend ssl --set checkpoint=xlsr53.pth channels=40"
    )
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
        "--sample-rate", type=int, default=22050, metavar="HZ", help="of the frontend (default 22050)"
    )
    parser.add_argument("--hop", type=int, default=256, metavar="SAMPLES", help="default 256")
    parser.add_argument("--frame-rule", choices=FRAME_RULES, default="tiled", help="default tiled")
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
    from aligner.plot import save_picture

    parts = _parts(args.frontend.split("+"), args.sample_rate, args.hop, args.frame_rule, args.set)
    audio = resample(*read_audio(args.audio), args.sample_rate)[None]
    n_samples = torch.tensor([audio.shape[1]])
    features = {}
    for name, part in parts.items():
        try:
            part.fit_statistics(
                [(audio, n_samples)]
            )  # as in training, for want of a corpus on this recording
            features[name] = part(audio, n_samples)[0][0]
        except ValueError as error:
            raise AlignerError(f"{args.audio}, {name}: {error}") from error
    out = Path(args.out or f"{Path(args.audio).stem}-features.png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_picture(_draw(parts, features, Path(args.audio).name), out)
    except OSError as error:
        raise AlignerError(f"{out}: cannot be written ({error})") from error
    seconds = audio.shape[1] / args.sample_rate
    channels = {name: part.channels for name, part in parts.items()}
    frames = len(next(iter(features.values())))
    print(f"{args.audio}: {seconds:.2f} s, {frames} frames")
    for name, count in channels.items():
        print(
            f"  {name}: {count} channels, {parts[name].channel_names[0]} to {parts[name].channel_names[-1]}"
        )
    print(f"picture: {out}")
    return {
        "out": str(out),
        "frontend": args.frontend,
        "seconds": seconds,
        "frames": frames,
        "channels": channels,
    }


def _parts(
    names: list[str], sample_rate_hz: int, hop_samples: int, frame_rule: str, assignments: list[str]
) -> dict[str, "Frontend"]:
    """The frontends by name, in the order asked for."""
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
        settings[name][setting] = _value(value)
    parts = {}
    for name in names:
        try:
            parts[name] = getattr(frontends, FRONTENDS[name])(**settings[name])
        except (TypeError, ValueError) as error:
            raise AlignerError(f"--frontend {name}: {error}") from error
    return parts


def _value(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _draw(parts: dict[str, "Frontend"], features: dict[str, "Tensor"], title: str) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = next(iter(parts.values()))
    end_s = first.frame_centre_s(len(next(iter(features.values()))) - 0.5)
    width = min(_WIDEST_INCHES, max(6.0, _INCHES_A_SECOND * end_s))
    heights = [1.2 if part.channels == 1 else 3.2 for part in parts.values()]
    figure = Figure(figsize=(width, sum(heights) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, part) in zip(panels, parts.items(), strict=True):
        axes.set_ylabel(name)
        if part.channels == 1:
            centres_s = [part.frame_centre_s(t) for t in range(len(features[name]))]
            axes.plot(centres_s, features[name][:, 0].numpy(), label=part.channel_names[0])
            axes.legend(loc="lower right", fontsize=7)
            continue
        image = axes.imshow(
            features[name].T.numpy(),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            vmin=-_FARTHEST_DEVIATIONS,
            vmax=_FARTHEST_DEVIATIONS,
            extent=(part.frame_centre_s(-0.5), end_s, -0.5, part.channels - 0.5),
        )
        shown = sorted({round(i * (part.channels - 1) / (_LABELS - 1)) for i in range(_LABELS)})
        axes.set_yticks(shown, [part.channel_names[i] for i in shown], fontsize=7)
        figure.colorbar(image, ax=axes, pad=0.01)
    panels[0].set_title(
        f"{title}: {first.hop_samples} samples a frame at {first.sample_rate_hz} Hz", fontsize=9
    )
    panels[-1].set_xlabel("seconds")
    return figure
