"""The flat start of training: quiet edges are pauses, the tokens share the rest evenly.

B batch, N samples, S speech frames, F packed frames.
"""

import numpy as np
import torch
from torch import Tensor

from aligner.boundaries import PAUSE_FRACTION
from aligner.boundaries.loudness import loudness_db, typical_levels_db
from aligner.devices import on_device
from aligner.encoders.base import PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import inside, padded, starts_of, sums_of

_LONGEST_EDGE = 3  # an edge takes at most one part in this of what is not surplus silence


def flat_states(
    states: PackedStates,
    features: PackedFeatures,
    audio: Tensor,
    audio_lengths: Tensor,
    sample_rate_hz: int,
) -> Tensor:
    """The state of each frame, `[F]`, when nothing is known yet.

    Args:
        states: Of the utterances' tokens; 0 is the pause's. Those that may be skipped get no frame inside an
            utterance.
        features: Of the utterances. Frames of surplus silence are a pause anyway; all else is done as if they
            were not there.
        audio: `[B, N]`.
        audio_lengths: `[B]`, samples of each utterance.
        sample_rate_hz: Of the audio.
    """
    device = audio.device
    is_frame = on_device(inside(features.n_frames), device)
    n_frames = features.lengths
    loudness, n_values = loudness_db(audio, audio_lengths, sample_rate_hz)
    nearest = torch.arange(is_frame.shape[1], device=device) * (n_values.to(device) / n_frames)[:, None]
    level_db = loudness.gather(1, nearest.long().clamp(max=loudness.shape[1] - 1))

    needed = ~states.skippable
    needed_lengths = sums_of(needed, states.lengths)
    n_needed = on_device(needed_lengths, device)[:, None]
    needed_states = on_device(padded(states.states[needed], needed_lengths), device)
    surplus = torch.zeros_like(is_frame).masked_scatter_(is_frame, features.surplus)
    shared = is_frame & ~surplus
    shared = torch.where(shared.sum(1, keepdim=True) < n_needed, is_frame, shared)

    count, place = shared.sum(1, keepdim=True), shared.cumsum(1) - 1  # as if there were no surplus
    quiet_db, loud_db = typical_levels_db(level_db, shared)
    loud = shared & (level_db >= quiet_db + PAUSE_FRACTION * (loud_db - quiet_db))
    first_loud = torch.where(loud, place, count).amin(1, keepdim=True)
    last_loud = torch.where(loud, place, -1).amax(1, keepdim=True)
    ends = np.stack([states.states[starts_of(states.lengths)], states.states[np.cumsum(states.lengths) - 1]])
    may_lead, may_tail = on_device(ends == 0, device)[..., None]
    lead = torch.minimum(first_loud, count // _LONGEST_EDGE) * may_lead
    tail = torch.minimum(count - 1 - last_loud, count // _LONGEST_EDGE) * may_tail
    fits = count - lead - tail >= n_needed
    lead, tail = lead * fits, tail * fits
    middle = count - lead - tail
    share = torch.minimum((place - lead) * n_needed // middle.clamp(min=1), n_needed - 1).clamp(min=0)
    spoken = shared & (place >= lead) & (place < count - tail)
    return needed_states.gather(1, share).where(spoken, 0)[is_frame]
