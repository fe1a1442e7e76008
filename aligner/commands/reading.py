"""Recordings and texts as people have them, read and checked: `prepare` writes what `align` also takes."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aligner.commands.arguments import Parser
from aligner.commands.output import print_record, print_table, progress, write_tsv
from aligner.commands.texts import (
    print_examples,
    text_doubts,
    text_rows,
    with_capitals,
    write_out_of_lexicon,
)
from aligner.errors import AlignerError

if TYPE_CHECKING:
    from aligner.corpus.check_corpus import CheckedCorpus
    from aligner.corpus.prepared import CorpusInfo
    from aligner.corpus.readers import RawCorpus
    from aligner.text.phonemizer import Phonemizer
    from aligner.text.reading import TextReading

_UNDERSTOOD = 2  # utterances shown as they were read
_TEXT_SHOWN = 70  # characters of each
_WORDS_SHOWN = 8
_SYMBOLS_SHOWN = 600  # characters of all symbols: more than any language's phones


def add_layout_arguments(parser: Parser) -> None:
    """--columns and --audio-root, which say how a list is read."""
    parser.add_argument(
        "--columns",
        metavar="NAME,...",
        help="what the columns of a list are, such as wav,text,speaker; names: id, wav, text, normalized "
        "(read instead of text), speaker, start, end, duration (all in seconds), language, ignore (default: "
        "what the header says, or the values look like)",
    )
    parser.add_argument("--audio-root", type=Path, metavar="DIR", help="where relative audio paths start")


@dataclass(frozen=True)
class CheckedRecordings:
    """What was found in recordings and texts.

    Args:
        checked: The utterances that can be used, and the others.
        reading: How texts became tokens.
        phonemize: What read them; None if the tokens are those of known times.
        found: How many utterances there were.
        layouts: How each source was read.
        suspects: Utterances that look wrong, and what.
        warnings: What looks wrong, a sentence each.
    """

    checked: "CheckedCorpus"
    reading: "TextReading"
    phonemize: "Phonemizer | None"
    found: int
    layouts: list[str]
    suspects: list[tuple[str, str]]
    warnings: list[str]

    @property
    def info(self) -> "CorpusInfo":
        """What a prepared corpus of them says of itself."""
        from aligner.corpus.prepared import CorpusInfo, vocabulary

        utterances = self.checked.utterances
        return CorpusInfo(
            symbols=vocabulary(utterance.transcript for utterance in utterances),
            phonemizer=self.reading.phonemizer,
            language=self.reading.language,
            options=dict(self.reading.options),
            utterances=len(utterances),
            speakers=len({utterance.speaker for utterance in utterances}),
            hours=round(sum(utterance.duration_s for utterance in utterances) / 3600, 4),
            with_reference=sum(utterance.reference is not None for utterance in utterances),
            refused=len(self.checked.refused),
        )

    def write_lists(self, out: Path) -> None:
        """Write what was refused, and what looks wrong, to `out`."""
        rows = [(one.id, error.reason, str(error), one.audio or "") for one, error in self.checked.refused]
        write_tsv(out / "refused.tsv", ("id", "reason", "detail", "audio"), rows)
        write_tsv(out / "references-refused.tsv", ("id", "reason"), self.checked.references_refused)
        write_tsv(out / "suspects.tsv", ("id", "what looks wrong"), self.suspects)

    def check_any_left(self, out: Path) -> None:
        """Say so if no utterance can be used.

        Args:
            out: Where the lists are.

        Raises:
            AlignerError: None can.
        """
        if not self.checked.utterances:
            found, error = self.checked.refused[0]
            raise AlignerError(f"no utterance is left ({found.id}: {error}): see {out / 'refused.tsv'}")

    def save(
        self, out: Path, *, relative_paths: bool = False, n_shown: int = 0
    ) -> list[tuple[str, int, str]]:
        """Write the prepared corpus and its words that no lexicon has, and print what is in it.

        Args:
            out: The folder.
            relative_paths: As of `save_corpus`.
            n_shown: Utterances to print with words and phones.

        Returns:
            Those words: each, how often, and its guessed phones.
        """
        from aligner.corpus.prepared import save_corpus

        utterances = self.checked.utterances
        guessed = write_out_of_lexicon(out / "out-of-lexicon.tsv", utterances)
        save_corpus(out, utterances, self.info, relative_paths=relative_paths)
        print_examples(utterances, n_shown)
        self._print_summary(out, guessed)
        self.print_refused()
        return guessed

    def print_warnings(self, program: str, out: Path) -> None:
        """Print what looks wrong.

        Args:
            program: Which command says it.
            out: Where the lists are, or will be.
        """
        for warning in self.warnings:
            print(f"{program}: looks wrong: {warning}", file=sys.stderr)
        if self.suspects:
            print(f"{program}: the utterances meant: {out / 'suspects.tsv'}", file=sys.stderr)

    def _print_summary(self, out: Path, guessed: list[tuple[str, int, str]]) -> None:
        info, references = self.info, ""
        if n_references_refused := len(self.checked.references_refused):
            references = f"; of {n_references_refused} not usable, see references-refused.tsv"
        rows = [
            ("utterances", f"{info.utterances} ({info.hours * 60:.1f} min), speakers: {info.speakers}"),
            ("tokens", f"{len(info.symbols)} symbols: {_shortened(' '.join(info.symbols), _SYMBOLS_SHOWN)}"),
            ("known times", f"{info.with_reference} utterances" + references),
        ]
        if guessed:
            shown = ", ".join(f"{word} [{phones}]" for word, _, phones in guessed[:_WORDS_SHOWN])
            rows.append(("guessed words", f"{len(guessed)}, see out-of-lexicon.tsv: {shown}"))
        rows += text_rows(info.options, self.checked.utterances, self.phonemize)
        rows.append(("refused", f"{info.refused}, see refused.tsv" if info.refused else "none"))
        print_record(f"prepared in {out}", rows)

    def print_refused(self) -> None:
        """Print why utterances were refused, each reason with an example."""
        refused, rows = self.checked.refused, []
        for reason, count in Counter(error.reason for _, error in refused).most_common():
            found, error = next((f, e) for f, e in refused if e.reason == reason)
            rows.append((reason, str(count), f"{found.id}: {error}"))
        if rows:
            print_table(("refused because", "utterances", "for example"), rows)


def read_recordings(
    sources: Sequence[Path],
    reading: "TextReading",
    *,
    program: str,
    audio_root: Path | None = None,
    columns: str | None = None,
    known_symbols: frozenset[str] = frozenset(),
    jobs: int = 1,
) -> CheckedRecordings:
    """Read and check every utterance, and print how they were read.

    Args:
        sources: Folders, lists, manifests and sound files, as `readers.read_corpora` takes them.
        reading: How texts become tokens. Where it does not say how capitals are read, the texts do.
        program: Which command says what is printed.
        audio_root: Where relative audio paths start.
        columns: What the columns of a list are.
        known_symbols: A model's vocabulary, if the utterances are for one; otherwise empty.
        jobs: Audio files decoded at a time.

    Raises:
        AlignerError: If a source cannot be read, or cannot have been read as it was meant.
    """
    from aligner.corpus.check_corpus import check_corpus
    from aligner.corpus.plausibility import doubts_about_list, doubts_about_speech, refuse_if_certain
    from aligner.corpus.readers import joined, read_corpora
    from aligner.text.phonemizer import load_phonemizer
    from aligner.text.reading import REFERENCE

    corpora = read_corpora(sources, audio_root, columns)
    raw, renamed = joined(corpora)
    _print_understood(corpora, program)
    _print_notes(renamed, program)
    texts = [found.text for found in raw]
    reading = replace(reading, options=with_capitals(reading, texts))
    phonemize, doubts = None, []
    if reading.phonemizer != REFERENCE:
        phonemize = load_phonemizer(reading.phonemizer, reading.language, **reading.options)
        doubts = doubts_about_list(raw, tokens=reading.phonemizer == "tokens")
        if not columns:
            refuse_if_certain(doubts)
    checked = check_corpus(
        raw,
        phonemize,
        known_symbols,
        language="" if phonemize is None else reading.language,
        jobs=jobs,
        progress=progress,
    )
    doubts += doubts_about_speech(checked)
    _print_notes(checked.notes(), program)
    warnings = [*(doubt for corpus in corpora for doubt in corpus.doubts), *map(str, doubts)]
    return CheckedRecordings(
        checked,
        reading,
        phonemize,
        found=len(raw),
        layouts=[corpus.layout for corpus in corpora],
        suspects=[(id, str(doubt)) for doubt in doubts for id in doubt.ids],
        warnings=warnings + text_doubts(reading.phonemizer, texts),
    )


def _print_understood(corpora: "Sequence[RawCorpus]", program: str) -> None:
    """Show how each corpus was read: its layout, and the first utterances with a text."""
    for corpus in corpora:
        usable = [found for found in corpus.utterances if found.audio and found.text and not found.problem]
        rows = []
        for found in (usable or corpus.utterances)[:_UNDERSTOOD]:
            speaker = f" by {found.speaker}" if found.speaker else ""
            text = _shortened(found.text, _TEXT_SHOWN)
            rows.append((found.id, f"{found.audio or 'no audio'}{speaker}\n{text}"))
        print_record(f"read as {corpus.layout}", rows, show_lines=True)
        _print_notes(corpus.notes, program)


def _print_notes(notes: Sequence[str], program: str) -> None:
    for note in notes:
        print(f"{program}: note: {note}", file=sys.stderr)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
