"""The aligner as it is used: what it finds, what a checkpoint holds, what it refuses."""

import copy
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import aligner as package
from aligner.aligner import Aligner
from aligner.alignment import Alignment
from aligner.corpus.prepared import Utterance, load_audio, load_utterances
from aligner.corpus.recording import Recording, load_recording
from aligner.encoders import PhoneMixtures
from aligner.errors import AlignerError
from aligner.evaluate import compare
from aligner.frontends import Mel
from aligner.text.transcript import Tokens, Transcript, Word
from aligner.training.lightning_cli import LAST, find_config, train

FRAME_MS = 10.0
RATE_HZ = 16000


@pytest.fixture(scope="module")
def utterances(tiny_corpus: Path) -> list[Utterance]:
    return load_utterances(tiny_corpus)


@pytest.fixture(scope="module")
def aligner(checkpoint: Path) -> Aligner:
    return Aligner.load(checkpoint)


@pytest.fixture(scope="module")
def recordings(utterances: list[Utterance]) -> list[Recording]:
    return [load_recording(utterance, RATE_HZ) for utterance in utterances]


@pytest.fixture(scope="module")
def alignments(aligner: Aligner, recordings: list[Recording]) -> list[Alignment]:
    return aligner.align_batch(recordings)


def saved(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


def fixed(*symbols: str) -> Transcript:
    tokens = Tokens(symbols, (0,) * len(symbols), (False,) * len(symbols))
    return Transcript((Word("word", (symbols,), "given"),), ("", ""), tokens)


def starts_s(alignment: Alignment) -> list[float]:
    return [token.start_s for token in alignment.tokens]


def test_the_public_names_are_found() -> None:
    assert package.Aligner is Aligner
    assert package.Alignment is Alignment
    assert package.Transcript is Transcript
    with pytest.raises(AttributeError, match="Align_er"):
        package.Align_er  # noqa: B018


def test_training_recovers_known_boundaries(alignments: list[Alignment], utterances: list[Utterance]) -> None:
    errors_ms = np.array(
        [e for a, u in zip(alignments, utterances, strict=True) for e in compare(a, u.reference).phones_ms]
    )
    assert len(errors_ms) > 150
    # A shift of all boundaries by one frame would make the bias 10 ms.
    assert abs(errors_ms.mean()) < 0.25 * FRAME_MS
    assert np.abs(errors_ms).mean() < 0.75 * FRAME_MS
    assert np.abs(errors_ms).max() < 3 * FRAME_MS


def test_every_token_is_there_and_times_tile_the_utterance(
    alignments: list[Alignment], utterances: list[Utterance]
) -> None:
    for alignment, utterance in zip(alignments, utterances, strict=True):
        assert utterance.reference is not None
        assert [t.symbol for t in alignment.tokens] == [t.symbol for t in utterance.reference.tokens]
        assert [t.word for t in alignment.tokens] == [t.word for t in utterance.reference.tokens]
        assert [w.symbol for w in alignment.words] == [w.text for w in utterance.transcript.words]
        edges_s = [*starts_s(alignment), alignment.tokens[-1].end_s]
        assert edges_s[1:-1] == [t.end_s for t in alignment.tokens[:-1]]
        assert (edges_s[0], edges_s[-1]) == (0.0, utterance.duration_s)
        assert (alignment.speaker, alignment.text) == (utterance.speaker, utterance.text)
        assert alignment.audio == str(utterance.audio)


def test_boundaries_are_the_mean_over_the_streams_and_the_joint_path(
    tiny_corpus: Path, tmp_path: Path, recordings: list[Recording]
) -> None:
    streams = ["--model.encoder.init_args.streams", '["c[0-8]$", "^c0$"]']  # streams that disagree
    plain = ["--model.refine", "false", "--model.pause_fraction", "0", "--model.shortest_pause_s", "0"]
    data = ["--data.data_dir", str(tiny_corpus), "--trainer.accelerator", "cpu"]
    train([find_config("smoke")], [*data, *streams, *plain], tmp_path)
    aligner = Aligner.load(tmp_path / LAST)
    found = aligner.decode(recordings[:1]).durations
    joint, first, second = found.edges
    assert abs(first - second).max() > 0.1
    near = [np.where(abs(own - joint) <= 20, own, joint) for own in (first, second)]
    edges = (joint + near[0] + near[1]) / 3  # a stream that is 0.2 s away has no vote of its own
    (alignment,) = aligner.align_batch(recordings[:1])
    ends_s = [token.end_s for token in alignment.tokens]  # a pause that got no frame is not among them
    is_there = np.append(True, found.joint > 0)  # the edge behind each token, and before the first
    assert ends_s[:-1] == pytest.approx(((edges - 0.5) * FRAME_MS / 1000)[is_there][1:-1])


def test_scores_tell_matching_text_from_another(aligner: Aligner, recordings: list[Recording]) -> None:
    lengths = [len(recording.transcript.tokens()) for recording in recordings]
    partner = [
        max((j for j in range(len(lengths)) if j != i), key=lambda j, i=i: -abs(lengths[i] - lengths[j]))  # type: ignore[misc]
        for i in range(len(lengths))
    ]
    swapped = [
        replace(recording, transcript=recordings[j].transcript)
        for recording, j in zip(recordings, partner, strict=True)
    ]
    right = [alignment.score or 0.0 for alignment in aligner.align_batch(recordings)]
    wrong = [alignment.score or 0.0 for alignment in aligner.align_batch(swapped)]
    assert all(0 <= score <= 1 for score in right + wrong)
    assert np.median(right) > 0.9
    assert np.median(wrong) < 0.1


def test_neighbours_in_a_batch_change_nothing(
    aligner: Aligner, alignments: list[Alignment], recordings: list[Recording]
) -> None:
    """Times are equal; scores to a millionth (sums over the frames of a batch are rounded differently)."""
    for together, recording in zip(alignments, recordings, strict=True):
        (alone,) = aligner.align_batch([recording])
        assert [t.symbol for t in alone.tokens] == [t.symbol for t in together.tokens]
        assert starts_s(alone) == pytest.approx(starts_s(together), abs=1e-9)
        assert [t.score for t in alone.tokens] == pytest.approx([t.score for t in together.tokens], abs=1e-6)
        assert alone.score == pytest.approx(together.score, abs=1e-6)


def test_a_file_with_its_text_is_aligned_as_in_its_corpus(
    aligner: Aligner, alignments: list[Alignment], utterances: list[Utterance]
) -> None:
    utterance, expected = utterances[3], alignments[3]
    found = aligner.align(utterance.audio, utterance.transcript)
    assert starts_s(found) == pytest.approx(starts_s(expected), abs=1e-9)
    spelt = aligner.align(utterance.audio, utterance.text)  # the checkpoint knows how texts were tokenised
    assert spelt.tokens == found.tokens
    assert (spelt.text, spelt.audio) == (utterance.text, str(utterance.audio))
    audio = np.repeat(load_audio(utterance, RATE_HZ).numpy(), 3)  # crude, but the chords are all there
    faster = aligner.align(audio, utterance.transcript, 48000)
    assert starts_s(faster) == pytest.approx(starts_s(found), abs=0.021)


def test_audio_and_text_that_cannot_be_aligned_are_named(
    aligner: Aligner, recordings: list[Recording], tmp_path: Path
) -> None:
    recording = recordings[0]
    with pytest.raises(AlignerError, match="u99.*has not learnt x"):
        aligner.align_batch([replace(recording, id="u99", transcript=fixed("s", "x"))])
    with pytest.raises(AlignerError, match="u98.*1000 tokens in"):
        aligner.align_batch([replace(recording, id="u98", transcript=fixed(*"se" * 500))])
    with pytest.raises(AlignerError, match="no such file"):
        aligner.align(tmp_path / "missing.wav", recording.transcript)
    for rate_hz in (None, 0, 4, np.nan):
        with pytest.raises(AlignerError, match="needs sample_rate_hz, at least 4000"):
            aligner.align(recording.audio.numpy(), recording.transcript, rate_hz)
    soundfile.write(tmp_path / "slow.wav", recording.audio.numpy(), 4)
    with pytest.raises(AlignerError, match="slow.wav: 4 Hz by its header"):
        aligner.align(tmp_path / "slow.wav", recording.transcript)
    samples = recording.audio.numpy()
    for audio in (samples[None], samples[:0]):
        with pytest.raises(AlignerError, match="one channel"):
            aligner.align(audio, recording.transcript, RATE_HZ)
    for audio in ((samples * 32767).astype(np.int16), np.full(16000, np.nan, np.float32)):
        with pytest.raises(AlignerError, match="finite numbers in -1..1"):
            aligner.align(audio, recording.transcript, RATE_HZ)
    assert aligner.align_batch([]) == []


def test_an_aligner_without_a_phonemizer_asks_for_a_transcript(recordings: list[Recording]) -> None:
    frontend = Mel("16k-10ms")
    plain = Aligner(("sil", "a"), frontend, PhoneMixtures(2, frontend.channel_names, streams=["mel"]))
    with pytest.raises(AlignerError, match="pass a Transcript"):
        plain.align(recordings[0].audio.numpy(), "a", RATE_HZ)
    with pytest.raises(AlignerError, match="must begin with 'sil'"):
        Aligner(("a", "sil"), frontend, plain.encoder)


def test_what_is_saved_aligns_as_before(
    aligner: Aligner, alignments: list[Alignment], recordings: list[Recording], tmp_path: Path
) -> None:
    aligner.save(tmp_path / "copy.ckpt")
    again = Aligner.load(tmp_path / "copy.ckpt")
    assert again.settings() == aligner.settings()
    assert again.align_batch(recordings) == alignments


def test_a_checkpoint_states_what_its_config_left_to_defaults(checkpoint: Path) -> None:
    frontend = saved(checkpoint)["aligner"]["frontend"]["init_args"]
    assert set(frontend) == set(inspect.signature(Mel).parameters)


def test_a_checkpoint_is_plain_data_with_short_paths(checkpoint: Path) -> None:
    settings = saved(checkpoint)["aligner"]
    assert settings["frontend"]["class_path"] == "aligner.frontends.Mel"
    assert settings["encoder"]["class_path"] == "aligner.encoders.PhoneMixtures"


def test_classes_from_elsewhere_are_not_loaded(checkpoint: Path, tmp_path: Path) -> None:
    foreign = copy.deepcopy(saved(checkpoint))
    foreign["aligner"]["frontend"] = {"class_path": "subprocess.Popen", "init_args": {"args": "true"}}
    torch.save(foreign, tmp_path / "foreign.ckpt")
    with pytest.raises(AlignerError, match="outside aligner"):
        Aligner.load(tmp_path / "foreign.ckpt")
    with pytest.raises(AlignerError, match="is not a"):  # trusted, it still has to be a frontend
        Aligner.load(tmp_path / "foreign.ckpt", trust=True)


def test_what_is_no_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    torch.save({"aligner": Tripwire(), "state_dict": {}}, tmp_path / "pickled.ckpt")
    with pytest.raises(AlignerError, match="more than plain data"):
        Aligner.load(tmp_path / "pickled.ckpt")
    assert not Tripwire.sprung
    (tmp_path / "text.ckpt").write_text("nothing")
    torch.save({"weights": {}}, tmp_path / "other.ckpt")
    cut = checkpoint.read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(cut[: len(cut) // 2])
    for name in ("missing.ckpt", "text.ckpt", "other.ckpt", "cut.ckpt"):
        with pytest.raises(AlignerError, match=name):
            Aligner.load(tmp_path / name)


def test_a_checkpoint_of_before_says_to_train_again(checkpoint: Path, tmp_path: Path) -> None:
    content = saved(checkpoint)
    content["hyper_parameters"] = content.pop("aligner")  # where settings used to be
    torch.save(content, tmp_path / "old.ckpt")
    with pytest.raises(AlignerError, match="train again with `aligner fit`"):
        Aligner.load(tmp_path / "old.ckpt")


def test_a_checkpoint_with_other_settings_or_weights_says_so(checkpoint: Path, tmp_path: Path) -> None:
    for number, change in enumerate(("symbols", "more", "encoder's", "weight")):
        content = saved(checkpoint)
        if change == "symbols":
            del content["aligner"]["symbols"]
        elif change == "more":
            content["aligner"]["new_setting"] = 1
        elif change == "encoder's":
            content["aligner"]["encoder"]["init_args"]["new_setting"] = 1
        else:
            del content["state_dict"]["aligner.calibration.phone_weights"]
        torch.save(content, tmp_path / f"{number}.ckpt")
        with pytest.raises(AlignerError, match=rf"{number}\.ckpt: made by another version of `aligner fit`"):
            Aligner.load(tmp_path / f"{number}.ckpt")


def test_a_device_that_is_not_there_is_blamed_and_not_the_file(checkpoint: Path) -> None:
    with pytest.raises(AlignerError, match="^there is no device 'nowhere' here: take one of cpu"):
        Aligner.load(checkpoint, "nowhere")


class Tripwire:
    """What a pickle does when it is loaded by somebody who trusts it."""

    sprung = False

    def __reduce__(self) -> Any:
        return setattr, (Tripwire, "sprung", True)
