"""Recordings and texts that are not prepared, for `aligner align`: read and checked as `prepare` does."""

import argparse
import filecmp
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.reading import CheckedRecordings, add_layout_arguments, read_recordings
from aligner.commands.texts import add_own_texts_arguments, own_texts_options
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.text.reading import TextReading

FOLDER = "recordings"  # in OUT: the prepared corpus that was made of them
_PROGRAM = "aligner align"


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """RECORDINGS, and the options that say how they are read."""
    parser.add_argument(
        "recordings",
        nargs="*",
        type=Path,
        metavar="RECORDINGS",
        help="sound files with their texts beside them, a folder or a list, as `aligner prepare` takes them "
        "(or give --data)",
    )
    group = parser.add_argument_group("of RECORDINGS")
    add_layout_arguments(group)
    add_own_texts_arguments(group)


def options_of_recordings(args: argparse.Namespace) -> list[str]:
    """Those of the options of `add_recordings` that were given."""
    names = ("columns", "audio_root", "lexicon", "notes", "capitals")
    return [f"--{name.replace('_', '-')}" for name in names if getattr(args, name)]


def prepare_recordings(args: argparse.Namespace, checkpoint: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Read and check the recordings for a checkpoint, and write them as a prepared corpus to OUT/recordings.

    Args:
        args: Of the command.
        checkpoint: Whose reading of texts it is, and which symbols it knows.

    Returns:
        The corpus, and the utterances that were refused, each with the reason.

    Raises:
        AlignerError: As `aligner prepare`; for a checkpoint that does not say how it reads texts; where OUT
            holds alignments of other recordings.
    """
    from aligner.checkpoint import CHECKPOINT_KEY, read_checkpoint
    from aligner.formats.folder import make_folder
    from aligner.text.reading import TextReading

    settings = read_checkpoint(checkpoint)[CHECKPOINT_KEY]
    reading = TextReading.stated(settings.get("text"))
    if reading is None:
        raise AlignerError(
            f"{args.checkpoint} does not say how its texts were read: prepare the recordings as its corpus "
            "was, and give --data"
        )
    found = read_recordings(
        args.recordings,
        _reading(reading, own_texts_options(args)),
        program=_PROGRAM,
        audio_root=args.audio_root,
        columns=args.columns,
        known_symbols=frozenset(settings["symbols"]),
        jobs=min(8, os.cpu_count() or 1),
    )
    out: Path = args.out / FOLDER
    _check_same(args.out, found)
    make_folder(out)
    found.write_lists(out)
    found.print_warnings(_PROGRAM, out)
    found.check_any_left(out)
    found.save(out)
    return out, [(one.id, f"{error.reason}: {error}") for one, error in found.checked.refused]


def _reading(learnt: "TextReading", own: dict[str, Any]) -> "TextReading":
    """How the texts are read: as those that the aligner learnt from, but for what is of one corpus alone.

    Args:
        learnt: Of the checkpoint; words of its lexicon stay known.
        own: What was said of these texts.
    """
    from aligner.text.lexicon import Lexicon, parse_lexicon

    options = {name: value for name, value in learnt.options.items() if name != "capitals"} | own
    if own.get("lexicon") and learnt.options.get("lexicon"):
        first, known = (parse_lexicon(options["lexicon"]) for options in (own, learnt.options))
        others = [entry for entry in known.entries if entry.word not in first]
        options["lexicon"] = Lexicon([*first.entries, *others]).lines()
    return replace(learnt, options=options)


def _check_same(out: Path, found: CheckedRecordings) -> None:
    """Check that what an earlier run began to align in a folder are these recordings.

    Raises:
        AlignerError: They are others.
    """
    from aligner.corpus.prepared import CUTS, save_corpus
    from aligner.formats.source import SOURCE

    if not (out / SOURCE).exists():
        return
    before = out / FOLDER / CUTS
    with tempfile.TemporaryDirectory() as folder:
        save_corpus(Path(folder), found.checked.utterances, found.info)
        if before.exists() and filecmp.cmp(Path(folder, CUTS), before, shallow=False):
            return
    raise AlignerError(
        f"{out} holds alignments of other recordings or texts; choose another folder to write, or delete "
        "this one"
    )
