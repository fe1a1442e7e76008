"""The alignment loss of RAD-TTS, NeMo and FastPitch as `mas` computes it: a forward sum with blanks.

B batch, T text tokens, S speech frames.
"""

import torch
from torch import Tensor

from mas.checks import Lengths, check_lengths
from mas.forward_states import forward_sum_states


class ForwardSumLoss(torch.nn.Module):
    """Replaces NeMo's `ForwardSumLoss`, and the `AttentionCTCLoss` of RAD-TTS and FastPitch. One scalar.

    They add a blank of a fixed score to the tokens of each frame, turn scores into log-probabilities
    (log-softmax over the tokens and the blank) and call CTC with the tokens as labels. So a path may stay in
    a blank before, between and behind the tokens, or pass none: the forward sum over blank, 1, blank, 2, ...
    blank, where blanks are skippable and share one state. The loss is the mean over the items of its negative
    divided by the text length; an item with more tokens than frames counts 0, NaN gives NaN, as theirs.

    All items go in one call, on a CPU too. A gradient is that of float32 sums for half types, too.

    Args:
        blank_logprob: The score of the blank, as in theirs.

    Source: Badlani et al., "One TTS alignment to rule them all", 2021, section 2.1; the behaviour of
    NVIDIA/NeMo nemo/collections/tts/losses/aligner_loss.py and NVIDIA/radtts loss.py.
    """

    def __init__(self, blank_logprob: float = -1) -> None:
        super().__init__()
        self.blank_logprob = blank_logprob

    def forward(self, attn_logprob: Tensor, in_lens: Lengths, out_lens: Lengths) -> Tensor:
        """The loss, a scalar, float32 or, for float64 scores, float64.

        Args:
            attn_logprob: Scores `[B, 1, S, T]`, any float type.
            in_lens: `[B]`, tokens of each item.
            out_lens: `[B]`, frames of each item.

        Raises:
            ValueError: Another shape.
        """
        if attn_logprob.dim() != 4 or attn_logprob.shape[1] != 1:
            raise ValueError(
                f"ForwardSumLoss: scores have shape {tuple(attn_logprob.shape)}; "
                "[batch, 1, speech, text] is needed"
            )
        B, _, S, T = attn_logprob.shape
        device = attn_logprob.device
        in_lens, out_lens = check_lengths(attn_logprob, in_lens, out_lens)
        scores = torch.nn.functional.pad(attn_logprob[:, 0], (1, 0), value=self.blank_logprob)
        if scores.dtype != torch.float64:
            scores = scores.float()
        # Tokens behind the text have no probability. A NaN in frames behind the speech would come back.
        no_token = torch.arange(T + 1, device=device) > in_lens[:, None]
        no_frame = torch.arange(S, device=device) >= out_lens[:, None]
        filling = torch.where(no_token, float("-inf"), 0.0).to(scores)[:, None]
        log_probs = torch.where(no_token[:, None] | no_frame[:, :, None], filling, scores).log_softmax(2)
        number = torch.arange(2 * T + 1, device=device)
        blank = number % 2 == 0
        log_sums = forward_sum_states(
            log_probs,
            torch.where(blank, 0, (number + 1) // 2).expand(B, -1),
            2 * in_lens + 1,
            out_lens,
            skippable=blank.expand(B, -1),
            check=False,
        )
        loss = torch.where(log_sums.isneginf(), 0.0, -log_sums)
        return (loss / in_lens.clamp(min=1)).mean()
