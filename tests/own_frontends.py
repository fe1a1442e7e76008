"""Frontends as people write them: they fail for recordings of a length that is a multiple of 7 samples."""

from torch import Tensor

from aligner.frontends import Mel


class NanFor7(Mel):
    """Not a number in one frame."""

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        features = super().extract(audio, audio_lengths, n_frames)
        features[audio_lengths % 7 == 0, 0] = float("nan")
        return features


class RaisesFor7(Mel):
    """An error that says little."""

    def extract(self, audio: Tensor, audio_lengths: Tensor, n_frames: int) -> Tensor:
        if bool((audio_lengths % 7 == 0).any()):
            raise KeyError("pitch")
        return super().extract(audio, audio_lengths, n_frames)
