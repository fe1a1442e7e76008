"""Settings that are refused, and how: in one line, with the names that may have been meant."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError, did_you_mean, reason

if TYPE_CHECKING:
    from jsonargparse import Namespace
    from lightning.pytorch.cli import LightningArgumentParser

_LENGTH = "the length of training is model.training.init_args.epochs (for a quick try: --config smoke)"
_STEPS = "the training method (model.training) makes the steps"
_SAVED = "the checkpoint of every epoch is kept"
# Trainer settings that would be ignored, or end training before the calibration: their defaults, and why.
_FIXED: dict[str, tuple[Any, str]] = {
    "max_epochs": (-1, _LENGTH),
    "min_epochs": (None, _LENGTH),
    "max_steps": (-1, _LENGTH),
    "min_steps": (None, _LENGTH),
    "max_time": (None, _LENGTH),
    "fast_dev_run": (False, _LENGTH),
    "gradient_clip_val": (None, _STEPS),
    "gradient_clip_algorithm": (None, _STEPS),
    "accumulate_grad_batches": (1, _STEPS),
    "enable_checkpointing": (None, _SAVED),
    "barebones": (False, _SAVED),
    "reload_dataloaders_every_n_epochs": (1, "every epoch has batches of its own"),
}

_SEEDS = range(2**32)  # what numpy takes
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
}


class WrongSettings(AlignerError):
    """A setting that does not exist or has a value it cannot have."""

    exit_status = 2


def check_yaml(path: Path) -> None:
    """Say which file it is that holds no settings; what is wrong with a setting, the parser says."""
    import yaml

    try:
        content = yaml.safe_load(path.read_bytes().decode("utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise WrongSettings(f"{path}: not YAML: {error.problem}{line}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{path}: not YAML: {reason(error)}") from error
    if not isinstance(content, dict):
        raise WrongSettings(f"{path}: holds no settings; `aligner fit --print_config` shows them all")


def check_fixed(trainer: "Namespace", out: Path) -> None:
    """Refuse settings of the trainer that would be ignored.

    Args:
        trainer: All of them.
        out: The folder of the run.

    Raises:
        WrongSettings: Saying what to set instead.
    """
    for name, (usual, why) in _FIXED.items():
        if trainer[name] != usual:
            raise WrongSettings(f"trainer.{name}: {why}")
    if trainer["default_root_dir"] != str(out):
        raise WrongSettings("trainer.default_root_dir: the folder of a run is --out")


def check_seeds(config: "Namespace") -> None:
    """Refuse seeds that numpy would refuse later, when everything is done.

    Args:
        config: All settings.

    Raises:
        WrongSettings: Naming the setting.
    """
    for name in ("seed_everything", "model.seed", "data.seed"):
        seed = config[name]
        if isinstance(seed, int) and seed not in _SEEDS:
            raise WrongSettings(f"{name} is {seed}: must be a whole number from 0 to {_SEEDS[-1]}")


def shortened(message: str) -> str:
    """jsonargparse's message without its list of every type that a value might have been."""
    if plain := _plain_kinds(message):
        return plain
    if message.startswith("Call to compute_fn"):  # of the link from frontend to sample rate
        message = message.partition(" failed: ")[2]
    # of the encoder, which is typed as what makes one of the vocabulary and the channels
    message = re.sub(r"Type collections\.abc\.Callable.*? a callable class: ", "", message)
    message = message.partition(". Got value: Namespace(")[0]
    message = message.replace("data.data_dir", "--data")
    return " ".join(line.strip() for line in message.splitlines()[:6] if line.strip())


def _plain_kinds(message: str) -> str:
    """jsonargparse's message of a value of the wrong kind in plain words; "" of any other message."""
    keys = re.findall(r'Parser key "([^"]+)"', message)
    expected = re.findall(r"Expected a <class '(\w+)'>", message)
    value = re.search(r"(?:Got value|Given value): (.*)\Z", message, re.DOTALL)
    others = message.partition("Errors:")[2].count("\n    - ") > len(expected)
    if not keys or not expected or not value or others or not set(expected) <= set(_KINDS):
        return ""
    kinds = [_KINDS[kind] for kind in dict.fromkeys(expected)]
    return f"{'.init_args.'.join(keys)}: {value[1].strip()!r} is not {' or '.join(kinds)}"


def near(message: str, parser: "LightningArgumentParser") -> str:
    """What a setting that does not exist may have been meant for, as the end of an error.

    Args:
        message: jsonargparse's.
        parser: Whose it is.
    """
    from inspect import signature

    from aligner import encoders, frontends, training

    known = set(parser.get_defaults(skip_validation=True).keys())
    if found := re.search(r"unrecognized arguments: --([^\s=]+)", message):
        return did_you_mean(
            found[1],
            known | {"config", "data", "out", "resume", "init-alignments", "init-checkpoint", "strict"},
        )
    if found := re.search(r"Option '([^']+)' is not accepted", message):
        packages = (encoders, frontends, training)
        parts = [getattr(package, name) for package in packages for name in package.__all__]
        return did_you_mean(found[1], known.union(*(signature(part).parameters for part in parts)))
    return ""
