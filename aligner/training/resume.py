"""What an interrupted training continues from."""

from pathlib import Path
from typing import Any

from aligner.checkpoint import CHECKPOINT_KEY, read_checkpoint
from aligner.errors import AlignerError
from aligner.instantiate import public_path
from aligner.text.reading import TextReading
from aligner.training.data import AlignerData
from aligner.training.method import GOES_ON
from aligner.training.module import AlignerModule


def checkpoint_to_resume(last: Path, resume_from: str | Path | None) -> Path | None:
    """The checkpoint that a run starts from; None: it starts anew.

    Args:
        last: That of the run's own folder.
        resume_from: None to start anew, "last", or another checkpoint.

    Raises:
        AlignerError: There is none to continue from, or one that would be overwritten.
    """
    if resume_from is None:
        if last.exists():
            read_checkpoint(last)  # --resume would be no good advice for a damaged one
            raise AlignerError(
                f"{last} exists: continue it with --resume, or choose another folder with --out"
            )
        return None
    checkpoint = last if resume_from == "last" else Path(resume_from)
    if not checkpoint.is_file():
        raise AlignerError(f"no checkpoint {checkpoint} to continue; leave out --resume to start")
    return checkpoint


def vocabulary_to_resume(last: Path, resume_from: str | Path | None) -> list[str] | None:
    """The symbols of a run that began from another aligner, whose symbols it keeps; None: the corpus' own.

    Args:
        last: As of `checkpoint_to_resume`.
        resume_from: As of `checkpoint_to_resume`, which says what is wrong with it.
    """
    checkpoint = last if resume_from == "last" else Path(resume_from or "")
    if resume_from is None or not checkpoint.is_file():
        return None
    content = read_checkpoint(checkpoint)
    state = content.get("training")
    return (
        list(content[CHECKPOINT_KEY]["symbols"]) if isinstance(state, dict) and state.get(GOES_ON) else None
    )


def resumable(model: AlignerModule, data: AlignerData, checkpoint: Path) -> tuple[dict[str, Any], list[str]]:
    """The content of a checkpoint that this model and corpus can continue.

    Args:
        model: With the settings of now.
        data: The corpus of now.
        checkpoint: Of then.

    Returns:
        The content, and sentences about what it does not say.

    Raises:
        AlignerError: It is damaged, or of other settings or another corpus.
    """
    content = read_checkpoint(checkpoint)
    ours, theirs, state = model.aligner.settings(), content[CHECKPOINT_KEY], content.get("training")
    if not isinstance(state, dict) or not {"epoch", "loops", "optimizer_states"} <= set(content):
        raise AlignerError(f"{checkpoint} holds an aligner to align with, but no training to continue")
    reading = TextReading.stated(theirs.get("text"))
    if reading is not None and not reading.agrees(data.info.reading):
        raise AlignerError(
            f"{checkpoint} was trained on texts prepared with {reading}, and {data.data_dir} was prepared "
            f"with {data.info.reading}: continue with the corpus that it began with"
        )
    changed = [name for name in ("symbols", "frontend", "encoder") if ours[name] != theirs.get(name)]
    changed += ["training"] if state.get("method") != public_path(type(model.method)) else []
    if changed:
        raise AlignerError(
            f"{checkpoint} cannot be continued: it was trained with other {', '.join(changed)} than these "
            "settings and this corpus have"
        )
    if state.get("corpus") not in (None, data.fingerprint):
        raise AlignerError(
            f"{checkpoint} began with another corpus: {data.data_dir} has other ids, texts or lengths; "
            "continue with that corpus, or start anew with another --out"
        )
    if "corpus" in state:
        return content, []
    return content, [f"{checkpoint} does not say what corpus it began with; {data.data_dir} is taken for it"]
