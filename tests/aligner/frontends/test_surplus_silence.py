"""Speech between silences of every kind: they are found however long they are.

N samples, S speech frames.
"""

import pytest
import torch
from torch import Tensor

from aligner.alignment import FrameGrid
from aligner.frontends.surplus_silence import frame_levels_db, surplus_silence

RATE_HZ = 16000
GRID = FrameGrid(160, RATE_HZ, "center")
MARGIN_FRAMES = 3  # of the windows at a seam


def speech(duration_s: float = 2.0, level: float = 0.1) -> Tensor:
    """Syllables of a buzz, four a second, over faint noise, `[N]`."""
    time_s = torch.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    syllables = (torch.sin(2 * torch.pi * 4 * time_s) + 0.2).clamp(min=0)
    buzz = sum(torch.sin(2 * torch.pi * 130 * k * time_s) / k for k in range(1, 12))
    noise = 1e-4 * torch.randn(len(time_s), generator=torch.Generator().manual_seed(1))
    return level * syllables * buzz + noise


def white(seconds: float, level_db: float) -> Tensor:
    noise = torch.randn(round(seconds * RATE_HZ), generator=torch.Generator().manual_seed(2))
    return 10 ** (level_db / 20) * noise


SILENCES = {
    "zeros": lambda s: torch.zeros(round(s * RATE_HZ)),
    "noise of -70 dB": lambda s: white(s, -70),
    "noise of -55 dB": lambda s: white(s, -55),
    "noise of -45 dB": lambda s: white(s, -45),
    "offset": lambda s: torch.full((round(s * RATE_HZ),), 0.1),
    "last bit": lambda s: torch.randint(-1, 2, (round(s * RATE_HZ),)) / 32768,
    "hum": lambda s: 0.01 * torch.sin(2 * torch.pi * 50 / RATE_HZ * torch.arange(round(s * RATE_HZ))),
}


def found(audio: Tensor, grid: FrameGrid = GRID) -> Tensor:
    return surplus_silence(audio[None], torch.tensor([len(audio)]), grid)[0]


@pytest.mark.parametrize("seconds", [2, 10, 60])
@pytest.mark.parametrize("kind", SILENCES)
def test_silence_of_any_kind_and_length_is_surplus(kind: str, seconds: int) -> None:
    sound, silence = speech(), SILENCES[kind](seconds)
    n_frames, padding = len(found(sound)), len(silence) // 160
    surplus = found(torch.cat([silence, sound, silence]))
    assert surplus[: padding - 45].all()
    assert surplus[padding + n_frames + 45 :].all()
    assert not surplus[padding + MARGIN_FRAMES : padding + n_frames - MARGIN_FRAMES].any()


@pytest.mark.parametrize("kind", ["zeros", "noise of -55 dB"])
def test_silence_between_words_is_surplus(kind: str) -> None:
    silence = SILENCES[kind](5)
    surplus = found(torch.cat([speech(), silence, speech()]))
    first = len(speech()) // 160
    assert surplus[first + 45 : first + 455].all()
    assert not surplus[:first].any()
    assert not surplus[first + 500 + MARGIN_FRAMES :].any()


def deep(seconds: float, level_db: float) -> Tensor:
    """Noise as of wind and traffic: its level changes by some 10 dB within a second."""
    walk = white(seconds + 0.1, 0).cumsum(0)
    walk = (walk - torch.nn.functional.avg_pool1d(walk[None], 801, 1, 400)[0])[800:-800]
    return 10 ** (level_db / 20) * walk / walk.square().mean().sqrt()


def test_deep_noise_between_words_is_surplus_up_to_the_words() -> None:
    audio = torch.cat([speech(), deep(10, -40), speech()])
    surplus = found(audio)
    first = len(speech()) // 160
    last = first + round(10 * 100)
    assert surplus[first + 5 : last - 5].all()
    assert not surplus[: first - MARGIN_FRAMES].any()
    assert not surplus[last + MARGIN_FRAMES :].any()


@pytest.mark.parametrize("level_db", [-45, -55])
def test_a_weak_word_as_loud_as_the_noise_that_joins_it_is_no_surplus(level_db: float) -> None:
    time_s = torch.arange(round(0.08 * RATE_HZ)) / RATE_HZ
    murmur = 2**0.5 * 10 ** (level_db / 20) * torch.sin(2 * torch.pi * 220 * time_s)
    audio = torch.cat([speech(), murmur, white(5, level_db), speech()])
    surplus = found(audio)
    start = len(speech()) // 160
    assert not surplus[start + 2 : start + 7].any()
    assert surplus[start + 11 : start + 500].all()


@pytest.mark.parametrize("where", ["start", "end"])
def test_noise_little_below_the_speech_is_surplus_up_to_it(where: str) -> None:
    noise, sound = white(5, -24), speech()
    surplus = found(torch.cat([noise, sound] if where == "start" else [sound, noise]))
    n_noise = len(noise) // 160
    surplus = surplus if where == "start" else surplus.flip(0)
    assert surplus[: n_noise - MARGIN_FRAMES].all()
    assert not surplus[n_noise + MARGIN_FRAMES :].any()


@pytest.mark.parametrize("level_db", [-40, -55])
def test_a_second_of_noise_between_words_is_surplus(level_db: float) -> None:
    surplus = found(torch.cat([speech(), white(1, level_db), speech()]))
    first = len(speech()) // 160
    assert surplus[first + MARGIN_FRAMES : first + 100 - MARGIN_FRAMES].all()


@pytest.mark.parametrize("level_db", [-45, -55])
def test_half_a_second_of_even_noise_between_words_is_surplus(level_db: float) -> None:
    surplus = found(torch.cat([speech(), white(0.5, level_db), speech()]))
    first = len(speech()) // 160
    assert surplus[first + MARGIN_FRAMES : first + 50 - MARGIN_FRAMES].all()
    assert not surplus[: first - MARGIN_FRAMES].any()
    assert not surplus[first + 50 + MARGIN_FRAMES :].any()


def test_pauses_of_speech_are_no_surplus() -> None:
    for pause_s in (0.1, 0.2, 0.3):
        surplus = found(torch.cat([speech(), white(pause_s, -75), speech()]))
        assert not surplus.any()


def test_clicks_in_a_silence_are_no_speech() -> None:
    silence = torch.zeros(5 * RATE_HZ)
    silence[RATE_HZ :: RATE_HZ // 2] = 0.7
    surplus = found(torch.cat([silence, speech()]))
    assert surplus[:400].float().mean() > 0.8


@pytest.mark.parametrize("level", [1e-3, 0.01, 0.5])
def test_a_recordings_level_does_not_matter(level: float) -> None:
    quiet = 0.1 / level
    plain = torch.cat([speech(), torch.zeros(3 * RATE_HZ)])
    assert (found(plain) != found(plain / quiet)).sum() <= 2


@pytest.mark.parametrize("kind", SILENCES)
def test_where_nothing_is_spoken_not_all_is_surplus(kind: str) -> None:
    assert not found(SILENCES[kind](3)).all()


def test_batching_and_what_lies_beyond_an_end_do_not_matter() -> None:
    short, long = speech(1.5), torch.cat([torch.zeros(4 * RATE_HZ), speech()])
    batch = torch.full((2, len(long)), 0.9)
    batch[0, : len(short)], batch[1] = short, long
    together = surplus_silence(batch, torch.tensor([len(short), len(long)]), GRID)
    n_frames = int(GRID.frame_count(len(short)))
    assert together[0, :n_frames].tolist() == found(short).tolist()
    assert not together[0, n_frames:].any()
    assert together[1].tolist() == found(long).tolist()


@pytest.mark.parametrize("rule", ["center", "center_drop_last", "same"])
@pytest.mark.parametrize("n_samples", [1, 100, 160, 1000])
def test_the_shortest_audio_is_no_error(rule: str, n_samples: int) -> None:
    grid = FrameGrid(160, RATE_HZ, rule)  # type: ignore[arg-type]
    assert len(found(torch.randn(n_samples), grid)) == grid.frame_count(n_samples)


def test_levels_are_the_power_without_an_offset() -> None:
    time_s = torch.arange(RATE_HZ) / RATE_HZ
    for offset in (0.0, 0.3):
        audio = 0.1 * torch.sin(2 * torch.pi * 1000 * time_s) + offset
        levels = frame_levels_db(audio[None], torch.tensor([RATE_HZ]), GRID)[0]
        assert levels.tolist() == pytest.approx([-23.0] * len(levels), abs=0.3)
