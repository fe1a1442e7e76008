"""Align a prepared corpus to disk: resumable, and one bad utterance does not stop the others."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aligner.aligner import Aligner
from aligner.corpus.prepared import CUTS, Utterance, load_utterances
from aligner.corpus.recording import load_recording
from aligner.errors import AlignerError
from aligner.formats import MANIFEST, AlignmentWriter
from aligner.formats.atomic import atomic_write

if TYPE_CHECKING:
    from lhotse.cut import Cut

SOURCE = "source.json"
BATCH_DURATION_S = 200.0  # under 1 GB on a CPU; also the default of `aligner align --batch-duration`


@dataclass
class AlignedCorpus:
    """What became of the utterances of a corpus.

    Args:
        aligned: Ids of the utterances in the manifest.
        failed: Id -> reason, of the utterances that could not be aligned.
        audio_s: Seconds of audio of all of them together.
    """

    aligned: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    audio_s: float = 0.0


def align_corpus(
    checkpoint: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    device: str = "cpu",
    batch_duration_s: float = BATCH_DURATION_S,
    trust: bool = False,
    on_progress: Callable[[float, float], None] | None = None,
) -> AlignedCorpus:
    """Align every utterance of a prepared corpus and write `out/alignments.jsonl.gz`, a lhotse manifest.

    Interrupted and called again it continues where it was, and ends with the same bytes: which utterances
    share a batch depends on the corpus alone, not on what is done already, because the last bits of a result
    may depend on the batch. A batch that fails is aligned again one utterance at a time.

    Args:
        checkpoint: A trained aligner, written by `aligner fit`.
        data: A prepared corpus, written by `aligner prepare`.
        out: The folder to write. `aligner.formats.read_alignments` and `aligner.formats.export` read its
            manifest.
        device: "cpu", "cuda", "cuda:1".
        batch_duration_s: Seconds of audio in a batch at most, padding counted.
        trust: Allow the checkpoint to use classes from outside this package.
        on_progress: Called after every batch with seconds of audio done and seconds in all.

    Raises:
        AlignerError: The checkpoint or the corpus cannot be read, or `out` holds alignments by another
            checkpoint, of another corpus or with another `batch_duration_s`.
    """
    checkpoint, data, out = Path(checkpoint), Path(data), Path(out)
    aligner = Aligner.load(checkpoint, device, trust=trust)
    utterances = load_utterances(data)
    _claim(out, checkpoint, data, batch_duration_s)
    result = AlignedCorpus(audio_s=sum(utterance.duration_s for utterance in utterances))
    cuts = _cuts(data)
    done_s = 0.0
    with AlignmentWriter(out / MANIFEST) as writer:
        result.aligned |= writer.done
        for batch in batches(utterances, batch_duration_s):
            missing = [utterance for utterance in batch if utterance.id not in result.aligned]
            if missing:
                _align_batch(aligner, batch, missing, cuts, writer, result)
            done_s += sum(utterance.duration_s for utterance in batch)
            if on_progress is not None:
                on_progress(done_s, result.audio_s)
    return result


def batches(
    utterances: Sequence[Utterance], duration_s: float = BATCH_DURATION_S
) -> Iterator[list[Utterance]]:
    """Batches of utterances of similar length, the longest first.

    Args:
        utterances: In any order, which does not change the batches.
        duration_s: Seconds of audio in a batch at most, padding counted. An utterance longer than that is a
            batch of its own.
    """
    batch: list[Utterance] = []
    for utterance in sorted(utterances, key=lambda u: (-u.duration_s, u.id)):
        if batch and batch[0].duration_s * (len(batch) + 1) > duration_s:
            yield batch
            batch = []
        batch.append(utterance)
    if batch:
        yield batch


def _align_batch(
    aligner: Aligner,
    batch: list[Utterance],
    missing: list[Utterance],
    cuts: "dict[str, Cut]",
    writer: AlignmentWriter,
    result: AlignedCorpus,
) -> None:
    """Align `batch`, write those of it that are `missing`; what fails alone is noted in `result`."""
    try:
        rate_hz = aligner.frontend.sample_rate_hz
        alignments = aligner.align_batch([load_recording(utterance, rate_hz) for utterance in batch])
    except (AlignerError, ValueError, RuntimeError, OSError) as error:  # RuntimeError: also out of memory
        if len(batch) > 1:
            for utterance in missing:
                _align_batch(aligner, [utterance], [utterance], cuts, writer, result)
            return
        reason = str(error).removeprefix(f"{batch[0].id}: ")
        result.failed[batch[0].id] = reason or type(error).__name__
        return
    wanted = {utterance.id for utterance in missing}
    for alignment in alignments:
        if alignment.id in wanted:
            writer.write(alignment, cuts[alignment.id])
            result.aligned.add(alignment.id)


def _cuts(data: Path) -> "dict[str, Cut]":
    """The corpus' cuts by id, with absolute audio paths."""
    from lhotse import CutSet

    cuts = {cut.id: cut for cut in CutSet.from_file(data / CUTS)}
    for cut in cuts.values():
        for source in cut.recording.sources:  # type: ignore[attr-defined]
            source.source = str((data / source.source).resolve())
    return cuts


def _claim(out: Path, checkpoint: Path, data: Path, batch_duration_s: float) -> None:
    """Note in `out/source.json` what the alignments are made of, so that a folder never mixes two runs.

    Raises:
        AlignerError: `out` holds alignments that are made of something else.
    """
    source = {
        "checkpoint_sha256": _sha256(checkpoint),
        "cuts_sha256": _sha256(data / CUTS),
        "batch_duration_s": batch_duration_s,
    }
    path = out / SOURCE
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != source:
            raise AlignerError(
                f"{out} holds alignments by another checkpoint, of another corpus or with another batch "
                "duration; choose another folder to write, or delete this one"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(json.dumps(source, indent=1).encode() + b"\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
