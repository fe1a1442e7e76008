"""Which reader for which corpus."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from aligner.corpus.readers.columns import METADATA, parse_columns
from aligner.corpus.readers.files import AUDIO_FOLDERS, AUDIO_SUFFIXES, Tree, walk
from aligner.corpus.readers.folders import read_folder, read_sounds
from aligner.corpus.readers.kaldi import is_kaldi, read_kaldi
from aligner.corpus.readers.manifests import LHOTSE_SUFFIXES, is_lhotse, lhotse_manifests, read_lhotse
from aligner.corpus.readers.raw import RawCorpus, RawUtterance, id_of, joined
from aligner.corpus.readers.shar import index_of_shards, read_shar, shards_among
from aligner.corpus.readers.tables import JSON_SUFFIXES, read_table
from aligner.errors import AlignerError

# A folder's own list, as LJSpeech, piper, Coqui, Hugging Face, Common Voice, OpenSLR and MLS name it. Of
# several, the first.
LISTS = ("metadata.csv", "metadata.jsonl", "metadata.tsv", "metadata.txt", "validated.tsv", "train.tsv")
MORE_LISTS = ("manifest.jsonl", "manifest.json", "line_index.tsv", "transcripts.txt", "transcript.txt")
# Of each folder below, where the folder itself has none. Of several in one folder, the first.
LISTS_BELOW = ("metadata.csv", "metadata.jsonl", "metadata.tsv", "validated.tsv")
PACKED = frozenset({".parquet", ".arrow"})  # Hugging Face's tables, with the audio in them
_UNPACK = (
    "a table of Hugging Face's with the audio in it, which is not read: with `datasets`, load it with its "
    "column of audio cast to Audio(decode=False), write the bytes of each row's audio to a file of its own, "
    "and file_name and text of each row to a metadata.jsonl beside the files; then give that folder"
)
# What shows that a folder is a corpus that lhotse has a recipe for and this program has not.
LHOTSE_RECIPES = {
    "aishell_transcript_v0.8.txt": "aishell",
    "*.stm": "tedlium",
    "txt.done.data": "cmu-arctic",
    "GigaSpeech.json": "gigaspeech",
    "ProsodyLabeling": "baker-zh",
    "KeSpeech": "kespeech",
    "WenetSpeech.json": "wenet-speech",
}
GIVE = (
    "give an LJSpeech folder, a folder of audio with .txt or .lab beside it, a list of wav|text lines, a "
    "manifest of NeMo's, a data folder of Kaldi's, lhotse's Shar, or lhotse manifests (`lhotse prepare "
    "--help` lists the corpora that lhotse makes them of)"
)


def read_corpora(
    paths: Sequence[Path], audio_root: Path | None = None, columns: str | None = None
) -> list[RawCorpus]:
    """Several corpora. Sound files among them are one, each with its text beside it.

    Args:
        paths: As `read_corpus` takes them, or sound files.
        audio_root: As of `read_corpus`.
        columns: As of `read_corpus`.

    Raises:
        AlignerError: As of `read_corpus`; for sound files that have no text beside them.
    """
    sounds = [path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]
    if len(paths) < 2 or not sounds:
        return [read_corpus(path, audio_root, columns) for path in paths]
    _no_columns(sounds[0], None if columns is None else parse_columns(columns))
    stems = {sound.with_suffix("") for sound in sounds}  # their texts may be given, too, as by `folder/*`
    others = [path for path in paths if path not in sounds and path.with_suffix("") not in stems]
    return [read_sounds(sounds), *(read_corpus(path, audio_root, columns) for path in others)]


def read_corpus(
    path: str | Path, audio_root: str | Path | None = None, columns: str | None = None
) -> RawCorpus:
    """The utterances of a corpus, in the order in which they are listed.

    Args:
        path: A folder with a list of its own (LJSpeech, piper, Coqui, Common Voice, Hugging Face); a folder
            of lhotse manifests (`cuts*.jsonl.gz`, or `recordings*` and `supervisions*`); a folder of lhotse's
            Shar, or some of its `cuts.*.jsonl.gz`, or a JSON of the paths of its shards; Kaldi's data folder;
            any other folder (sound files with texts, at any depth); a list of wav|text, wav|speaker|text or
            other columns; JSON lines as NeMo has them; a lhotse manifest; a sound file with its text beside.
        audio_root: Where relative paths start; by default the folder, or the list's.
        columns: What the columns of a list are, such as "wav,text,speaker"; None: the list says it.

    Raises:
        AlignerError: If `path` does not exist, is none of these, or has no utterances.
    """
    path = Path(path)
    if not path.exists():
        raise AlignerError(f"{path}: no such file or folder")
    given = None if columns is None else parse_columns(columns)
    root = None if audio_root is None else Path(audio_root)
    if root is not None and not root.is_dir():
        raise AlignerError(f"--audio-root {root}: no such folder")
    found = _read_folder(path, root, given) if path.is_dir() else _read_file(path, root, given)
    if not found.utterances:
        raise AlignerError(f"{path}: no utterances found; {_advice(path)}")
    return found


def _read_file(path: Path, audio_root: Path | None, given: tuple[str, ...] | None) -> RawCorpus:
    root = audio_root or path.parent
    if path.suffix.lower() in PACKED:
        raise AlignerError(f"{path}: {_UNPACK}")
    if path.name.endswith((".tar", ".tar.gz", ".tgz")):
        raise AlignerError(
            f"{path}: a tar, not a corpus; of lhotse's Shar give the folder of its shards, unpack any other"
        )
    if path.suffix.lower() in AUDIO_SUFFIXES:
        _no_columns(path, given)
        return read_sounds([path])
    if path.name.endswith((*LHOTSE_SUFFIXES, *JSON_SUFFIXES)):
        if path.name.endswith(".gz") or is_lhotse(path):
            _no_columns(path, given)
            shards = shards_among([path])
            return read_shar(shards) if shards else read_lhotse([path], root)
        if path.suffix == ".json" and (shards := index_of_shards(path, root)):
            _no_columns(path, given)
            return read_shar(shards)
        return read_table(path, root, given)
    usual = {"usual": METADATA} if path.name.lower() == "metadata.csv" else {}
    return read_table(path, root, given, **usual)


def _read_folder(path: Path, audio_root: Path | None, given: tuple[str, ...] | None) -> RawCorpus:
    """A folder, by the first sign of a layout that is in it."""
    for name in (*LISTS, *MORE_LISTS):
        if (path / name).is_file():
            return _read_file(path / name, audio_root or path, given)
    if is_kaldi(path):
        _no_columns(path, given)
        return read_kaldi(path, audio_root)
    if manifests := lhotse_manifests(path):
        _no_columns(path, given)
        shards = shards_among(manifests)
        return read_shar(shards) if shards else read_lhotse(manifests, audio_root or path)
    tree = walk(path)
    if shards := shards_among(tree.others):
        _no_columns(path, given)
        return read_shar(shards)
    if below := _lists_below(tree):
        return _read_lists(below, given)
    _no_columns(path, given)
    if not tree.sounds and (packed := [file for file in tree.others if file.suffix.lower() in PACKED]):
        raise AlignerError(f"{packed[0]}: {_UNPACK}")
    if not tree.sounds and (path.name.lower() in AUDIO_FOLDERS or not tree.others):
        raise AlignerError(f"{path}: no sound files in it; {_advice(path)}")
    try:
        return read_folder(tree)
    except AlignerError as error:
        raise AlignerError(f"{error}; {_advice(path)}") from error


def _lists_below(tree: Tree) -> list[Path]:
    """The list of each folder below that has one: M-AILABS' books, Hugging Face's splits."""
    of_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in tree.others:
        if file.name.lower() in LISTS_BELOW:
            of_folder[file.parent].append(file)
    return [min(files, key=lambda f: LISTS_BELOW.index(f.name.lower())) for files in of_folder.values()]


def _read_lists(files: list[Path], given: tuple[str, ...] | None) -> RawCorpus:
    """The utterances of several lists. One that cannot be read costs only itself, if another can."""
    parts, broken, errors = [], [], []
    for file in files:
        try:
            parts.append(_read_file(file, None, given))
        except AlignerError as error:
            errors.append(error)
            broken.append(RawUtterance(id_of(file), None, "", problem=str(error)))
    if not parts:
        raise errors[0]
    found, renamed = joined(parts)
    return RawCorpus(
        [*found, *broken],
        f"{len(parts)} lists: {parts[0].layout}" if len(parts) > 1 else parts[0].layout,
        (*(note for part in parts for note in part.notes), *renamed),
        tuple(doubt for part in parts for doubt in part.doubts),
    )


def _no_columns(path: Path, given: tuple[str, ...] | None) -> None:
    if given:
        raise AlignerError(f"--columns {','.join(given)}: {path} is no list that has columns")


def _advice(path: Path) -> str:
    """What to give instead of what holds no corpus: what lhotse makes of it, if it knows the layout."""
    if path.is_dir():
        for sign, recipe in LHOTSE_RECIPES.items():
            if next(path.rglob(sign), None) is not None:
                return f"run `lhotse prepare {recipe}`, and give the folder of manifests that it writes"
    return GIVE
