"""Export: alignments in any of the formats, with tokens renamed and checked against the consumer's."""

import contextlib
import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligner.alignment import Alignment, DoesNotFit, Interval
from aligner.errors import AlignerError
from aligner.formats.characters import ElevenLabs
from aligner.formats.corrections import marked_as_wrong
from aligner.formats.ctm import Ctm
from aligner.formats.diagnostics import Diagnostics
from aligner.formats.diffsinger import DiffSinger
from aligner.formats.elan import Elan
from aligner.formats.folder import check_folder
from aligner.formats.htk import Htk
from aligner.formats.huggingface import HuggingFace
from aligner.formats.json_file import Json
from aligner.formats.labels import Audacity
from aligner.formats.manifest import Lhotse
from aligner.formats.stylish import Stylish
from aligner.formats.subtitles import Srt, Vtt
from aligner.formats.textgrid import TextGrid
from aligner.formats.tts import (
    PRESETS,
    Coqui,
    DurationWriter,
    Espnet,
    EveryVoice,
    FastSpeech2,
    Matcha,
    Nemo,
    Npy,
    TensorFlowTTS,
)
from aligner.formats.visemes import Oculus, Rhubarb
from aligner.formats.writer import ExportSettings, NameClash, NotExportable, Writer

_NAMED = 5  # files, or pairs of utterances, that an error names

WRITERS: dict[str, type[Writer]] = {
    "fastspeech2": FastSpeech2,
    "matcha": Matcha,
    "espnet": Espnet,
    "coqui": Coqui,
    "nemo": Nemo,
    "everyvoice": EveryVoice,
    "tensorflowtts": TensorFlowTTS,
    "stylish": Stylish,
    "diffsinger": DiffSinger,
    "npy": Npy,
    "textgrid": TextGrid,
    "ctm": Ctm,
    "json": Json,
    "lhotse": Lhotse,
    "audacity": Audacity,
    "srt": Srt,
    "vtt": Vtt,
    "elan": Elan,
    "htk": Htk,
    "huggingface": HuggingFace,
    "elevenlabs": ElevenLabs,
    "rhubarb": Rhubarb,
    "oculus": Oculus,
    "diagnostics": Diagnostics,
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
    tokens), or whose writing fails in any other way but for the disk, is left out of that format and named in
    the result. Files that are there already are replaced; `check_outputs` tells before.

    Args:
        alignments: The utterances.
        roots: The output folder of each format, by the format's name in `WRITERS`.
        settings: None: the defaults. Without a grid in them, a format named after a consumer takes that
            consumer's preset.

    Returns:
        What was written, by the format's name.

    Raises:
        AlignerError: A format is unknown, two ids give the same file name, or a format in frames has no grid.
        OSError: The disk is full, or the folder cannot be written.
    """
    settings = settings or ExportSettings()
    results = {name: Exported() for name in roots}
    with contextlib.ExitStack() as stack:
        writers = {name: stack.enter_context(writer) for name, writer in _writers(roots, settings).items()}
        for alignment in alignments:
            try:
                _check_marks(alignment)
                alignment = _renamed(alignment, settings)
                own = alignment.own_tokens(settings.pauses_to)
            except AlignerError as error:
                for result in results.values():
                    result.refused.append(str(error))
                continue
            for name, writer in writers.items():
                reason = _write(writer, alignment if writer.shows_added_pauses else own)
                if reason is None:
                    results[name].utterances += 1
                else:
                    results[name].refused.append(reason)
    for name, writer in writers.items():
        results[name].files = writer.folder.files
    return results


def _check_marks(alignment: Alignment) -> None:
    """Refuse an utterance whose text a person has marked as wrong: a voice would learn it."""
    if words := marked_as_wrong(alignment):
        raise NotExportable(f"{alignment.id}: marked as wrong: {words}; correct its text and align it again")


def check_outputs(
    alignments: Iterable[Alignment],
    roots: Mapping[str, str | Path],
    settings: ExportSettings | None = None,
    *,
    overwrite: bool = False,
    source: Path | None = None,
) -> None:
    """Look before an export at the names of its files. Nothing is written.

    Args:
        alignments: As for `export`, like `roots` and `settings`.
        roots: The output folders.
        settings: The settings.
        overwrite: Files of somebody else may be replaced.
        source: The file that the alignments come from, which may be replaced by its own content.

    Raises:
        AlignerError: Two utterances would have the same file, a file is where a folder is to be, or the
            folder has files that no export wrote.
    """
    settings = settings or ExportSettings()
    writers = _writers(roots, settings)
    for root in roots.values():
        check_folder(root)
    clashes: dict[str, None] = {}
    foreign = [
        writer.folder.root / name
        for writer in writers.values()
        for name in writer.lists
        if writer.folder.is_foreign(name)
    ]
    for alignment in alignments:
        named = replace(alignment, speaker=settings.speaker or alignment.speaker)
        for writer in writers.values():
            try:
                paths = writer.paths(named, writer.name(named))
            except NameClash as error:
                clashes[str(error)] = None
                continue
            except AlignerError:  # it makes no name, and is refused when it is written
                continue
            foreign += [
                writer.folder.root.joinpath(*parts) for parts in paths if writer.folder.is_foreign(*parts)
            ]
    if clashes:
        more = f" (and {len(clashes) - _NAMED} more)" if len(clashes) > _NAMED else ""
        raise AlignerError(f"{'; '.join(list(clashes)[:_NAMED])}{more}")
    # Once each: several utterances may be in one file.
    foreign = [
        path for path in dict.fromkeys(foreign) if source is None or path.resolve() != source.resolve()
    ]
    if foreign and not overwrite:
        names = ", ".join(str(path) for path in foreign[:_NAMED]) + (", ..." if len(foreign) > _NAMED else "")
        raise AlignerError(
            f"{len(foreign)} files are there already that no export wrote, or that were changed since: "
            f"{names}; write to another folder, or replace them with --overwrite"
        )


def _writers(roots: Mapping[str, str | Path], settings: ExportSettings) -> dict[str, Writer]:
    """A writer for each format, not begun."""
    writers: dict[str, Writer] = {}
    for name, root in roots.items():
        if name not in WRITERS:
            raise AlignerError(f"unknown format {name!r}; known: {', '.join(WRITERS)}")
        own = settings if settings.grid is not None else replace(settings, grid=PRESETS.get(name))
        if own.grid is None and issubclass(WRITERS[name], DurationWriter):
            raise AlignerError(
                f"{name}: say hop, sample rate and frame rule, or a preset ({', '.join(PRESETS)})"
            )
        writers[name] = WRITERS[name](root, own)
    return writers


def _write(writer: Writer, alignment: Alignment) -> str | None:
    """Write an alignment; the reason if it cannot be written."""
    try:
        writer.write(alignment, writer.name(alignment))
    except NameClash:
        raise
    except (NotExportable, DoesNotFit) as error:
        return str(error)
    except AlignerError as error:  # its id or its speaker makes no file name
        return f"{alignment.id}: {error}"
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return f"{alignment.id}: {error.strerror}; shorten its id"
    except Exception as error:  # one alignment of whatever content never ends the export of the others
        return f"{alignment.id}: cannot be written ({type(error).__name__}: {error})"
    return None


def read_symbols(path: str | Path) -> dict[str, str]:
    """New names of tokens, by their old names, from a file of `old new` lines.

    Args:
        path: A UTF-8 text file.

    Raises:
        AlignerError: It is not UTF-8, a line is not `old new`, or gives a token a second name.
    """
    names: dict[str, str] = {}
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) != 2:
            raise AlignerError(f"{path}:{number}: not `old new`, separated by a space")
        if names.setdefault(fields[0], fields[1]) != fields[1]:
            raise AlignerError(f"{path}:{number}: {fields[0]!r} is to be {names[fields[0]]!r} already")
    return names


def read_tokens(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Token sequences by utterance id, from a file of `id|TOKEN TOKEN ...` lines.

    Args:
        path: A UTF-8 text file.

    Raises:
        AlignerError: It is not UTF-8, a line is not `id|TOKEN TOKEN ...`, or an id comes twice with other
            tokens.
    """
    tokens: dict[str, tuple[str, ...]] = {}
    for number, line in _lines(path):
        id, bar, symbols = line.partition("|")
        if not bar:
            raise AlignerError(f"{path}:{number}: not `id|TOKEN TOKEN ...`")
        own = tuple(symbols.split())
        if tokens.setdefault(id.strip(), own) != own:
            raise AlignerError(f"{path}:{number}: {id.strip()!r} has other tokens further up")
    return tokens


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not empty, with their numbers."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeError as error:
        raise AlignerError(f"{path}: not UTF-8; convert it with iconv") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line


def _renamed(alignment: Alignment, settings: ExportSettings) -> Alignment:
    """The alignment with speaker and tokens renamed, blanks put in, and the tokens checked.

    A blank has no extent of its own: on a grid it gets the one frame that every token keeps. Raises
    NotExportable where the tokens are not the consumer's.
    """
    if settings.blank is not None:  # they stand between the consumer's tokens, not beside a pause of ours
        alignment = alignment.own_tokens(settings.pauses_to)
    tokens = alignment.tokens
    if settings.symbols:
        tokens = tuple(
            token if token.added else replace(token, symbol=settings.symbols.get(token.symbol, token.symbol))
            for token in tokens
        )
    if settings.blank is not None:
        tokens = tuple(_with_blanks(tokens, settings.blank))
    if settings.tokens is not None:
        own = [token.symbol for token in tokens if not token.added]
        _check_tokens(alignment.id, own, settings.tokens.get(alignment.id))
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
