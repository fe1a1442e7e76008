"""`aligner prepare`: check a corpus, phonemize it, and write it as a manifest."""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import add_strict, whole_number
from aligner.commands.reading import CheckedRecordings, add_layout_arguments, read_recordings
from aligner.commands.texts import add_text_arguments, text_options
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.corpus.prepared import CorpusInfo
    from aligner.text.reading import TextReading

DESCRIPTION = """\
Check every utterance of a corpus and write what training and alignment need.

CORPUS is a folder with a list of its own (LJSpeech, piper, Coqui, Common Voice, Hugging Face), a folder of
audio with texts (VCTK, LibriTTS, LibriSpeech, TIMIT, Prosodylab, MFA), a list of wav|text, wav|speaker|text
or other columns, NeMo's manifest, Kaldi's data folder, lhotse manifests, or lhotse's Shar, whose audio stays
in its tars; several together become one corpus. Audio is wav, flac, ogg, opus or mp3 at any sample rate, or
m4a or webm with the extra `av`; channels are mixed to mono. Known times beside the audio (.phn/.wrd,
TextGrid) are kept to measure against, never trained on.

Prints two utterances as they were read, and what looks wrong about the corpus as a whole.

Writes DIR/cuts.jsonl.gz (a lhotse manifest), corpus.json, refused.tsv, references-refused.tsv (known times
that cannot be used; their utterances are kept), suspects.tsv (utterances that look wrong) and
out-of-lexicon.tsv."""

EPILOG = """\
examples:
  aligner prepare LJSpeech-1.1 --out prepared
  aligner prepare filelist.txt --columns wav,text,speaker --out prepared
  aligner prepare filelist.txt --audio-root wavs --phonemizer espeak --language de --out prepared
  aligner prepare filelist.txt --lexicon out-of-lexicon.tsv --show 5 --out prepared
  aligner prepare filelist.txt --phonemizer tokens --pause-symbols sp sil --out prepared
  aligner prepare LibriTTS --vocabulary prepared --out prepared-libritts"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "corpus", nargs="+", type=Path, metavar="CORPUS", help="folder, file list or manifest"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    add_text_arguments(parser)
    parser.add_argument(
        "--phones-from-reference",
        action="store_true",
        help="take the phones of the known times as tokens, not those of the text (TIMIT's closures and "
        "bursts merged)",
    )
    parser.add_argument(
        "--vocabulary",
        metavar="DIR|CKPT",
        help="refuse utterances with symbols that this prepared corpus or trained aligner does not have",
    )
    add_layout_arguments(parser)
    parser.add_argument("--relative-paths", action="store_true", help="write audio paths relative to --out")
    add_strict(parser, "fail if any utterance is refused or anything looks wrong")
    parser.add_argument(
        "--jobs",
        type=whole_number(1),
        default=min(8, os.cpu_count() or 1),
        help="files decoded at a time (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Check, write the corpus and the lists of what was refused; returns the figures."""
    from aligner.formats.folder import output_folder

    with output_folder(args.out):
        return _prepare(args)


def in_a_line(summary: dict[str, Any]) -> str:
    """What was prepared, in the end."""
    counts = f"{summary['utterances']} utterances prepared, {summary['refused']} refused"
    return f"{counts}: {60 * summary['hours']:.1f} min of audio in {summary['out']}"


def _prepare(args: argparse.Namespace) -> dict[str, Any]:
    from aligner.text.phonemizer import default_language
    from aligner.text.reading import REFERENCE, TextReading

    phonemizer = REFERENCE if args.phones_from_reference else args.phonemizer
    reading = TextReading(phonemizer, args.language or default_language(phonemizer), text_options(args))
    found = read_recordings(
        args.corpus,
        reading,
        program="aligner prepare",
        audio_root=args.audio_root,
        columns=args.columns,
        known_symbols=_vocabulary(args.vocabulary, reading) if args.vocabulary else frozenset(),
        jobs=args.jobs,
    )
    checked, info = found.checked, found.info
    found.write_lists(args.out)
    found.print_warnings("aligner prepare", args.out)
    _stop_if_refused(args, found)

    if replaced := _replaced(args.out, info):
        print(f"aligner prepare: note: {replaced}", file=sys.stderr)
    guessed = found.save(args.out, relative_paths=args.relative_paths, n_shown=args.show)
    return {
        "out": str(args.out),
        "utterances": info.utterances,
        "refused": info.refused,
        "refused_by_reason": dict(Counter(error.reason for _, error in checked.refused)),
        "references_refused": len(checked.references_refused),
        "warnings": found.warnings,
        "layouts": found.layouts,
        "speakers": info.speakers,
        "hours": info.hours,
        "symbols": len(info.symbols),
        "with_reference": info.with_reference,
        "out_of_lexicon": len(guessed),
    }


def _replaced(out: Path, info: "CorpusInfo") -> str:
    """What is said of another prepared corpus that lies where this one is to be written; "" if none does."""
    from aligner.corpus.prepared import INFO, load_info

    if not (out / INFO).is_file():
        return ""
    try:
        before = load_info(out)
    except AlignerError:  # damaged: nothing is lost
        return ""
    if (before.utterances, before.hours, before.reading) == (info.utterances, info.hours, info.reading):
        return ""
    return f"{out} held another prepared corpus ({before.utterances} utterances), which this one replaces"


def _stop_if_refused(args: argparse.Namespace, found: "CheckedRecordings") -> None:
    """End before the corpus is written where nothing is left, or --strict asks for more than there is.

    Raises:
        AlignerError: Saying which of them.
    """
    checked = found.checked
    if checked.refused and (args.strict or not checked.utterances):
        found.print_refused()
        if args.strict:
            listing = args.out / "refused.tsv"
            raise AlignerError(f"{len(checked.refused)} of {found.found} utterances refused: see {listing}")
    found.check_any_left(args.out)
    if args.strict and checked.references_refused:
        n_references = len(checked.references_refused)
        raise AlignerError(
            f"the known times of {n_references} utterances refused: see {args.out}/references-refused.tsv"
        )
    if args.strict and found.warnings:
        raise AlignerError(f"with --strict what looks wrong is an error ({len(found.warnings)} above)")


def _vocabulary(given: str, reading: "TextReading") -> frozenset[str]:
    """The symbols of another corpus or of an aligner, if its texts were read as this one's are to be.

    Raises:
        AlignerError: They were not; it is neither.
    """
    from aligner.checkpoint import CHECKPOINT_KEY, read_checkpoint, shipped_models
    from aligner.corpus.prepared import load_info
    from aligner.text.reading import TextReading

    if Path(given).is_dir() and given not in shipped_models():
        other = load_info(given)
        known, symbols = other.reading, other.symbols
    else:
        settings = read_checkpoint(given)[CHECKPOINT_KEY]
        known, symbols = TextReading.stated(settings.get("text")) or reading, settings["symbols"]
    if not reading.agrees(known):
        raise AlignerError(
            f"--vocabulary {given} was prepared with {known}, and this corpus is to be with {reading}: give "
            "the same options here"
        )
    return frozenset(symbols)
