"""Hidden states of self-supervised speech models (wav2vec 2.0, XLSR, HuBERT, WavLM).

B batch, N samples, S speech frames, C channels, D width of the model.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
import torchaudio
from torch import Tensor, nn

from aligner.alignment import FrameGrid, FrameRule
from aligner.frontends.base import Frontend, frame_mask

# All these models have the convolutions of wav2vec 2.0: 16 kHz in, a state every 20 ms
_MODEL_RATE_HZ = 16000
_MODEL_HOP_SAMPLES = 320
_MODEL_WINDOW_SAMPLES = 400  # what the convolutions see at once: 16,000 samples give 49 states
_LEAST_VARIANCE = 1e-10  # of a state or a component, so that what never moves is not divided by 0


class SelfSupervised(Frontend):
    """Hidden states of wav2vec 2.0, XLSR, HuBERT or WavLM, which tell phones apart more than speakers.

    The states, 50 a second, are interpolated to the frames asked for. Each utterance goes through the model
    alone: some of these models normalise over the whole batch. The principal components of the standardised
    states are found by `fit_normalisation`, which therefore has to come first. They are kept in checkpoints;
    the model's own weights are not.

    Args:
        checkpoint: The bundle's weights, a local file. The error raised without it says where to get it.
        bundle: A name in `torchaudio.pipelines`.
        layer: Whose states: 1 is the first transformer layer. NANSY takes 12 and NANSY++ 15 of XLSR-53.
        channels: How many principal components are kept, C.
        sample_rate_hz: Sample rate of the audio.
        hop_samples: Samples from one frame to the next.
        frame_rule: Where the frames lie: "center", "center_drop_last" or "same", see `FrameGrid`.
    """

    components: Tensor
    state_mean: Tensor
    state_std: Tensor

    def __init__(
        self,
        checkpoint: str,
        bundle: str = "WAV2VEC2_XLSR53",
        layer: int = 12,
        channels: int = 80,
        sample_rate_hz: int = 22050,
        hop_samples: int = 256,
        frame_rule: FrameRule = "same",
    ) -> None:
        self_supervised = getattr(torchaudio.pipelines, bundle, None)
        if not isinstance(self_supervised, torchaudio.pipelines.Wav2Vec2Bundle):
            raise ValueError(f"bundle {bundle!r} is no wav2vec 2.0-like model of torchaudio.pipelines")
        if not Path(checkpoint).is_file():
            raise ValueError(
                f"checkpoint {checkpoint!r} is not there: download the weights of {bundle}, "
                f"https://download.pytorch.org/torchaudio/models/{self_supervised._path}, and name that file"
            )
        params = self_supervised._params
        width, layers = params["encoder_embed_dim"], params["encoder_num_layers"]
        if not 1 <= layer <= layers:
            raise ValueError(f"layer is {layer}: {bundle} has layers 1 to {layers}")
        if not 1 <= channels <= width:
            raise ValueError(f"channels is {channels}: {bundle} has states of width {width}")
        grid = FrameGrid(hop_samples, sample_rate_hz, frame_rule)
        super().__init__(grid, [f"component {i}" for i in range(channels)])
        self.layer = layer
        self.checkpoint = Path(checkpoint)
        self._bundle = self_supervised
        self._model: list[nn.Module] = []  # in a list: no submodule, so its weights stay out of checkpoints
        self.register_buffer("components", torch.zeros(width, channels))
        self.register_buffer("state_mean", torch.zeros(width))
        self.register_buffer("state_std", torch.ones(width))

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """As `Frontend.extract`. Raises ValueError before `fit_normalisation`."""
        if not self.components.any():
            raise ValueError("the principal components are not known yet: call fit_normalisation first")
        states = self._states(audio, audio_lengths, n_frames)
        return ((states - self.state_mean) / self.state_std) @ self.components

    @torch.no_grad()
    def fit_normalisation(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Learn the principal components of the states over all frames, and their deviations.

        Args:
            batches: `(audio, audio_lengths)`, as `forward` takes them.

        Raises:
            ValueError: If there are no more frames than channels.
        """
        device = self.components.device
        width = len(self.components)
        count, total = 0, torch.zeros(width, dtype=torch.float64)
        products = torch.zeros(width, width, dtype=torch.float64)
        for audio, audio_lengths in batches:
            lengths = self.frame_count(audio_lengths.to(device))
            n_frames = self.frame_count(audio.shape[1])
            states = self._states(audio.to(device).float(), audio_lengths.to(device), n_frames)
            frames = states[frame_mask(lengths, n_frames)].double().cpu()
            count += len(frames)
            total += frames.sum(0)
            products += frames.T @ frames
        if count <= self.channels:
            raise ValueError(f"{count} frames are too few to find {self.channels} principal components in")
        mean = total / count
        covariance = products / count - mean[:, None] * mean
        std = covariance.diagonal().clamp(min=_LEAST_VARIANCE).sqrt()
        values, vectors = torch.linalg.eigh(covariance / (std[:, None] * std))
        largest = values.argsort(descending=True)[: self.channels]
        self.state_mean.copy_(mean)
        self.state_std.copy_(std)
        self.components.copy_(vectors[:, largest])
        self.channel_mean.zero_()
        self.channel_std.copy_(values[largest].clamp(min=_LEAST_VARIANCE).sqrt())

    @torch.no_grad()
    def _states(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        """Hidden states on the frame grid, `[B, n_frames, D]`."""
        model = self._loaded(audio.device)
        result = audio.new_zeros(len(audio), n_frames, len(self.components))
        for item, length in enumerate(audio_lengths.tolist()):
            sound = torchaudio.functional.resample(
                audio[item : item + 1, :length], self.sample_rate_hz, _MODEL_RATE_HZ
            )
            short = _MODEL_WINDOW_SAMPLES - sound.shape[1]
            sound = nn.functional.pad(sound, (0, max(0, short)))
            states = model.extract_features(sound, num_layers=self.layer)[0][-1][0]  # type: ignore[operator]
            count = self.frame_count(length)
            result[item, :count] = self._on_grid(states, count)
        return result

    def _on_grid(self, states: Tensor, count: int) -> Tensor:
        """The model's states `[S', D]` interpolated at the centres of the first `count` frames."""
        centres_s = self.grid.centre_s(torch.arange(count, device=states.device, dtype=torch.float64))
        # state i is centred on the middle of its window, which starts at i * hop
        position = (centres_s * _MODEL_RATE_HZ - _MODEL_WINDOW_SAMPLES / 2) / _MODEL_HOP_SAMPLES
        position = position.clamp(0, len(states) - 1)
        below = position.long()
        above = (below + 1).clamp(max=len(states) - 1)
        return torch.lerp(states[below], states[above], (position - below).to(states)[:, None])

    def _loaded(self, device: torch.device) -> nn.Module:
        if not self._model:
            place = {"model_dir": str(self.checkpoint.parent), "file_name": self.checkpoint.name}
            try:
                model = self._bundle.get_model(
                    dl_kwargs={**place, "weights_only": True, "map_location": "cpu"}
                )
            except Exception as error:
                raise ValueError(f"checkpoint {str(self.checkpoint)!r} does not load: {error}") from error
            self._model.append(model.requires_grad_(False).eval())
        self._model[0] = self._model[0].to(device)
        return self._model[0]
