"""How texts are read: the arguments, and what it says of notes, capitals and the lexicon."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligner.commands.arguments import Parser, WrongArguments, whole_number
from aligner.commands.output import print_record

if TYPE_CHECKING:
    from aligner.corpus.prepared import Utterance
    from aligner.text.phonemizer import Phonemizer
    from aligner.text.pronounce import WordPhonemizer
    from aligner.text.reading import TextReading

_OPTIONS = ("keep_stress", "pause_symbols", "blank_symbols")
_OF_ONE_CORPUS = ("notes", "capitals")


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """--phonemizer, --language and all that says how texts become words and words phones."""
    from aligner.text.phonemizer import PHONEMIZERS

    parser.add_argument(
        "--phonemizer",
        default="gruut",
        choices=PHONEMIZERS,
        help="what turns text into tokens; with `tokens` the text already is symbols separated by spaces, "
        "with `|` between words (default: gruut)",
    )
    parser.add_argument(
        "--language",
        default="",
        help="language of the texts (default: en-us; with characters and lexicon none, and then no number is "
        "written out)",
    )
    parser.add_argument("--keep-stress", action="store_true", help="keep stress marks on vowels")
    for name, what in (("pause", "mean a pause"), ("blank", "are blanks")):
        parser.add_argument(
            f"--{name}-symbols",
            nargs="+",
            default=[],
            metavar=name[0].upper(),
            help=f"with --phonemizer tokens: symbols that {what}",
        )
    add_own_texts_arguments(parser)
    parser.add_argument(
        "--show",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="print N utterances: text, words and phones",
    )


def add_own_texts_arguments(parser: Parser) -> None:
    """--lexicon, --notes and --capitals, which say how the texts of one corpus are written."""
    from aligner.text.phonemizer import CAPITALS, NOTES

    parser.add_argument(
        "--lexicon",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="pronunciations that go before all others, as MFA writes them: word, tab, probability if any, "
        "tab, phones; DIR/out-of-lexicon.tsv, corrected, is one",
    )
    parser.add_argument(
        "--notes",
        choices=NOTES,
        help="whether [laughter], <unk>, {LG} and *coughs* are said; what is in round brackets is, but for a "
        "few words such as (laughter) (default: skip)",
    )
    parser.add_argument(
        "--capitals",
        choices=CAPITALS,
        help="whether TEXTS IN CAPITALS are words, or each word may be spelt, too, and the audio decides "
        "(default: auto, by the corpus; a word in capitals among others always has both)",
    )


def text_options(args: argparse.Namespace) -> dict[str, Any]:
    """What `load_phonemizer` takes beside name and language, in plain types.

    Args:
        args: Of `add_text_arguments`.

    Raises:
        AlignerError: For a lexicon that cannot be read, and settings that would be ignored.
    """
    options = {name: value for name in _OPTIONS if (value := getattr(args, name))} | own_texts_options(args)
    if args.phones_from_reference and options:
        name = next(iter(options)).replace("_", "-")
        raise WrongArguments(f"--{name} means nothing with --phones-from-reference: no text is read")
    return options


def own_texts_options(args: argparse.Namespace) -> dict[str, Any]:
    """The part of `text_options` that says how one corpus is written.

    Args:
        args: Of `add_own_texts_arguments`.

    Raises:
        AlignerError: For a lexicon that cannot be read.
    """
    from aligner.text.lexicon import read_lexicon

    options = {name: value for name in _OF_ONE_CORPUS if (value := getattr(args, name))}
    if args.lexicon:
        options["lexicon"] = read_lexicon(args.lexicon).lines()
    return options


def with_capitals(reading: "TextReading", texts: Sequence[str]) -> dict[str, Any]:
    """The options of a reading, with what the texts say of capitals where it does not.

    Args:
        reading: How texts become tokens.
        texts: Of the whole corpus.
    """
    from aligner.text.capitals import corpus_in_capitals
    from aligner.text.reading import REFERENCE

    options = dict(reading.options)
    if "capitals" not in options and reading.phonemizer not in ("characters", "tokens", REFERENCE):
        options |= {"capitals": "words"} if corpus_in_capitals(texts) else {}
    return options


def text_doubts(phonemizer: str, texts: Sequence[str]) -> list[str]:
    """What looks wrong about the texts for a phonemizer.

    Args:
        phonemizer: Its name.
        texts: Of the whole corpus.
    """
    from aligner.text.tokens import looks_like_prose

    if phonemizer == "tokens" and looks_like_prose(texts):
        return [f"the texts look like sentences, not tokens ({texts[0][:60]!r}); use another --phonemizer"]
    return []


def text_rows(
    options: dict[str, Any], utterances: "Sequence[Utterance]", phonemize: "Phonemizer | None"
) -> list[tuple[str, str]]:
    """What was done with the texts that a person may want otherwise, as rows of the summary.

    Args:
        options: Of `text_options`.
        utterances: Of the corpus.
        phonemize: Read them; None if no text was read.
    """
    from aligner.text.notes import summary
    from aligner.text.pronounce import WordPhonemizer

    rows: list[tuple[str, str]] = []
    if not isinstance(phonemize, WordPhonemizer):
        return rows
    if found := summary(utterance.text for utterance in utterances):
        spoken = options.get("notes") == "speak"
        rows.append(
            ("spoken notes", found) if spoken else ("not spoken", f"{found} (--notes speak reads them)")
        )
    if options.get("capitals") == "words":
        rows.append(
            ("in capitals", "texts are read as words, not letter by letter (--capitals either: as both)")
        )
    if "lexicon" in options:
        rows.append(("own lexicon", _lexicon_use(utterances, phonemize)))
    return rows


def _lexicon_use(utterances: "Sequence[Utterance]", phonemize: "WordPhonemizer") -> str:
    """How many words of a corpus are the lexicon's, and their phones that no other word can have."""
    lexicon = phonemize.lexicon
    all_words = [word for utterance in utterances for word in utterance.transcript.words]
    words = [word for word in all_words if word.text in lexicon]
    used = f"{len({word.text.casefold() for word in words})} of its {len(lexicon)} words are in the corpus"
    known, whose = phonemize.phones, "that the phonemizer does not have"
    if not known:  # it does not list them
        others = (word for word in all_words if word.text not in lexicon)
        known, whose = frozenset(p for word in others for v in word.variants for p in v), "of no other word"
    foreign = Counter(
        phone
        for word in words
        for variant in word.variants
        for phone in dict.fromkeys(variant)
        if known and phone not in known
    )
    if not foreign:
        return used
    shown = ", ".join(f"{phone} {count}" for phone, count in foreign.most_common())
    return f"{used}; phones {whose}: {shown}"


def print_examples(utterances: "Sequence[Utterance]", n_shown: int) -> None:
    """Print how some utterances, spread evenly over the corpus, were read."""
    from aligner.corpus.prepared import evenly_spread

    for utterance in evenly_spread(utterances, n_shown) if n_shown else ():
        words = utterance.transcript.words
        rows = [
            ("text", utterance.text),
            ("words", " ".join(word.text for word in words)),
            ("phones", " | ".join(" ".join(word.variants[0]) for word in words)),
        ]
        others = [
            f"{word.text} [{'; '.join(map(' '.join, word.variants[1:]))}]"
            for word in dict.fromkeys(words)
            if len(word.variants) > 1
        ]
        rows += [("or, as heard", ", ".join(others))] if others else []
        print_record(utterance.id, rows)


def write_out_of_lexicon(path: Path, utterances: "Sequence[Utterance]") -> list[tuple[str, int, str]]:
    """Write the words whose pronunciation was guessed as a lexicon, the most frequent first.

    Returns:
        Word, how often, and its first pronunciation.
    """
    from aligner.formats.atomic import atomic_write
    from aligner.text.lexicon import Entry

    words = [word for u in utterances for word in u.transcript.words if word.source == "g2p"]
    counts = Counter(word.text for word in words)
    by_text = {word.text: word for word in words}
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    with atomic_write(path) as file:
        for text in ranked:
            for variant in by_text[text].variants:
                file.write(Entry(text, variant).line().encode() + b"\n")
    return [(text, counts[text], " ".join(by_text[text].variants[0])) for text in ranked]
