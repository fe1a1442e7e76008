"""`aligner prepare`: check a corpus, phonemize it, and write it as a manifest."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import add_strict, whole_number
from aligner.commands.output import print_record, print_table, progress, write_tsv
from aligner.commands.texts import (
    add_text_arguments,
    print_examples,
    text_doubts,
    text_options,
    text_rows,
    write_out_of_lexicon,
)
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.corpus.check_corpus import CheckedCorpus, Refused
    from aligner.corpus.prepared import CorpusInfo, Utterance
    from aligner.corpus.readers import RawCorpus
    from aligner.text.reading import TextReading

_WORDS_SHOWN = 8
_UNDERSTOOD = 2  # utterances shown as they were read
_TEXT_SHOWN = 70  # characters of each
_SYMBOLS_SHOWN = 600  # characters of all symbols: more than any language's phones

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
        type=Path,
        metavar="DIR",
        help="refuse utterances with symbols that this prepared corpus does not have",
    )
    parser.add_argument(
        "--columns",
        metavar="NAME,...",
        help="what the columns of a list are, such as wav,text,speaker; names: id, wav, text, normalized "
        "(read instead of text), speaker, start, end, duration (all in seconds), language, ignore (default: "
        "what the header says, or the values look like)",
    )
    parser.add_argument("--audio-root", type=Path, metavar="DIR", help="where relative audio paths start")
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
    from aligner.corpus.check_corpus import check_corpus
    from aligner.corpus.plausibility import doubts_about_list, doubts_about_speech, refuse_if_certain
    from aligner.corpus.prepared import save_corpus
    from aligner.corpus.readers import joined, read_corpus
    from aligner.text.phonemizer import default_language, load_phonemizer
    from aligner.text.reading import REFERENCE, TextReading

    corpora = [read_corpus(corpus, args.audio_root, args.columns) for corpus in args.corpus]
    raw, renamed = joined(corpora)
    _print_understood(corpora)
    _print_notes(renamed)
    texts = [found.text for found in raw]
    options = text_options(args, texts)
    phonemizer = REFERENCE if args.phones_from_reference else args.phonemizer
    language = args.language or default_language(phonemizer)
    reading = TextReading(phonemizer, language, options)
    known_symbols = _vocabulary(args.vocabulary, reading) if args.vocabulary else frozenset()
    phonemize = None
    if not args.phones_from_reference:
        phonemize = load_phonemizer(args.phonemizer, args.language, **options)
    doubts = []
    if phonemize is not None:
        doubts = doubts_about_list(raw, tokens=args.phonemizer == "tokens")
        if not args.columns:
            refuse_if_certain(doubts)
    args.out.mkdir(parents=True, exist_ok=True)  # before the work, in case it cannot be made
    checked = check_corpus(
        raw,
        phonemize,
        known_symbols,
        language="" if phonemize is None else language,
        jobs=args.jobs,
        progress=progress,
    )
    doubts += doubts_about_speech(checked)
    _print_notes(checked.notes())
    warnings = [doubt for corpus in corpora for doubt in corpus.doubts] + [str(doubt) for doubt in doubts]
    warnings += text_doubts(args, texts)

    _write_refused(args.out, checked)
    suspects = [(id, str(doubt)) for doubt in doubts for id in doubt.ids]
    write_tsv(args.out / "suspects.tsv", ("id", "what looks wrong"), suspects)
    _print_warnings(warnings, args.out / "suspects.tsv" if suspects else None)
    _stop_if_refused(args, checked, len(raw), warnings)

    guessed = write_out_of_lexicon(args.out / "out-of-lexicon.tsv", checked.utterances)
    info = _info(checked.utterances, phonemizer, language, options, len(checked.refused))
    if replaced := _replaced(args.out, info):
        _print_notes([replaced])
    save_corpus(args.out, checked.utterances, info, relative_paths=args.relative_paths)
    print_examples(checked.utterances, args.show)
    rows = text_rows(options, checked.utterances, phonemize)
    _print_summary(args.out, info, guessed, rows, len(checked.references_refused))
    _print_refused(checked.refused)
    return {
        "out": str(args.out),
        "utterances": info.utterances,
        "refused": info.refused,
        "refused_by_reason": dict(Counter(error.reason for _, error in checked.refused)),
        "references_refused": len(checked.references_refused),
        "warnings": warnings,
        "layouts": [corpus.layout for corpus in corpora],
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


def _write_refused(out: Path, checked: "CheckedCorpus") -> None:
    rows = [(found.id, error.reason, str(error), found.audio or "") for found, error in checked.refused]
    write_tsv(out / "refused.tsv", ("id", "reason", "detail", "audio"), rows)
    write_tsv(out / "references-refused.tsv", ("id", "reason"), checked.references_refused)


def _stop_if_refused(
    args: argparse.Namespace, checked: "CheckedCorpus", n_found: int, warnings: list[str]
) -> None:
    """End before the corpus is written where nothing is left, or --strict asks for more than there is.

    Raises:
        AlignerError: Saying which of them.
    """
    listing = args.out / "refused.tsv"
    if checked.refused and (args.strict or not checked.utterances):
        _print_refused(checked.refused)
        if args.strict:
            raise AlignerError(f"{len(checked.refused)} of {n_found} utterances refused: see {listing}")
    if not checked.utterances:
        found, error = checked.refused[0]
        raise AlignerError(f"no utterance is left ({found.id}: {error}): see {listing}")
    if args.strict and checked.references_refused:
        n_references = len(checked.references_refused)
        raise AlignerError(
            f"the known times of {n_references} utterances refused: see {args.out}/references-refused.tsv"
        )
    if args.strict and warnings:
        raise AlignerError(f"with --strict what looks wrong is an error ({len(warnings)} above)")


def _vocabulary(folder: Path, reading: "TextReading") -> frozenset[str]:
    """The symbols of another corpus, if it was read as this one is to be."""
    from aligner.corpus.prepared import load_info

    other = load_info(folder)
    if not reading.agrees(other.reading):
        raise AlignerError(
            f"--vocabulary {folder} was prepared with {other.reading}, and this corpus is to be with "
            f"{reading}: give the same options here"
        )
    return frozenset(other.symbols)


def _info(
    utterances: "Sequence[Utterance]", phonemizer: str, language: str, options: dict[str, Any], refused: int
) -> "CorpusInfo":
    from aligner.corpus.prepared import CorpusInfo, vocabulary

    return CorpusInfo(
        symbols=vocabulary(utterance.transcript for utterance in utterances),
        phonemizer=phonemizer,
        language=language,
        options=options,
        utterances=len(utterances),
        speakers=len({utterance.speaker for utterance in utterances}),
        hours=round(sum(utterance.duration_s for utterance in utterances) / 3600, 4),
        with_reference=sum(utterance.reference is not None for utterance in utterances),
        refused=refused,
    )


def _print_understood(corpora: "Sequence[RawCorpus]") -> None:
    """Show how each corpus was read: its layout, and the first utterances with a text."""
    for corpus in corpora:
        usable = [found for found in corpus.utterances if found.audio and found.text and not found.problem]
        rows = []
        for found in (usable or corpus.utterances)[:_UNDERSTOOD]:
            text = _shortened(found.text, _TEXT_SHOWN)
            speaker = f" by {found.speaker}" if found.speaker else ""
            rows.append((found.id, f"{found.audio or 'no audio'}{speaker}\n{text}"))
        print_record(f"read as {corpus.layout}", rows, show_lines=True)
        _print_notes(corpus.notes)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"aligner prepare: note: {note}", file=sys.stderr)


def _print_warnings(warnings: Sequence[str], suspects: Path | None) -> None:
    for warning in warnings:
        print(f"aligner prepare: looks wrong: {warning}", file=sys.stderr)
    if suspects is not None:
        print(f"aligner prepare: the utterances meant: {suspects}", file=sys.stderr)


def _print_summary(
    out: Path,
    info: "CorpusInfo",
    guessed: list[tuple[str, int, str]],
    texts: list[tuple[str, str]],
    n_references_refused: int,
) -> None:
    references = ""
    if n_references_refused:
        references = f"; of {n_references_refused} not usable, see references-refused.tsv"
    rows = [
        ("utterances", f"{info.utterances} ({info.hours * 60:.1f} min), speakers: {info.speakers}"),
        ("tokens", f"{len(info.symbols)} symbols: {_shortened(' '.join(info.symbols), _SYMBOLS_SHOWN)}"),
        ("known times", f"{info.with_reference} utterances" + references),
    ]
    if guessed:
        shown = ", ".join(f"{word} [{phones}]" for word, _, phones in guessed[:_WORDS_SHOWN])
        rows.append(("guessed words", f"{len(guessed)}, see out-of-lexicon.tsv: {shown}"))
    rows += texts
    rows.append(("refused", f"{info.refused}, see refused.tsv" if info.refused else "none"))
    print_record(f"prepared in {out}", rows)


def _print_refused(refused: "Refused") -> None:
    rows = []
    for reason, count in Counter(error.reason for _, error in refused).most_common():
        found, error = next((f, e) for f, e in refused if e.reason == reason)
        rows.append((reason, str(count), f"{found.id}: {error}"))
    if rows:
        print_table(("refused because", "utterances", "for example"), rows)
