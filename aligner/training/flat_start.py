"""The flat start of training: quiet edges are pauses, the tokens share the rest evenly.

N samples, S speech frames.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from aligner.boundaries import PAUSE_FRACTION
from aligner.boundaries.loudness import loudness_db, quiet_parts

_LONGEST_EDGE = 3  # an edge takes at most one part in this of an utterance


def flat_states(
    states: Sequence[int], skippable: Sequence[bool], n_frames: int, audio: Tensor, sample_rate_hz: int
) -> Tensor:
    """The state of each frame, `[S]`, when nothing is known yet.

    Args:
        states: Of the utterance in order; 0 is the pause's.
        skippable: Which of them may get no frame. Inside the utterance they get none.
        n_frames: S.
        audio: `[N]`.
        sample_rate_hz: Of the audio.
    """
    loudness, n_values = loudness_db(audio[None], torch.tensor([len(audio)]), sample_rate_hz)
    step = max(1, round(loudness.shape[1] / n_frames))
    quiet = quiet_parts(loudness, n_values, PAUSE_FRACTION)[0, ::step].tolist()
    spoken = [state for state, optional in zip(states, skippable, strict=True) if not optional]
    lead = _run(quiet, n_frames // _LONGEST_EDGE) if states[0] == 0 else 0
    tail = _run(quiet[::-1], n_frames // _LONGEST_EDGE) if states[-1] == 0 else 0
    if n_frames - lead - tail < len(spoken):
        lead = tail = 0
    middle = n_frames - lead - tail
    share = torch.arange(middle) * len(spoken) // middle
    return torch.cat([torch.zeros(lead), torch.tensor(spoken)[share], torch.zeros(tail)]).long()


def _run(flags: Sequence[bool], longest: int) -> int:
    """How many flags at the beginning are true, at most `longest`."""
    for index, flag in enumerate(flags[:longest]):
        if not flag:
            return index
    return min(longest, len(flags))
