"""The checkpoint of another aligner that training starts from."""

from pathlib import Path

from aligner.checkpoint import CHECKPOINT_KEY, OTHER_VERSION, read_checkpoint, weights_in
from aligner.errors import AlignerError
from aligner.text.reading import TextReading
from aligner.training.data import AlignerData
from aligner.training.module import AlignerModule


def start_from_aligner(model: AlignerModule, data: AlignerData, checkpoint: str | Path) -> list[str]:
    """Give a model what another aligner has learnt.

    Args:
        model: With the settings of now, and the other's symbols (`AlignerData.vocabulary`).
        data: The corpus of now.
        checkpoint: The other's: a path, or the name of a model that comes with this package.

    Returns:
        Sentences about what the checkpoint does not say.

    Raises:
        AlignerError: It is no checkpoint, of other settings or of another reading of texts; or the training
            method has to start by itself.
    """
    content = read_checkpoint(checkpoint)
    ours, theirs = model.aligner.settings(), content[CHECKPOINT_KEY]
    reading, notes = TextReading.stated(theirs.get("text")), []
    if reading is None:
        notes.append(
            f"{checkpoint} does not say how its texts were read; {data.data_dir} is taken to be read alike"
        )
    elif not reading.agrees(data.info.reading):
        raise AlignerError(
            f"{checkpoint} was trained on texts prepared with {reading}, and {data.data_dir} was prepared "
            f"with {data.info.reading}: prepare the corpus as the other was"
        )
    if changed := [name for name in ("frontend", "encoder") if ours[name] != theirs.get(name)]:
        raise AlignerError(
            f"cannot start from {checkpoint}: it was trained with another {' and another '.join(changed)} "
            "than these settings have; take the --config that it was trained with"
        )
    model.method.start_from_aligner()
    try:
        model.aligner.load_state_dict(weights_in(content))
    except RuntimeError as error:  # a weight too many or too few
        raise AlignerError(f"{checkpoint}: {OTHER_VERSION}") from error
    model.normalisation_fitted.fill_(True)  # its mixtures are of features with its statistics
    return notes
