"""`aligner prepare`: check a corpus, phonemize it, and write it as a manifest."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import add_strict
from aligner.commands.output import print_record, print_table, progress, write_tsv
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.corpus.check_corpus import Refused
    from aligner.corpus.prepared import CorpusInfo, Utterance

_WORDS_SHOWN = 8

DESCRIPTION = """\
Check every utterance of a corpus and write what training and alignment need.

CORPUS is an LJSpeech folder, a folder of audio with .txt or .lab beside it (TIMIT is one), a list of wav|text
or wav|speaker|text lines, or lhotse manifests; several together become one corpus. Audio is wav, flac, ogg or
mp3 at any sample rate; channels are mixed to mono. Known times beside the audio (.phn/.wrd, TextGrid) are
kept to measure against, never trained on.

Writes DIR/cuts.jsonl.gz (a lhotse manifest), corpus.json, refused.tsv and out-of-lexicon.tsv."""

EPILOG = """\
examples:
  aligner prepare LJSpeech-1.1 --out prepared
  aligner prepare filelist.txt --audio-root wavs --phonemizer espeak --language de --out prepared
  aligner prepare filelist.txt --phonemizer tokens --pause-symbols sp sil --out prepared
  aligner prepare LibriTTS --vocabulary prepared --out prepared-libritts"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from aligner.text.phonemizer import PHONEMIZERS

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "corpus", nargs="+", type=Path, metavar="CORPUS", help="folder, file list or manifest"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--phonemizer",
        default="gruut",
        choices=PHONEMIZERS,
        help="what turns text into tokens; with `tokens` the text already is symbols separated by spaces, "
        "with `|` between words (default: gruut)",
    )
    parser.add_argument("--language", default="en-us", help="language of the texts (default: en-us)")
    parser.add_argument("--keep-stress", action="store_true", help="keep stress marks on vowels")
    parser.add_argument(
        "--pause-symbols",
        nargs="+",
        default=[],
        metavar="P",
        help="with --phonemizer tokens: symbols that mean a pause",
    )
    parser.add_argument(
        "--blank-symbols",
        nargs="+",
        default=[],
        metavar="B",
        help="with --phonemizer tokens: symbols that are blanks",
    )
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
    parser.add_argument("--audio-root", type=Path, metavar="DIR", help="where relative audio paths start")
    parser.add_argument("--relative-paths", action="store_true", help="write audio paths relative to --out")
    add_strict(parser, "fail if any utterance is refused")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(8, os.cpu_count() or 1),
        help="files decoded at a time (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Check, write the corpus and the list of refused utterances; returns the figures."""
    from aligner.corpus.check_corpus import check_corpus
    from aligner.corpus.prepared import load_info, save_corpus
    from aligner.corpus.readers import read_corpus
    from aligner.text.phonemizer import load_phonemizer

    names = ("keep_stress", "pause_symbols", "blank_symbols")
    options = {name: value for name in names if (value := getattr(args, name))}
    known_symbols = frozenset(load_info(args.vocabulary).symbols) if args.vocabulary else frozenset()
    phonemize = None
    if not args.phones_from_reference:
        phonemize = load_phonemizer(args.phonemizer, args.language, **options)
    raw = [found for corpus in args.corpus for found in read_corpus(corpus, args.audio_root)]
    utterances, refused = check_corpus(raw, phonemize, known_symbols, jobs=args.jobs, progress=progress)

    args.out.mkdir(parents=True, exist_ok=True)
    listing = args.out / "refused.tsv"
    rows = [(found.id, error.reason, str(error), found.audio or "") for found, error in refused]
    write_tsv(listing, ("id", "reason", "detail", "audio"), rows)
    if refused and (args.strict or not utterances):
        _print_refused(refused)
        if args.strict:
            raise AlignerError(f"{len(refused)} of {len(raw)} utterances refused: see {listing}")
    if not utterances:
        raise AlignerError(f"no utterance is left: see {listing}")

    guessed = _out_of_lexicon(utterances)
    write_tsv(args.out / "out-of-lexicon.tsv", ("word", "count", "phones"), guessed)
    phonemizer = "reference" if args.phones_from_reference else args.phonemizer
    info = _info(utterances, phonemizer, args.language, options, len(refused))
    save_corpus(args.out, utterances, info, relative_paths=args.relative_paths)
    _print_summary(args.out, info, guessed)
    _print_refused(refused)
    return {
        "out": str(args.out),
        "utterances": info.utterances,
        "refused": info.refused,
        "refused_by_reason": dict(Counter(error.reason for _, error in refused)),
        "speakers": info.speakers,
        "hours": info.hours,
        "symbols": len(info.symbols),
        "with_reference": info.with_reference,
        "out_of_lexicon": len(guessed),
    }


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


def _out_of_lexicon(utterances: "Sequence[Utterance]") -> list[tuple[str, int, str]]:
    """Words whose pronunciation was guessed: (word, how often, its phones), the most frequent first."""
    words = [word for u in utterances for word in u.transcript.words if word.source == "g2p"]
    phones = {word.text: " ".join(word.variants[0]) for word in words}
    counts = Counter(word.text for word in words)
    return [(text, counts[text], phones[text]) for text in sorted(counts, key=lambda t: (-counts[t], t))]


def _print_summary(out: Path, info: "CorpusInfo", guessed: list[tuple[str, int, str]]) -> None:
    rows = [
        ("utterances", f"{info.utterances} ({info.hours * 60:.1f} min), speakers: {info.speakers}"),
        ("tokens", f"{len(info.symbols)} symbols: {' '.join(info.symbols)}"),
        ("known times", f"{info.with_reference} utterances"),
    ]
    if guessed:
        shown = ", ".join(f"{word} [{phones}]" for word, _, phones in guessed[:_WORDS_SHOWN])
        rows.append(("guessed words", f"{len(guessed)}, see out-of-lexicon.tsv: {shown}"))
    rows.append(("refused", f"{info.refused}, see refused.tsv" if info.refused else "none"))
    print_record(f"prepared in {out}", rows)


def _print_refused(refused: "Refused") -> None:
    rows = []
    for reason, count in Counter(error.reason for _, error in refused).most_common():
        found, error = next((f, e) for f, e in refused if e.reason == reason)
        rows.append((reason, str(count), f"{found.id}: {error}"))
    if rows:
        print_table(("refused because", "utterances", "for example"), rows)
