"""What can be trained on, decided in one place: the rest is refused, with a reason, and ends nothing.

Audio that cannot be read has been refused by `data.Batches`; here follow frontends that raise or make NaN,
and texts with more tokens than their recordings have frames.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from aligner.aligner import Aligner
from aligner.errors import AlignerError, reason
from aligner.frontends import Frontend
from aligner.frontends.packed import PackedFeatures
from aligner.frontends.usable import usable_features
from aligner.training.augmentation import Augmentation
from aligner.training.data import Batch
from aligner.training.feature_store import FeatureStore, pack_known


class NothingToTrainOn(AlignerError):
    """Every utterance was refused.

    Args:
        refused: Why, by id.
    """

    def __init__(self, refused: Mapping[str, str]) -> None:
        id, why = next(iter(refused.items()), ("", "the corpus is empty"))
        super().__init__(f"nothing to train on: {len(refused)} utterances refused, such as {id}: {why}")
        self.refused = refused


def usable_versions(
    aligner: Aligner, batch: Batch, kept: FeatureStore, perturbation: Augmentation | None
) -> tuple[Batch, list[PackedFeatures], dict[str, str]]:
    """The utterances of a batch that can be trained on, and their features.

    Args:
        aligner: What is trained.
        batch: With the audio of those whose features are not kept.
        kept: Where features are kept when audio first comes.
        perturbation: Changes the voice, or the recording; None: only as recorded.

    Returns:
        The batch without those that were refused; its features, as recorded and then changed; why
        utterances were refused, by id.
    """
    refused = dict(batch.refused)
    known = dict(batch.features)
    fresh = [place for place, n_samples in enumerate(batch.audio_lengths.tolist()) if n_samples]
    if fresh:
        computed, reasons = _computed(aligner, batch, fresh)
        batch = _refuse(batch, reasons, refused)
        kept.keep(list(computed), list(computed.values()))
        known |= computed
    if not len(batch):
        return batch, [], refused
    versions = [pack_known(batch.ids, kept, known, batch.audio.device, batch.stays)]
    if perturbation is not None:
        changed, reasons = _perturbed(aligner.frontend, batch, perturbation)
        batch, as_recorded = _refuse(batch, reasons, refused), _without(versions[0], reasons)
        versions = [version for version in (as_recorded, changed) if version is not None]
    return batch, versions, refused


def fit_normalisation(
    frontend: Frontend, batches: Callable[[], Iterable[Batch]], refused: Mapping[str, str]
) -> None:
    """Let a frontend learn from a corpus; if that fails, from those recordings that it has features of.

    Args:
        frontend: What learns.
        batches: Called for the batches, anew each time.
        refused: Why utterances were refused so far, by id, for an error.

    Raises:
        NothingToTrainOn: It has features of no recording.
    """
    before = {name: value.clone() for name, value in frontend.state_dict().items()}
    try:
        frontend.fit_normalisation((batch.audio, batch.audio_lengths) for batch in batches())
        if all(torch.isfinite(value).all() for value in frontend.state_dict().values()):
            return
    except Exception:  # whatever a frontend raises; which recording it is for is found below
        pass
    frontend.load_state_dict(before)
    reasons: dict[str, str] = {}

    def usable() -> Iterable[tuple[Tensor, Tensor]]:
        for batch in batches():
            _, without = usable_features(frontend, batch.audio, batch.audio_lengths)
            reasons.update((batch.ids[place], why) for place, why in without.items())
            if len(without) < len(batch):
                rest = batch.without(without)
                yield rest.audio, rest.audio_lengths

    try:
        frontend.fit_normalisation(usable())
    except ValueError as error:  # no frame to take statistics from
        raise NothingToTrainOn({**refused, **reasons}) from error


def _computed(
    aligner: Aligner, batch: Batch, fresh: Sequence[int]
) -> tuple[dict[str, Tensor], dict[int, str]]:
    """The features of utterances whose audio came, by id, and why others have none, by place."""
    audio = batch.audio if len(fresh) == len(batch) else batch.audio[fresh]
    features, without = usable_features(aligner.frontend, audio, batch.audio_lengths[fresh])
    reasons = {fresh[row]: why for row, why in without.items()}
    rest = [place for place in fresh if place not in reasons]
    if features is None:
        return {}, reasons
    texts, n_frames = batch.texts.only(rest), features.n_frames
    # Only where pronunciations are chosen is a shorter one taken where the first does not fit.
    choice = texts.fitting(n_frames) if aligner.encoder.without_context is not None else None
    needed = texts.tokens(choice).least_frames
    for row in np.flatnonzero(needed > n_frames):
        why = f"{needed[row]} tokens in {n_frames[row]} frames; is this the text of this audio?"
        reasons[rest[row]] = why
    ids, own = batch.ids, zip(rest, features.unpack(), strict=True)
    return {ids[place]: rows for place, rows in own if place not in reasons}, reasons


def _perturbed(
    frontend: Frontend, batch: Batch, perturbation: Augmentation
) -> tuple[PackedFeatures | None, dict[int, str]]:
    """Features in other voices, drawn anew each time, and why utterances have none."""
    audio, reasons = torch.zeros_like(batch.audio), {}
    for place, length in enumerate(batch.audio_lengths.tolist()):
        try:
            changed = perturbation(batch.audio[place, :length].cpu(), frontend.sample_rate_hz)
            audio[place, :length] = changed
        except Exception as error:
            reasons[place] = reason(error)
    features, without = usable_features(frontend, audio, batch.audio_lengths)
    places = [place for place in range(len(batch)) if place not in without]  # of these features
    if features is not None:
        features = _without(features, {row for row, place in enumerate(places) if place in reasons})
    return features, {**without, **reasons}


def _refuse(batch: Batch, reasons: Mapping[int, str], refused: dict[str, str]) -> Batch:
    """The rest of a batch; the reasons, by place, are noted by id."""
    ids = batch.ids
    refused |= {ids[place]: why for place, why in reasons.items()}
    return batch.without(reasons) if reasons else batch


def _without(features: PackedFeatures, places: Collection[int]) -> PackedFeatures | None:
    """The features of the other utterances; None if there are none."""
    if not places:
        return features
    rest = [own for place, own in enumerate(features.unpack()) if place not in places]
    return PackedFeatures.pack(rest) if rest else None
