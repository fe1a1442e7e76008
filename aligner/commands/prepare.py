"""`aligner prepare`: check a corpus, phonemize it, and write it as a manifest."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.corpus.prepared import CorpusInfo, Refused, Utterance
    from aligner.corpus.readers import Source
    from aligner.text.transcript import Transcript

DESCRIPTION = """\
Check every utterance of a corpus and write what training and alignment need.

CORPUS is an LJSpeech folder, a folder of audio with .txt or .lab beside it (TIMIT is one), a list of wav|text
or wav|speaker|text lines, or lhotse manifests; several together become one corpus. wav, flac, ogg and mp3 at
any rate, stereo is mixed down. Known times beside the audio (.phn/.wrd, TextGrid) are kept to measure
against, never trained on.

Writes DIR/cuts.jsonl.gz (a lhotse manifest), corpus.json, refused.tsv and out-of-lexicon.tsv."""

EPILOG = """\
examples:
  aligner prepare LJSpeech-1.1 --out prepared
  aligner prepare filelist.txt --audio-root wavs --phonemizer espeak --language de --out prepared
  aligner prepare filelist.txt --phonemizer tokens --pause-symbols sp sil --out prepared"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "corpus", nargs="+", type=Path, metavar="CORPUS", help="folder, file list or manifest"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--phonemizer",
        default="gruut",
        choices=["gruut", "cmudict", "espeak", "characters", "tokens"],
        help="what turns text into tokens; with `tokens` the text already is symbols separated by spaces, "
        "and `|` between words (default: gruut)",
    )
    parser.add_argument("--language", default="en-us", help="language of the texts (default: en-us)")
    parser.add_argument("--keep-stress", action="store_true", help="keep stress marks on vowels")
    parser.add_argument(
        "--pause-symbols",
        nargs="+",
        default=[],
        metavar="P",
        help="with --phonemizer tokens: which mean a pause",
    )
    parser.add_argument(
        "--blank-symbols",
        nargs="+",
        default=[],
        metavar="B",
        help="with --phonemizer tokens: which are blanks",
    )
    parser.add_argument(
        "--phones-from-reference",
        action="store_true",
        help="take the phones of the known times as tokens, not those of the text (TIMIT's closures and "
        "bursts merged)",
    )
    parser.add_argument(
        "--symbols", type=Path, metavar="DIR", help="refuse symbols that this prepared corpus does not have"
    )
    parser.add_argument("--audio-root", type=Path, metavar="DIR", help="where relative audio paths start")
    parser.add_argument("--relative-paths", action="store_true", help="name audio relative to --out")
    parser.add_argument("--strict", action="store_true", help="fail if any utterance is refused")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(8, os.cpu_count() or 1),
        help="files decoded at a time (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    from aligner.corpus.prepared import CorpusInfo, load_info, save_corpus, vocabulary
    from aligner.corpus.readers import read_corpus
    from aligner.text.phonemizer import load_phonemizer

    options = {
        name: value
        for name in ("keep_stress", "pause_symbols", "blank_symbols")
        if (value := getattr(args, name))
    }
    known_symbols = frozenset(load_info(args.symbols).symbols) if args.symbols else frozenset()
    phonemize = None
    if not args.phones_from_reference:
        phonemize = load_phonemizer(args.phonemizer, args.language, **options)
    sources = [source for corpus in args.corpus for source in read_corpus(corpus, args.audio_root)]

    refused: list[tuple[Source, Refused]] = []
    spoken = list(_checked_texts(sources, phonemize, known_symbols, refused))
    utterances = list(_checked_audio(spoken, known_symbols, refused, args.jobs))

    args.out.mkdir(parents=True, exist_ok=True)
    _write_table(
        args.out / "refused.tsv",
        ("id", "reason", "detail", "audio"),
        ((source.id, error.reason, str(error), source.audio or "") for source, error in refused),
    )
    if refused and args.strict:
        _print_refused(refused)
        raise AlignerError(
            f"{len(refused)} of {len(sources)} utterances refused: see {args.out / 'refused.tsv'}"
        )
    if not utterances:
        _print_refused(refused)
        raise AlignerError(f"no utterance is left: see {args.out / 'refused.tsv'}")

    guessed = _out_of_lexicon(utterances)
    _write_table(args.out / "out-of-lexicon.tsv", ("word", "count", "phones"), guessed)
    info = CorpusInfo(
        symbols=vocabulary(utterance.transcript for utterance in utterances),
        phonemizer="reference" if args.phones_from_reference else args.phonemizer,
        language=args.language,
        options=options,
        utterances=len(utterances),
        speakers=len({utterance.speaker for utterance in utterances}),
        hours=round(sum(utterance.duration_s for utterance in utterances) / 3600, 4),
        with_reference=sum(utterance.reference is not None for utterance in utterances),
        refused=len(refused),
    )
    save_corpus(args.out, utterances, info, relative_paths=args.relative_paths)
    _print_summary(args.out, info, guessed, refused)
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


def _checked_texts(
    sources: list["Source"],
    phonemize: "Callable[[str], Transcript] | None",
    known_symbols: frozenset[str],
    refused: list[tuple["Source", "Refused"]],
) -> "Iterator[tuple[Source, Transcript | None]]":
    """Sources whose ids and texts can be used, with their transcripts (None: to come from the reference)."""
    from aligner.corpus.prepared import Refused, check_id, check_text

    seen: dict[str, Source] = {}
    for source in _progress(sources, len(sources), "texts"):
        try:
            if source.id in seen:
                raise Refused("duplicate id", f"also the id of {seen[source.id].audio}")
            seen[source.id] = source
            if phonemize is None:
                check_id(source.id)
                yield source, None
            else:
                yield source, check_text(source, phonemize, known_symbols)
        except Refused as error:
            refused.append((source, error))


def _checked_audio(
    spoken: "list[tuple[Source, Transcript | None]]",
    known_symbols: frozenset[str],
    refused: list[tuple["Source", "Refused"]],
    jobs: int,
) -> "Iterator[Utterance]":
    """Utterances whose audio can be used, in order."""
    from aligner.corpus.prepared import Refused, check_audio, check_symbols

    def check(item: "tuple[Source, Transcript | None]") -> "Utterance | Refused":
        try:
            utterance = check_audio(*item)
            check_symbols(utterance.transcript, known_symbols)
            return utterance
        except Refused as error:
            return error

    with ThreadPoolExecutor(max(1, jobs)) as pool:  # libsndfile decodes outside Python's lock
        results = pool.map(check, spoken)
        for (source, _), result in zip(spoken, _progress(results, len(spoken), "audio"), strict=True):
            if isinstance(result, Refused):
                refused.append((source, result))
            else:
                yield result


def _out_of_lexicon(utterances: "list[Utterance]") -> list[tuple[str, int, str]]:
    """Words whose pronunciation was guessed: (word, how often, its phones), the most frequent first."""
    words = [word for u in utterances for word in u.transcript.words if word.source == "g2p"]
    phones = {word.text: " ".join(word.variants[0]) for word in words}
    counts = Counter(word.text for word in words)
    return [(text, counts[text], phones[text]) for text in sorted(counts, key=lambda t: (-counts[t], t))]


def _write_table(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    from aligner.formats.atomic import whole_file

    with whole_file(path) as file:
        for row in (header, *rows):
            file.write("\t".join(" ".join(str(field).split()) for field in row).encode() + b"\n")


def _progress(items: Iterable, total: int, what: str) -> Iterable:
    """`items`, with a bar on stderr while they pass if somebody is watching."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    return track(items, what, total, console=console, disable=not console.is_terminal)


def _print_summary(
    out: Path,
    info: "CorpusInfo",
    guessed: list[tuple[str, int, str]],
    refused: "list[tuple[Source, Refused]]",
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"prepared in {out}", show_header=False, title_justify="left")
    table.add_row("utterances", f"{info.utterances} ({info.hours * 60:.1f} min), speakers: {info.speakers}")
    table.add_row("tokens", f"{len(info.symbols)} symbols: {escape(' '.join(info.symbols))}")
    table.add_row("known times", f"{info.with_reference} utterances")
    if guessed:
        shown = ", ".join(f"{word} [{phones}]" for word, _, phones in guessed[:8])
        table.add_row("guessed words", f"{len(guessed)}, see out-of-lexicon.tsv: {escape(shown)}")
    table.add_row("refused", f"{info.refused}, see refused.tsv" if refused else "none")
    Console().print(table)
    _print_refused(refused)


def _print_refused(refused: "list[tuple[Source, Refused]]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not refused:
        return
    table = Table("refused because", "utterances", "for example")
    for reason, count in Counter(error.reason for _, error in refused).most_common():
        source, error = next((s, e) for s, e in refused if e.reason == reason)
        table.add_row(reason, str(count), escape(f"{source.id}: {error}"))
    Console().print(table)
