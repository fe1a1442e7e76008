"""Align a prepared corpus to disk: resumable, and one bad utterance does not stop the others."""

import hashlib
import json
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligner.align_batches import BATCH_S, align_side_by_side, batches, load_usable
from aligner.align_processes import AlignerSource, AligningProcesses, processes_for
from aligner.align_shards import Shard
from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.calibrate import calibrate_on
from aligner.checkpoint import calibrated_on, find_checkpoint
from aligner.corpus.kept import read_kept
from aligner.corpus.prepared import (
    CUTS,
    CorpusInfo,
    cut_lines,
    iter_utterances,
    load_info,
    load_lengths,
)
from aligner.corpus.read_ahead import read_ahead
from aligner.errors import AlignerError
from aligner.formats import MANIFEST, AlignmentWriter
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import output_folder
from aligner.formats.source import SOURCE, file_sha256, read_source
from aligner.formats.tar_member import audio_place, source_of
from aligner.text.transcript import PAUSE

_GPU_BATCH_S = 1600.0  # 4 GB: smaller ones do not fill a GPU


@dataclass
class AlignedCorpus:
    """What became of the utterances of a corpus.

    Args:
        aligned: Ids of the utterances in the manifest.
        failed: Id -> reason, of the utterances that could not be aligned.
        audio_s: Seconds of audio of all of them together.
        notes: What a person should know besides, in sentences.
    """

    aligned: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    audio_s: float = 0.0
    notes: list[str] = field(default_factory=list)


def align_corpus(
    checkpoint: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    device: str = "cpu",
    batch_duration_s: float | None = None,
    trust: bool = False,
    shard: Shard | None = None,
    keep: Sequence[Path] = (),
    text_as_said: bool = False,
    processes: int | None = 1,
    on_progress: Callable[[float, float], None] | None = None,
    on_aligned: Callable[[Alignment], None] | None = None,
) -> AlignedCorpus:
    """Align every utterance of a prepared corpus and write `out/alignments.jsonl.gz`, a lhotse manifest.

    Interrupted and called again it continues where it was, and ends with the same bytes: which utterances
    share a batch depends on the corpus alone, not on what is done already, because the last bits of a result
    may depend on the batch. A batch that fails is aligned again one utterance at a time.

    Args:
        checkpoint: A trained aligner, written by `aligner fit`, or a name (`find_checkpoint`).
        data: A prepared corpus, written by `aligner prepare`.
        out: The folder to write. `aligner.formats.read_alignments` and `aligner.formats.export` read its
            manifest.
        device: "cpu", "cuda", "cuda:1".
        batch_duration_s: Seconds of audio in a batch at most, padding counted. None: 200, or 1600 on a GPU.
        trust: Allow the checkpoint to use classes from outside this package.
        shard: The part of the corpus to align; `align_shards.merge_shards` puts the parts together.
        keep: Alignments that a person corrected: what he set stays, and the rest is aligned around it. Of an
            utterance that is in several, the last counts.
        text_as_said: Take texts as said, word for word: look for no gaps.
        processes: That align at once; None: as many as are worth it. Several are started anew: a program
            that asks for them calls this under `if __name__ == "__main__":`.
        on_progress: Called after every batch with seconds of audio done and seconds in all.
        on_aligned: Called with every alignment that this run makes.

    Raises:
        AlignerError: The checkpoint or the corpus cannot be read, or they are of different readings of texts;
            `out` holds alignments by another checkpoint, of another corpus or with another
            `batch_duration_s`, or another run is writing it; a process was killed.
    """
    data, out = Path(data), Path(out)
    source = AlignerSource(checkpoint, device, trust, text_as_said)
    aligner = replace(source, device="cpu").load()
    info = load_info(data)
    result = AlignedCorpus(notes=check_reading(aligner, info, f"{checkpoint}", f"{data}"))
    if batch_duration_s is None:
        batch_duration_s = _GPU_BATCH_S if device.startswith("cuda") else BATCH_S
    lengths_s = load_lengths(data)
    kept = read_kept(keep)
    if strange := sorted(kept.keys() - lengths_s.keys()):
        result.notes.append(f"{len(strange)} utterances to keep are not in {data}, such as {strange[0]}")
    whole = list(batches(lengths_s, batch_duration_s))
    own = whole[shard.number - 1 :: shard.of] if shard else whole
    ids = list(lengths_s)
    lengths_s = {id: lengths_s[id] for batch in own for id in batch}
    result.audio_s = sum(lengths_s.values())
    with output_folder(out, shard.name if shard else ""):
        cuts_sha256 = file_sha256(data / CUTS)
        _claim(out, find_checkpoint(checkpoint), cuts_sha256, batch_duration_s, aligner, shard, kept)
        if shard and (out / MANIFEST).exists():
            result.notes.append(f"{out} holds the alignments of all shards already")
            return result
        with AlignmentWriter(shard.manifest(out) if shard else out / MANIFEST) as writer:
            if writer.damaged_lines:
                result.notes.append(
                    f"{writer.damaged_lines} damaged lines were left by an earlier run; what they were of is "
                    "aligned again"
                )
            result.aligned |= writer.done
            _align_missing(
                source,
                processes,
                shard.here if shard else 1,
                data,
                [] if cuts_sha256 == calibrated_on(checkpoint) else ids,
                own,
                lengths_s,
                kept,
                writer,
                result,
                on_progress,
                on_aligned,
            )
        if shard:
            with atomic_write(shard.failures(out)) as file:
                file.write(json.dumps(result.failed, ensure_ascii=False, sort_keys=True).encode())
    return result


def _align_missing(
    source: AlignerSource,
    processes: int | None,
    owners: int,
    data: Path,
    calibrated_by: Sequence[str],
    batches: Sequence[Sequence[str]],
    lengths_s: Mapping[str, float],
    kept: dict[str, Alignment],
    writer: AlignmentWriter,
    result: AlignedCorpus,
    on_progress: Callable[[float, float], None] | None,
    on_aligned: Callable[[Alignment], None] | None,
) -> None:
    """Align those batches that are not done, and note in `result` what became of them.

    Only what is due is held of the corpus: it may be a small part of one that is too large for memory. Scores
    are calibrated by a sample of some utterances, which are the same for every shard.
    """
    due = [batch for batch in batches if any(id not in result.aligned for id in batch)]
    done_s = result.audio_s - sum(lengths_s[id] for batch in due for id in batch)
    wanted = {id for batch in due for id in batch}
    number = processes or processes_for(source.device, len(due), owners)
    number = min(number, len(due))
    with ExitStack() as stack:
        many = stack.enter_context(AligningProcesses(source, number, owners)) if number > 1 else None
        utterances = {utterance.id: utterance for utterance in iter_utterances(data, wanted)}
        cuts = _cuts(data, wanted)
        aligner = source.load() if many is None or calibrated_by else None
        if aligner is not None and due:
            calibrate_on(aligner, data, calibrated_by)
        if many is not None:
            of_batches = ([utterances[id] for id in batch] for batch in due)
            done = many.align(of_batches, kept, aligner.calibration.cpu() if aligner else None)
        else:
            assert aligner is not None
            rate_hz = aligner.frontend.sample_rate_hz
            loaded = read_ahead(due, lambda id: load_usable(utterances[id], rate_hz, kept))
            done = align_side_by_side(aligner, loaded)
        for batch, (alignments, failed) in done:
            for id, alignment in alignments.items():
                if id not in result.aligned:
                    writer.write(alignment, json.loads(cuts[id]))
                    if on_aligned is not None:
                        on_aligned(alignment)
            result.aligned |= alignments.keys()
            result.failed |= failed
            done_s += sum(lengths_s[id] for id in batch)
            if on_progress is not None:
                on_progress(done_s, result.audio_s)


def check_reading(aligner: Aligner, info: CorpusInfo, checkpoint: str, data: str) -> list[str]:
    """Say what does not agree between a checkpoint and the corpus that it is to align.

    Args:
        aligner: Of the checkpoint.
        info: Of the corpus.
        checkpoint: How to call the one.
        data: How to call the other.

    Returns:
        Sentences for what is no error: a checkpoint that does not say how it reads texts, and symbols that it
        has not learnt.

    Raises:
        AlignerError: They read texts differently, or have no symbol in common.
    """
    reading, known = aligner.reading, set(aligner.vocabulary.symbols)
    unknown = sorted(set(info.symbols) - known)
    if reading is not None and not reading.agrees(info.reading):
        raise AlignerError(
            f"{checkpoint} was trained on texts prepared with {reading}, and {data} with {info.reading}: "
            "prepare the corpus as the other was, or train on it"
        )
    if not (known & set(info.symbols)) - {PAUSE}:
        raise AlignerError(f"{checkpoint} has learnt no symbol of {data} ({' '.join(info.symbols)})")
    notes = []
    if reading is None:
        notes.append(f"{checkpoint} does not say how its texts were read; {data} is taken to be read alike")
    if unknown:
        notes.append(
            f"{checkpoint} has not learnt {' '.join(unknown)} of {data}: utterances with them are not aligned"
        )
    return notes


def _cuts(data: Path, ids: Container[str]) -> dict[str, bytes]:
    """Of each of the corpus' cuts what its alignment keeps, with absolute audio paths, as JSON: much smaller
    than what it becomes.
    """
    kept = {}
    for line in cut_lines(data, ids):
        cut = json.loads(line)
        del cut["supervisions"][0]["custom"]
        cut["supervisions"][0].pop("alignment", None)
        for source in cut["recording"]["sources"]:
            place = audio_place(source, data)
            if place is not None:
                source |= source_of(place.resolve())
        kept[cut["id"]] = json.dumps(cut).encode()
    return kept


def _claim(
    out: Path,
    checkpoint: Path,
    cuts_sha256: str,
    batch_duration_s: float,
    aligner: Aligner,
    shard: Shard | None,
    kept: dict[str, Alignment],
) -> None:
    """Note in `out/source.json` what the alignments are made of, so that a folder never mixes two runs.

    Raises:
        AlignerError: `out` holds alignments that are made of something else, or it does not say of what.
    """
    source = {
        "checkpoint_sha256": file_sha256(checkpoint),
        "cuts_sha256": cuts_sha256,
        "batch_duration_s": batch_duration_s,
        "text": aligner.settings()["text"],
        "symbols": list(aligner.vocabulary.symbols),
        "shards": shard.of if shard else 1,
        "text_as_said": aligner.text_as_said,
        "kept_sha256": hashlib.sha256(repr(sorted(kept.items())).encode()).hexdigest() if kept else None,
    }
    before = read_source(out)
    if before is not None:
        before.setdefault("kept_sha256", None)  # nothing could be kept when older ones were written
        # Older ones say less.
        differ = [name for name in source if name in before and source[name] != before[name]]
        if differ:
            how = " and ".join(dict.fromkeys(_differing(name, before[name], source[name]) for name in differ))
            raise AlignerError(
                f"{out} holds alignments {how}; choose another folder to write, or delete this one"
            )
        return
    with atomic_write(out / SOURCE) as file:
        file.write(json.dumps(source, indent=1, ensure_ascii=False).encode() + b"\n")


def _differing(name: str, before: object, now: object) -> str:
    """How alignments that are there differ from those to be made, in the entry `name` of their source."""
    if name == "batch_duration_s":
        return f"with another batch duration ({before} s, not {now} s)"
    if name == "shards":
        return f"in another number of shards ({before}, not {now})"
    if name == "cuts_sha256":
        return "of another corpus, or of this one before it was prepared anew"
    if name == "text_as_said":
        return "with texts taken as said" if before else "with gaps looked for"
    if name == "kept_sha256":
        return "with other boundaries kept"
    return "by another checkpoint"
