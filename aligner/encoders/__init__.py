"""Tokens to priors: what each token's frames should look like, and how likely each frame is under that."""

from aligner.encoders.base import Emissions, Encoder, PackedStates
from aligner.encoders.glow_tts import GlowTTSEncoder
from aligner.encoders.phone_mixtures import PhoneMixtures

__all__ = ["Emissions", "Encoder", "GlowTTSEncoder", "PackedStates", "PhoneMixtures"]
