"""scripts/compare_durations: what it makes equal, what it refuses, and its measures on made-up input."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError
from aligner.text.transcript import Transcript, Word

STEPS = Path(__file__).resolve().parents[1] / "scripts" / "compare_durations"


@pytest.fixture(scope="module")
def steps() -> dict[str, ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STEPS))
        names = (
            "texts", "features", "durations", "voice", "matcha_source", "measures", "recogniser", "table",
            "boundaries",
        )  # fmt: skip
        return {name: importlib.import_module(name) for name in names}


def word(text: str, *variants: str) -> Word:
    return Word(text, tuple(tuple(variant.split()) for variant in variants))


def test_tokens_are_first_pronunciations_with_a_pause_where_punctuation_stands(steps: Any) -> None:
    words = (word("tea", "T IY1", "T IY0"), word("a", "EY1"), word("sam", "S AE1 M"), word("at", "AE1 T"))
    text = steps["texts"].Text.of(Transcript(words, ("'", ",", "-", "", ".")))
    assert " ".join(text.tokens()) == "sil T IY1 sp EY1 S AE1 M AE1 T sil"
    assert " ".join(text.tokens(between="|")) == "sil T IY1 sp EY1 | S AE1 M | AE1 T sil"


def aligned(*times: tuple[str, float, float]) -> Alignment:
    return Alignment("u", 2.0, tuple(Interval(*time) for time in times), (), "", None, "", "")


def test_another_aligners_times_go_to_the_tokens_and_stray_pauses_to_the_phone_before(steps: Any) -> None:
    text = steps["texts"].Text((("T", "IY1"), ("EY1",), ("S",)), (True, False, False))
    given = aligned(("T", 0.5, 0.6), ("IY1", 0.6, 0.8), ("", 0.8, 1.0), ("EY1", 1.0, 1.2), ("S", 1.3, 1.5))
    placed = steps["texts"].place(text, given)
    assert [(t.symbol, t.start_s, t.end_s) for t in placed.tokens] == [
        ("sil", 0.0, 0.5), ("T", 0.5, 0.6), ("IY1", 0.6, 0.8), ("sp", 0.8, 1.0),
        ("EY1", 1.0, 1.3), ("S", 1.3, 1.5), ("sil", 1.5, 2.0),
    ]  # fmt: skip
    with pytest.raises(AlignerError, match="u: its phones are not those"):
        steps["texts"].place(text, aligned(("T", 0.5, 0.6), ("IY0", 0.6, 2.0)))


def corpus(steps: Any) -> Any:
    """Two utterances of 5 and 4 frames; the second is held out."""
    return steps["features"].Features(
        ids=np.array(["a", "b"]), texts=np.array(["tea", "a"]), frames=np.array([5, 4]),
        mel=np.zeros((9, 80), np.float16),
        energy=np.arange(9, dtype=np.float32), f0_hz=np.arange(9, dtype=np.float32) * 10,
        held_out=np.array([False, True]), heard_f0_hz=np.zeros(4, np.float32),
    )  # fmt: skip


def write(folder: Path, tokens: dict[str, str], durations: dict[str, list[int]]) -> Path:
    (folder / "durations").mkdir(parents=True)
    (folder / "tokens.txt").write_text("".join(f"{id}|{text}\n" for id, text in tokens.items()))
    for id, frames in durations.items():
        np.save(folder / "durations" / f"{id}.npy", np.array(frames))
    return folder


TOKENS = {"a": "sil T sil", "b": "sil EY1"}
FRAMES = {"a": [1, 3, 1], "b": [2, 2]}


def test_durations_of_all_aligners_and_a_uniform_split(steps: Any, tmp_path: Path) -> None:
    ours = write(tmp_path / "ours", TOKENS, FRAMES)
    found = steps["durations"].Durations.read(corpus(steps), [ours])
    assert found.frames["ours"].tolist() == [1, 3, 1, 2, 2]
    assert found.frames["uniform"].tolist() == [2, 1, 2, 2, 2]
    assert found.text_lengths.tolist() == [3, 2]


@pytest.mark.parametrize(
    ("tokens", "frames", "reason"),
    [
        (TOKENS, FRAMES | {"b": [2, 3]}, r"b\.npy: durations sum to 5, its mel has 4 frames"),
        (TOKENS, FRAMES | {"b": [5, -1]}, r"b\.npy: a token has less than no frames"),
        (TOKENS, FRAMES | {"b": [4]}, r"b\.npy: int64\[1\] for 2 tokens"),
        (TOKENS | {"b": "sil EY2"}, FRAMES, "b: has not the same tokens in ours, other"),
        ({"a": TOKENS["a"]}, FRAMES, "b: has not the same tokens in ours, other"),
    ],
)
def test_durations_that_are_not_of_these_recordings_are_refused(
    steps: Any, tmp_path: Path, tokens: dict[str, str], frames: dict[str, list[int]], reason: str
) -> None:
    folders = [write(tmp_path / "ours", TOKENS, FRAMES), write(tmp_path / "other", tokens, frames)]
    with pytest.raises(AlignerError, match=reason):
        steps["durations"].Durations.read(corpus(steps), folders)


def test_a_batch_is_padded_and_pitch_is_the_mean_over_each_tokens_frames(steps: Any, tmp_path: Path) -> None:
    texts = steps["durations"].Durations.read(corpus(steps), [write(tmp_path / "ours", TOKENS, FRAMES)])
    numbers = {"@sil": 1, "@T": 2, "@EY1": 3}
    made = steps["voice"].Corpus(corpus(steps), texts, "ours", numbers, torch.device("cpu"))
    _, _, _, tokens, lengths, longest, mel, frames, most, _, energy, durations = made.batch(np.array([0, 1]))
    assert tokens.tolist() == [[1, 2, 1], [1, 3, 0]]
    assert (lengths.tolist(), longest, frames.tolist(), most) == ([3, 2], 3, [5, 4], 5)
    assert durations.tolist() == [[1, 3, 1], [2, 2, 0]]
    assert mel.shape == (2, 5, 80)
    # Energies 0..4 and 5..8: means 0, 2, 4 in training; mean 2, deviation the root of 8/3.
    torch.testing.assert_close(energy[0], (torch.tensor([0.0, 2.0, 4.0]) - 2) / (8 / 3) ** 0.5)
    torch.testing.assert_close(energy[1, :2], (torch.tensor([5.5, 7.5]) - 2) / (8 / 3) ** 0.5)
    with pytest.raises(AlignerError, match="FastSpeech2 has no @EY1"):
        steps["voice"].Corpus(corpus(steps), texts, "ours", {"@sil": 1, "@T": 2}, torch.device("cpu"))


@pytest.mark.parametrize("longest", [None, 12])
def test_the_length_regulator_repeats_each_token(steps: Any, longest: int | None) -> None:
    x = torch.arange(12.0).reshape(2, 3, 2)
    durations = torch.tensor([[2, 0, 3], [1, 4, 0]])
    frames, lengths = steps["voice"].LengthRegulator()(x, durations, longest)
    assert lengths.tolist() == [5, 5]
    for item in range(2):
        torch.testing.assert_close(frames[item, :5], x[item].repeat_interleave(durations[item], 0))
    assert frames.shape[1] == (longest or 5)
    assert not frames[:, 5:].any()


def test_distortion_is_in_decibels_and_warping_costs_nothing(steps: Any) -> None:
    """A ripple of the log spectrum of 1 dB, root mean square, is a distortion of 1 dB."""
    bands = np.arange(80)
    ripple = np.sqrt(2) * np.cos(np.pi * 5 * (bands + 0.5) / 80) * np.log(10) / 20
    flat = np.zeros((6, 80))
    measures = steps["measures"]
    difference = measures.cepstra(flat + ripple) - measures.cepstra(flat)
    np.testing.assert_allclose(np.linalg.norm(difference, axis=1), 1.0)
    np.testing.assert_allclose(measures.cepstra(flat + 3.0), measures.cepstra(flat), atol=1e-9)  # louder
    mel = np.random.default_rng(0).normal(size=(40, 80))
    slower = np.repeat(mel, 2, axis=0)
    f0_hz = np.where(np.arange(40) < 20, 100.0, 0.0)
    found = measures.compare(mel, f0_hz, slower, np.repeat(f0_hz, 2) * 2 ** (1 / 12))
    assert found["mcd_db"] == pytest.approx(0.0, abs=1e-6)
    assert found["length_percent"] == pytest.approx(100.0)
    assert found["f0_cents"] == pytest.approx(100.0)
    assert found["voicing_percent"] == 0.0


@pytest.mark.parametrize(
    ("heard", "errors"),
    [("his face was streaming", 0), ("face was streaming with", 2), ("", 4), ("his phase was screaming", 2)],
)
def test_word_errors_are_as_few_as_explain_what_was_heard(steps: Any, heard: str, errors: int) -> None:
    assert steps["recogniser"].word_errors(["his", "face", "was", "streaming"], heard.split()) == errors


def test_boundaries_lie_apart_in_milliseconds_and_ends_of_utterances_do_not_count(steps: Any) -> None:
    frames, others = np.array([2, 3, 5, 1, 4]), np.array([2, 4, 4, 3, 2])  # of 10 and of 5 frames
    apart = steps["boundaries"].distances_ms(frames, others, np.array([3, 2]))
    np.testing.assert_allclose(apart, np.array([0, 1, 2]) * 256 / 22.05)


def test_matchas_settings_are_read_as_omegaconf_resolves_them(steps: Any) -> None:
    everything = {
        "model": {"n_feats": 80, "encoder": {"p_dropout": 0.1, "of_predictor": "${model.encoder.p_dropout}"}},
        "rate": "1e-4",
        "seed": "${of_hydra.seed}",
    }
    found = steps["matcha_source"].resolved(everything, everything)
    assert (found.model.encoder.of_predictor, found.rate, found.seed) == (0.1, 1e-4, None)


def test_padding_is_heard_less_in_matchas_attention_as_diffusers_has_it(steps: Any) -> None:
    """With equal logits a frame's weight is e times that of padding."""
    attention = steps["matcha_source"].Attention(4, heads=2, dim_head=2, dropout=0.0, bias=False)
    for layer in (attention.to_q, attention.to_k):
        torch.nn.init.zeros_(layer.weight)
    for layer in (attention.to_v, attention.to_out[0]):
        torch.nn.init.eye_(layer.weight)
    torch.nn.init.zeros_(attention.to_out[0].bias)
    states = torch.tensor([[1.0] * 4, [0.0] * 4])[None]
    heard = attention(states, attention_mask=torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(heard, torch.full((1, 2, 4), np.e / (1 + np.e)))


def test_intervals_are_of_seeds_and_utterances(steps: Any) -> None:
    """Two seeds that differ by 2: means are 0, 1 or 2, as often as of two coins."""
    means = steps["table"].resampled(np.array([[0.0] * 50, [2.0] * 50]))
    assert {*np.unique(means)} == {0.0, 1.0, 2.0}
    assert np.mean(means == 1.0) == pytest.approx(0.5, abs=0.02)
