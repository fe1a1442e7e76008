"""Features of a batch, and which of its recordings have none.

Here somebody else's code, a frontend of the user's own among them, meets people's recordings: whatever it
raises, and NaN, costs the recording that it was raised for and no other.

B batch, N samples.
"""

import torch
from torch import Tensor

from aligner.errors import AlignerError, reason
from aligner.frontends.base import Frontend
from aligner.frontends.packed import PackedFeatures, packed_features


def usable_features(
    frontend: Frontend, audio: Tensor, audio_lengths: Tensor
) -> tuple[PackedFeatures | None, dict[int, str]]:
    """Features of those recordings of a batch that have some (None: none has), and why the others have none.

    Args:
        frontend: What computes them.
        audio: `[B, N]`, float32 at the frontend's sample rate.
        audio_lengths: `[B]`, samples of each recording.

    Returns:
        The features, and the reasons by place in the batch.
    """
    try:
        return _checked(frontend, audio, audio_lengths), {}
    except Exception:  # whatever a frontend raises; which recording it is for is found below
        pass
    found: list[Tensor] = []
    reasons: dict[int, str] = {}
    for place, length in enumerate(audio_lengths.tolist()):
        try:
            alone = audio[place : place + 1, :length], audio_lengths[place : place + 1]
            found += _checked(frontend, *alone).unpack()
        except Exception as error:
            reasons[place] = reason(error)
    return (PackedFeatures.pack(found) if found else None), reasons


def _checked(frontend: Frontend, audio: Tensor, audio_lengths: Tensor) -> PackedFeatures:
    features = packed_features(frontend, audio, audio_lengths)
    if not bool((features.lengths > 0).all()):
        raise AlignerError("the recording is shorter than one frame")
    if not bool(torch.isfinite(features.frames).all()):
        raise AlignerError(f"{type(frontend).__name__} makes features of it that are not finite numbers")
    return features
