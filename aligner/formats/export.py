"""Export: alignments in any of the formats, with tokens renamed and checked against the consumer's."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligner.alignment import Alignment, DoesNotFit, Interval
from aligner.errors import AlignerError
from aligner.formats.ctm import Ctm
from aligner.formats.json_file import Json
from aligner.formats.labels import Audacity
from aligner.formats.manifest import Lhotse
from aligner.formats.subtitles import Srt, Vtt
from aligner.formats.textgrid import TextGrid
from aligner.formats.tts import (
    PRESETS,
    Coqui,
    Espnet,
    EveryVoice,
    FastSpeech2,
    Matcha,
    Nemo,
    Npy,
    TensorFlowTTS,
)
from aligner.formats.writer import ExportSettings, NotExportable, Writer

WRITERS: dict[str, type[Writer]] = {
    "fastspeech2": FastSpeech2,
    "matcha": Matcha,
    "espnet": Espnet,
    "coqui": Coqui,
    "nemo": Nemo,
    "everyvoice": EveryVoice,
    "tensorflowtts": TensorFlowTTS,
    "npy": Npy,
    "textgrid": TextGrid,
    "ctm": Ctm,
    "json": Json,
    "lhotse": Lhotse,
    "audacity": Audacity,
    "srt": Srt,
    "vtt": Vtt,
}


@dataclass
class Exported:
    """What an export wrote in one format.

    Args:
        utterances: How many utterances were written.
        files: How many files were written.
        refused: The reason for each utterance that was left out.
    """

    utterances: int = 0
    files: int = 0
    refused: list[str] = field(default_factory=list)


def export(
    alignments: Iterable[Alignment], roots: Mapping[str, str | Path], settings: ExportSettings | None = None
) -> dict[str, Exported]:
    """Write alignments in one or more formats, in a single pass that holds one alignment at a time.

    An utterance that a format cannot hold (more tokens than frames, unknown symbols, not the consumer's
    tokens) is left out of that format and named in the result.

    Args:
        alignments: The utterances.
        roots: The output folder of each format, by the format's name in `WRITERS`.
        settings: None: the defaults. Without a grid in them, a format named after a consumer takes that
            consumer's preset.

    Returns:
        What was written, by the format's name.

    Raises:
        AlignerError: A format is unknown, two ids give the same file name, or a format in frames has no grid.
    """
    settings = settings or ExportSettings()
    results = {name: Exported() for name in roots}
    with contextlib.ExitStack() as stack:
        writers: dict[str, Writer] = {}
        for name, root in roots.items():
            if name not in WRITERS:
                raise AlignerError(f"unknown format {name!r}; known: {', '.join(WRITERS)}")
            own = settings if settings.grid is not None else replace(settings, grid=PRESETS.get(name))
            writers[name] = stack.enter_context(WRITERS[name](root, own))
        for alignment in alignments:
            try:
                alignment = _renamed(alignment, settings)
            except NotExportable as error:
                for result in results.values():
                    result.refused.append(str(error))
                continue
            for name, writer in writers.items():
                try:
                    writer.write(alignment)
                    results[name].utterances += 1
                except (NotExportable, DoesNotFit) as error:
                    results[name].refused.append(str(error))
    for name, writer in writers.items():
        results[name].files = writer.folder.files
    return results


def read_symbols(path: str | Path) -> dict[str, str]:
    """New names of tokens, by their old names, from a file of `old new` lines.

    Args:
        path: A UTF-8 text file.

    Raises:
        AlignerError: A line is not `old new`.
    """
    names = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split()
        if fields and len(fields) != 2:
            raise AlignerError(f"{path}:{number}: not `old new`, separated by a space")
        if fields:
            names[fields[0]] = fields[1]
    return names


def read_tokens(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Token sequences by utterance id, from a file of `id|TOKEN TOKEN ...` lines.

    Args:
        path: A UTF-8 text file.

    Raises:
        AlignerError: A line is not `id|TOKEN TOKEN ...`.
    """
    tokens = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        id, bar, symbols = line.partition("|")
        if line.strip() and not bar:
            raise AlignerError(f"{path}:{number}: not `id|TOKEN TOKEN ...`")
        if bar:
            tokens[id] = tuple(symbols.split())
    return tokens


def _renamed(alignment: Alignment, settings: ExportSettings) -> Alignment:
    """The alignment with speaker and tokens renamed, blanks put in, and the tokens checked.

    A blank has no extent of its own: on a grid it gets the one frame that every token keeps. Raises
    NotExportable where the tokens are not the consumer's.
    """
    tokens = alignment.tokens
    if settings.symbols:
        tokens = tuple(
            replace(token, symbol=settings.symbols.get(token.symbol, token.symbol)) for token in tokens
        )
    if settings.blank is not None:
        tokens = tuple(_with_blanks(tokens, settings.blank))
    if settings.tokens is not None:
        _check_tokens(alignment.id, [token.symbol for token in tokens], settings.tokens.get(alignment.id))
    if tokens is alignment.tokens and settings.speaker is None:
        return alignment
    return replace(alignment, tokens=tokens, speaker=settings.speaker or alignment.speaker)


def _check_tokens(id: str, ours: list[str], theirs: tuple[str, ...] | None) -> None:
    if theirs is None:
        raise NotExportable(f"{id}: not among the tokens it is to be checked against")
    if len(ours) != len(theirs):
        raise NotExportable(
            f"{id}: {len(ours)} tokens, but the consumer has {len(theirs)}; align the consumer's tokens"
        )
    for place, (own, their) in enumerate(zip(ours, theirs, strict=True)):
        if own != their:
            raise NotExportable(f"{id}: token {place} is {own!r}, but the consumer's is {their!r}")


def _with_blanks(tokens: tuple[Interval, ...], blank: str) -> Iterator[Interval]:
    for token in tokens:
        yield Interval(blank, token.start_s, token.start_s)
        yield token
    yield Interval(blank, tokens[-1].end_s, tokens[-1].end_s)
