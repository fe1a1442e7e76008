"""Which state a frame is spoken in, judged from a few frames around it.

F frames of a batch one after the other, C channels, M states.
"""

import torch
from torch import Tensor, nn

_BATCH_FRAMES = 4096
_SMOOTHING = 0.05  # the targets are the mixtures' own alignments: boundary frames are partly wrong


class FrameClassifier(nn.Module):
    """A perceptron over 2 * context_frames + 1 frames.

    Its narrow view is the point: what it cannot hear it cannot use to move a boundary. Trained on the
    alignments of the mixtures, it is better at telling phones apart and worse at fine timing; together they
    are better at both.
    """

    log_prior: Tensor
    state_count: Tensor
    trained: Tensor

    def __init__(self, channels: int, n_states: int, context_frames: int, width: int) -> None:
        super().__init__()
        self.context_frames = context_frames
        self.layers = nn.Sequential(
            nn.Linear(channels * (2 * context_frames + 1), width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(width, n_states),
        )
        self.register_buffer("log_prior", torch.zeros(n_states))
        self.register_buffer("state_count", torch.zeros(n_states))
        self.register_buffer("trained", torch.tensor(False))

    def neighbours(self, first: Tensor, last: Tensor) -> Tensor:
        """Indices `[F, 2 * context + 1]` of the frames around each, the utterance's edge frame repeated.

        first, last: `[F]`, the first and the last frame of the utterance each frame belongs to.
        """
        frame = torch.arange(len(first), device=first.device)[:, None]
        offset = torch.arange(-self.context_frames, self.context_frames + 1, device=first.device)
        return torch.minimum(torch.maximum(frame + offset, first[:, None]), last[:, None])

    def log_posteriors(self, features: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Log probability of every state `[F, M]` at every frame of features `[F, C]`."""
        index = self.neighbours(first, last)
        return torch.cat([self.layers(features[i].flatten(1)).log_softmax(-1) for i in index.split(32768)])

    def losses(self, features: Tensor, first: Tensor, last: Tensor, states: Tensor):
        """Cross entropy of one mini-batch after the other, all frames of the batch in random order."""
        index = self.neighbours(first, last)
        order = torch.randperm(len(features), device=features.device)
        for chosen in order.split(_BATCH_FRAMES):
            scores = self.layers(features[index[chosen]].flatten(1))
            yield nn.functional.cross_entropy(scores, states[chosen], label_smoothing=_SMOOTHING)

    def count(self, states: Tensor) -> None:
        """Note how often each state was spoken, for the prior. states: `[F]`."""
        self.state_count += torch.bincount(states, minlength=len(self.state_count))

    def finish(self) -> None:
        """Take the counts as the prior: from now on scores are posteriors over priors."""
        share = self.state_count.clamp(min=1)
        self.log_prior.copy_((share / share.sum()).log())
        self.trained.fill_(True)
