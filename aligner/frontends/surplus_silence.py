"""Silence that an utterance has more of than its speech needs.

What is measured of an utterance (the mean of its features, thresholds of loudness, where training starts) has
to come from its speech and the pauses in it: two seconds or a minute of silence more must not change it.

B batch, N samples, S speech frames.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d

from aligner.alignment import FrameGrid
from aligner.frontends.band_powers import band_powers

_WINDOW_S = 0.025  # that a level is taken over: two periods of the lowest voices
_HIGH_PASS_S = 0.010  # samples lose the mean of this long around them: an offset and much of hum
_BANDS_S = (_HIGH_PASS_S, 0.002, 0.0008, 0.0)  # between means of so long: voice, vowels, consonants
_FLOOR = 1e-12  # of a power: digital silence is -120 dB
_CLICK_S = 0.050  # louder for shorter than this is no speech; a vowel is longer
_LOUD_S = 0.1  # an utterance has at least this much loud speech
_RANGE_DB = 15.0  # speech is what is louder than this below the mean level of speech...
_FIRST_RANGE_DB = 25.0  # ...and, before that is known, than this below the loudest
_ROUNDS = 12  # until mean level and what is louder agree: a few, each leaves less to change
_QUIET_DB = 25.0  # releases of last stops are 20 dB below vowels; silence that counts is below both
_QUIET_S = 1.0
_FLAT_DB = 5.0  # noise, hum and tones change less than this in...
_FLAT_S = 0.7  # ...this long, and speech does not
_SHORT_FLAT_S, _EVEN_DB = 0.35, 3.0  # or so little in this long: no fricative lasts as long
_ENDLESS_S = 3.0  # and however loud it is, in this long
_HUM_DB = 6.0  # and it is this far below speech: sung and synthetic vowels may be as even
_ROUGH_DB = 12.0  # deep noises (wind, traffic) change as much as this, but not in the highest band...
_ROUGH_HUM_DB = 10.0  # ...and count from further below speech, which may be drowned by hiss in that band
_NEARBY_S = 1.0  # how far away a silence says which levels are its own
_MARGIN_S = 0.4  # of a silence beside speech: what a pause is learnt from, and where last stops are released
_NOISE_DB = 3.0  # what is within this of the levels of a silence, in all bands, and joins it, belongs to it


def surplus_silence(audio: Tensor, audio_lengths: Tensor, grid: FrameGrid) -> Tensor:
    """Which frames of a padded batch are so deep inside a silence that no phone reaches there, bool `[B, S]`.

    Silence is what stays far below the speech for a second, or changes so little for that long that it can
    only be noise, hum or a tone. Some 0.4 s on either side of speech are surplus only if they are as quiet as
    the silence that they belong to. The level of speech is the mean of what is not much below it and not such
    noise: more silence does not change it. Clicks do not count. Nothing is surplus where nothing stands out,
    or beyond an utterance's end. There is no loop over utterances or frames.

    Args:
        audio: `[B, N]`. Samples beyond a length may hold anything.
        audio_lengths: Samples of each utterance, `[B]`.
        grid: Where the frames lie.
    """
    audio_lengths = audio_lengths.to(audio.device)
    level_db, *bands_db = _levels_db(audio, audio_lengths, grid, _BANDS_S)
    lengths = grid.frame_count(audio_lengths)
    inside = torch.arange(level_db.shape[1], device=audio.device) < lengths[:, None]
    if not inside.shape[1]:
        return inside

    def frames(seconds: float) -> int:
        return max(1, round(seconds / grid.hop_s))

    steady_db = _without_clicks(level_db, inside, frames(_CLICK_S))
    reach = frames(_FLAT_S / 2)
    spread_db = _spread(steady_db, inside, reach)
    flat = inside & (spread_db < _FLAT_DB)
    hiss_db = _without_clicks(bands_db[-1], inside, frames(_CLICK_S))
    rough = inside & (spread_db < _ROUGH_DB) & (_spread(hiss_db, inside, reach) < _FLAT_DB)
    countable = inside & ~_dilated(flat | rough, reach)
    few = countable.sum(1, keepdim=True) < frames(_LOUD_S)
    countable = torch.where(few, inside, countable)
    speech_db = _speech_level_db(level_db, steady_db, countable, frames(_LOUD_S))

    quiet = _highest(steady_db, inside, frames(_QUIET_S / 2)) < speech_db - _QUIET_DB
    longer = frames(_ENDLESS_S / 2) - reach
    endless = _dilated(~_dilated(inside & ~flat, longer) & ~few, longer)
    below = -_highest(-steady_db, inside, reach) < speech_db - _HUM_DB
    far_below = _highest(steady_db, inside, reach) < speech_db - _ROUGH_HUM_DB
    hum = _dilated((flat & (below | endless)) | (rough & far_below), reach - frames(_MARGIN_S))
    short = frames(_SHORT_FLAT_S / 2)
    low = _highest(steady_db, inside, short) < speech_db - _HUM_DB
    hum |= inside & low & (_spread(steady_db, inside, short) < _EVEN_DB)
    nearby = frames(_NEARBY_S)
    surplus = _bridged(inside & (quiet | hum), inside, level_db, steady_db, nearby)
    faint = _like(surplus, [level_db, *bands_db], nearby)
    surplus = surplus | _runs_with(surplus, _without_short_holes(surplus | faint, inside))
    known = inside & ~surplus & ~faint
    loud = (level_db > speech_db - _RANGE_DB) & (steady_db > speech_db - _QUIET_DB)
    return surplus & (known & countable & loud).any(1, keepdim=True)


def frame_levels_db(audio: Tensor, audio_lengths: Tensor, grid: FrameGrid) -> Tensor:
    """The power around each frame's centre in dB, `[B, S]`; an offset does not count.

    Args:
        audio: `[B, N]`.
        audio_lengths: Samples of each utterance, `[B]`.
        grid: Where the frames lie.
    """
    return _levels_db(audio, audio_lengths, grid, (_HIGH_PASS_S,))[0]


def _levels_db(
    audio: Tensor, audio_lengths: Tensor, grid: FrameGrid, edges_s: Sequence[float]
) -> list[Tensor]:
    """The power around each frame's centre in dB, `[B, S]`: of the whole sound, then of each band.

    Args:
        audio: `[B, N]`.
        audio_lengths: Samples of each utterance, `[B]`.
        grid: Where the frames lie.
        edges_s: From the longest. The sound is what the mean over the first lacks of it. A band, from the
            lowest, is what the mean over one of these lacks of that over the next; 0 is the sound itself.
    """
    n_frames = int(grid.frame_count(audio.shape[1]))
    reaches = [round(grid.sample_rate_hz * e / 2) for e in edges_s]
    window = max(2 * round(grid.sample_rate_hz * _WINDOW_S / 2), grid.hop_samples)
    if audio.device.type == "cpu":
        powers = torch.empty(len(reaches), len(audio), n_frames)
        band_powers(
            audio.detach().float().contiguous().numpy(),
            audio_lengths.numpy(),
            np.array(reaches),
            window,
            grid.hop_samples,
            grid.padding(window)[0],
            powers.numpy(),
        )
    else:
        powers = _powers(audio.float(), audio_lengths, grid, reaches, window)
    return list(powers.add_(_FLOOR).log10_().mul_(10))


def _powers(sound: Tensor, lengths: Tensor, grid: FrameGrid, reaches: Sequence[int], window: int) -> Tensor:
    """As `band_powers`, `[L, B, S]`, on any device."""
    n_frames = int(grid.frame_count(sound.shape[1]))
    inside = torch.arange(sound.shape[1], device=sound.device) < lengths[:, None]
    sound = sound.masked_fill(~inside, 0.0)
    padding = grid.padding(window)

    def pooled(values: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(values, padding)
        return avg_pool1d(padded, window, grid.hop_samples)[:, :n_frames]

    def power(rougher: Tensor, smoother: Tensor) -> Tensor:
        return pooled((rougher - smoother).masked_fill_(~inside, 0.0).square_()) / share

    share = pooled(inside.float()).clamp(min=1e-6)
    means = _means_around(sound, lengths, reaches)
    bands = [power(rougher, smoother) for smoother, rougher in pairwise(means)]
    return torch.stack([power(sound, means[0]), *bands])


def _means_around(sound: Tensor, lengths: Tensor, reaches: Sequence[int]) -> list[Tensor]:
    """The means over the samples up to `reach` away from each, `[B, N]`, for each of the reaches.

    Args:
        sound: `[B, N]`, 0 beyond each length.
        lengths: `[B]`.
        reaches: In samples, from the longest; 0 gives the sound.
    """
    most, n_samples = reaches[0], sound.shape[1]
    sums = torch.nn.functional.pad(sound.double(), (most + 1, most)).cumsum_(1)
    means = []
    for reach in reaches:
        if not reach:
            means.append(sound)
            continue
        width = 2 * reach + 1
        end = sums[:, most + reach + 1 :][:, :n_samples]
        mean = (end - sums[:, most - reach :][:, :n_samples]).div_(width).float()
        # Near the ends there are fewer samples.
        away = torch.arange(reach, device=sound.device)
        last = lengths[:, None] - 1
        near = torch.cat([away.expand(len(sound), -1), last - away], 1).clamp(0, n_samples - 1)
        count = torch.minimum(near + reach, last) - (near - reach).clamp(min=0) + 1
        share = (count.clamp(min=1).double() / width).float()
        means.append(mean.scatter(1, near, mean.gather(1, near) / share))
    return means


def _speech_level_db(level_db: Tensor, steady_db: Tensor, countable: Tensor, loud_frames: int) -> Tensor:
    """The mean level of what is not far below that mean, `[B, 1]`, found from above."""
    nothing = torch.finfo(level_db.dtype).min
    loudest = steady_db.masked_fill(~countable, nothing).topk(min(loud_frames, level_db.shape[1]), 1).values
    gate_db = loudest.amin(1, keepdim=True).clamp(min=-200.0) - _FIRST_RANGE_DB
    speech_db = gate_db
    for _ in range(_ROUNDS):
        loud = countable & (level_db > gate_db)
        total_db = (level_db * loud).sum(1, keepdim=True, dtype=torch.float64)  # exact enough in any padding
        speech_db = (total_db / loud.sum(1, keepdim=True).clamp(min=1)).float()
        gate_db = speech_db - _RANGE_DB
    return speech_db


def _without_clicks(level_db: Tensor, inside: Tensor, width: int) -> Tensor:
    """The levels with what is louder for less than `width` frames brought down to what is around it."""
    reach = width // 2
    lowest = -_highest(-level_db, inside, reach)
    return _highest(lowest, inside, reach)


def _spread(level_db: Tensor, inside: Tensor, reach: int) -> Tensor:
    """How far apart the levels up to `reach` frames away are."""
    return _highest(level_db, inside, reach) + _highest(-level_db, inside, reach)


def _like(silence: Tensor, bands_db: Sequence[Tensor], reach: int) -> Tensor:
    """The frames `[B, S]` that sound like the silence nearby, by their levels in all bands.

    A weak word may be as loud as noise that joins it; it does not sound like it.
    """
    alike = torch.ones_like(silence)
    for band_db in bands_db:
        alike &= band_db <= _highest(band_db, silence, reach) + _NOISE_DB
        alike &= band_db >= -_highest(-band_db, silence, reach) - _NOISE_DB
    return alike


def _without_short_holes(flags: Tensor, inside: Tensor) -> Tensor:
    """The flags, and up to two frames between them: a moment of a noise that is louder than all the rest."""
    return inside & ~_dilated(inside & ~_dilated(inside & flags, 1), 1)


def _bridged(surplus: Tensor, inside: Tensor, level_db: Tensor, steady_db: Tensor, reach: int) -> Tensor:
    """The silence with what lies between two stretches of it and is nowhere louder than they are nearby."""
    louder = inside & ~surplus & (steady_db > _highest(level_db, surplus, reach) + _NOISE_DB)
    between = (surplus.cumsum(1) > 0) & (surplus.flip(1).cumsum(1).flip(1) > 0)
    return surplus | (between & ~_runs_with(louder, ~surplus))


def _highest(values: Tensor, where: Tensor, reach: int) -> Tensor:
    """The highest of the values `[B, S]` up to `reach` frames away that `where` holds for; else very low."""
    nothing = torch.finfo(values.dtype).min / 4
    return max_pool1d(values.masked_fill(~where, nothing), 2 * reach + 1, 1, reach)


def _runs_with(seeds: Tensor, flags: Tensor) -> Tensor:
    """The flags `[B, S]` of those runs of them that hold a seed."""
    run = (~flags).cumsum(1)
    seeded = torch.zeros(len(run), run.shape[1] + 1, device=run.device)
    seeded.scatter_reduce_(1, run, seeds.float(), "amax")
    return flags & (seeded.gather(1, run) > 0)


def _dilated(flags: Tensor, reach: int) -> Tensor:
    return max_pool1d(flags.float(), 2 * max(0, reach) + 1, 1, max(0, reach)) > 0
