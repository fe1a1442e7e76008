"""What is known of an alignment before anything is heard: early tokens are spoken early.

B batch, T text tokens, S speech frames.
"""

import torch
from torch import Tensor


def beta_binomial_prior(
    text_lengths: Tensor, speech_lengths: Tensor, n_tokens: int, n_frames: int, scaling: float = 0.05
) -> Tensor:
    """Log probability of each token in each frame, float32 `[B, T, S]`; 0 in the padding.

    In frame i = 1..M of M the tokens 0..P-1 follow a beta-binomial distribution with P - 1 trials, alpha =
    scaling * i and beta = scaling * (M + 1 - i): it wanders from the first token to the last along the
    diagonal, the more narrowly the larger `scaling` is. Add it, times a weight, to a log-likelihood.

    text_lengths, speech_lengths: `[B]`, P and M, on the device the result is wanted on. n_tokens, n_frames:
    T and S.

    Raises ValueError for a scaling that is not greater than 0.

    Source: Shih et al., "RAD-TTS", 2021, section 2.2, and https://github.com/NVIDIA/radtts (data.py).
    """
    if not scaling > 0:
        raise ValueError(f"scaling ({scaling}) must be greater than 0")
    device = text_lengths.device
    token = torch.arange(n_tokens, device=device)
    frame = torch.arange(n_frames + 1, device=device)
    # float64: differences of large numbers. log_gamma[k, i] = log Gamma(k + scaling * i), at [0, 0] not used.
    log_gamma = torch.lgamma(token.double()[:, None] + scaling * frame)
    log_factorial = torch.lgamma(token.double() + 1)

    last = text_lengths[:, None] - 1  # [B, 1], the number of trials
    token_left = (last - token).clamp(min=0)  # [B, T]
    frame_left = (speech_lengths[:, None] + 1 - frame[1:]).clamp(min=1)  # [B, S]
    choose = log_factorial[last.clamp(min=0)] - log_factorial - log_factorial[token_left]
    posterior = log_gamma[:, 1:] + log_gamma[token_left[:, :, None], frame_left[:, None, :]]
    prior = log_gamma[0, 1:] + log_gamma[0, frame_left]
    total = scaling * (speech_lengths[:, None] + 1).double()  # alpha + beta
    normaliser = prior - torch.lgamma(total) + torch.lgamma(total + last)
    log_prior = choose[:, :, None] + posterior - normaliser[:, None, :]
    inside = (token <= last)[:, :, None] & (frame[1:] <= speech_lengths[:, None])[:, None, :]
    return log_prior.masked_fill(~inside, 0.0).float()
