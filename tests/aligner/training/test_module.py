"""The aligner itself: what it learns, what a checkpoint holds, what it refuses."""

import copy
import inspect
import json

import numpy as np
import pytest
import torch
from tiny_corpus import write_tiny_corpus

from aligner.training.lightning_cli import LAST, find_config, train
from aligner.corpus.audio import load_audio
from aligner.corpus.prepared import load_utterances
from aligner.errors import AlignerError
from aligner.evaluate import compare
from aligner.frontends import Mel
from aligner.text.transcript import Tokens, Transcript, Word
from aligner.training.module import Aligner
from aligner.training.voice_perturbation import Perturbation

FRAME_MS = 10.0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    train([find_config("smoke")], settings(corpus), out)
    return out / LAST


@pytest.fixture(scope="module")
def utterances(corpus):
    return load_utterances(corpus)


@pytest.fixture(scope="module")
def aligner(checkpoint):
    return Aligner.load(checkpoint)


@pytest.fixture(scope="module")
def alignments(aligner, utterances):
    return aligner.align_utterances(utterances)


def settings(corpus):
    return ["--data.data_dir", str(corpus), "--data.batch_duration_s", "6"]  # several batches an epoch


def saved(checkpoint):
    return torch.load(checkpoint, weights_only=True)


def test_training_recovers_known_boundaries(alignments, utterances):
    errors_ms = np.array(
        [e for a, u in zip(alignments, utterances, strict=True) for e in compare(a, u.reference).phones_ms]
    )
    assert len(errors_ms) > 150
    # A shift of all boundaries by one frame would make the bias 10 ms.
    assert abs(errors_ms.mean()) < 0.25 * FRAME_MS
    assert np.abs(errors_ms).mean() < 0.75 * FRAME_MS
    assert np.abs(errors_ms).max() < 3 * FRAME_MS


def test_every_token_is_there_in_order_and_times_tile_the_utterance(alignments, utterances):
    for alignment, utterance in zip(alignments, utterances, strict=True):
        assert [t.symbol for t in alignment.tokens] == [t.symbol for t in utterance.reference.tokens]
        assert [t.word for t in alignment.tokens] == [t.word for t in utterance.reference.tokens]
        assert [w.symbol for w in alignment.words] == [w.text for w in utterance.transcript.words]
        edges_s = [t.start_s for t in alignment.tokens] + [alignment.tokens[-1].end_s]
        assert edges_s[1:-1] == [t.end_s for t in alignment.tokens[:-1]]
        assert (edges_s[0], edges_s[-1]) == (0.0, utterance.duration_s)
        assert (alignment.speaker, alignment.text) == (utterance.speaker, utterance.text)


def test_boundaries_are_the_mean_of_each_members_and_those_of_their_joint_path(corpus, tmp_path):
    views = ["--model.encoder.init_args.views", '["c[0-8]$", "^c0$"]']  # members that disagree
    plain = ["--model.refine", "false", "--model.pause_fraction", "0", "--model.shortest_pause_s", "0"]
    train([find_config("smoke")], [*settings(corpus), *views, *plain], tmp_path)
    aligner = Aligner.load(tmp_path / LAST)
    utterance = load_utterances(corpus)[0]
    audio = load_audio(utterance, 16000)
    locator = aligner.search.forced_alignment
    with torch.inference_mode():
        speech = locator.speech(audio[None], torch.tensor([len(audio)]))
        members = locator.scores(speech, [utterance.transcript], [utterance.id])
        joint, first, second = (
            np.cumsum(locator.durations(s, speech, [utterance.transcript.tokens()], [utterance.id])[0])
            for s in (members[0] + members[1], *members)
        )
    (alignment,) = aligner.align_utterances([utterance])
    assert (first != second).any()
    expected_s = ((joint + first + second) / 3 - 0.5) * FRAME_MS / 1000
    ends_s = [token.end_s for token in alignment.tokens]  # a pause that got no frame is not among them
    assert ends_s[:-1] == pytest.approx(np.unique(expected_s)[:-1])


def test_scores_tell_matching_text_from_another(aligner, utterances):
    rate_hz = aligner.frontend.sample_rate_hz
    audio = [load_audio(u, rate_hz) for u in utterances]
    texts = [u.transcript for u in utterances]
    lengths = [len(t.tokens()) for t in texts]
    partner = [
        max((j for j in range(len(texts)) if j != i), key=lambda j, i=i: -abs(lengths[i] - lengths[j]))
        for i in range(len(texts))
    ]
    ids = [u.id for u in utterances]
    right = [a.score for a in aligner.align_many(ids, audio, texts)]
    wrong = [a.score for a in aligner.align_many(ids, audio, [texts[j] for j in partner])]
    assert all(0 <= score <= 1 for score in right + wrong)
    assert np.median(right) > 0.9
    assert np.median(wrong) < 0.1


def test_neighbours_in_a_batch_change_nothing(aligner, alignments, utterances):
    """Times are equal; scores to a millionth (sums over the frames of a batch are rounded differently)."""
    for together, utterance in zip(alignments, utterances, strict=True):
        (alone,) = aligner.align_utterances([utterance])
        assert [t.symbol for t in alone.tokens] == [t.symbol for t in together.tokens]
        assert [t.start_s for t in alone.tokens] == pytest.approx(
            [t.start_s for t in together.tokens], abs=1e-9
        )
        assert [t.score for t in alone.tokens] == pytest.approx([t.score for t in together.tokens], abs=1e-6)
        assert alone.score == pytest.approx(together.score, abs=1e-6)


def test_a_file_with_its_text_is_aligned_as_in_its_corpus(aligner, alignments, utterances):
    utterance, expected = utterances[3], alignments[3]
    found = aligner.align(utterance.audio, utterance.transcript)
    assert [t.start_s for t in found.tokens] == pytest.approx([t.start_s for t in expected.tokens], abs=1e-9)
    spelt = aligner.align(utterance.audio, utterance.text)  # the checkpoint knows how texts were tokenised
    assert spelt.tokens == found.tokens
    rate_hz = 48000
    audio = np.repeat(load_audio(utterance, 16000).numpy(), 3)  # crude, but the chords are all there
    faster = aligner.align(audio, utterance.transcript, rate_hz)
    assert [t.start_s for t in faster.tokens] == pytest.approx([t.start_s for t in found.tokens], abs=0.021)


def test_audio_and_text_that_cannot_be_aligned_are_named(aligner, utterances, tmp_path):
    utterance = utterances[0]
    audio = load_audio(utterance, 16000)
    with pytest.raises(AlignerError, match="u99.*has not learnt x"):
        aligner.align_many(["u99"], [audio], [fixed("s", "x")])
    with pytest.raises(AlignerError, match="u98.*1000 tokens in"):
        aligner.align_many(["u98"], [audio], [fixed(*"se" * 500)])
    with pytest.raises(AlignerError, match="cannot be read as audio"):
        aligner.align(tmp_path / "missing.wav", utterance.transcript)
    with pytest.raises(AlignerError, match="sample_rate_hz"):
        aligner.align(audio.numpy(), utterance.transcript)
    with pytest.raises(AlignerError, match="one channel"):
        aligner.align(audio.numpy()[None], utterance.transcript, 16000)


def fixed(*symbols):
    tokens = Tokens(symbols, (0,) * len(symbols), (False,) * len(symbols))
    return Transcript((Word("word", (symbols,), "given"),), ("", ""), tokens)


GLOW = {"hidden": 16, "layers": 1, "filter_channels": 16, "prenet_layers": 1}


GRADIENTS = [  # dropout, a schedule
    *("--model.encoder.class_path", "aligner.encoders.glow_tts.TextEncoder", "--trainer.max_epochs", "6"),
    *("--model.encoder.init_args", json.dumps(GLOW)),
]
SHORT = ["--model.encoder.init_args.components", "[1, 2]"]
PERTURBED = ["--model.perturbation.class_path", "aligner.training.voice_perturbation.Perturbation"]


@pytest.mark.parametrize(
    ("interrupted_in", "more"), [(1, []), (4, []), (1, GRADIENTS), (4, GRADIENTS), (1, [*PERTURBED, *SHORT])]
)
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(
    interrupted_in, more, corpus, checkpoint, tmp_path, monkeypatch
):
    chosen = [*settings(corpus), *more]
    if more:
        train([find_config("smoke")], chosen, tmp_path / "whole")
        checkpoint = tmp_path / "whole" / LAST
    step = Aligner.training_step

    def interrupted(self, batch, batch_index):
        if (self.current_epoch, batch_index) == (interrupted_in, 1):
            raise KeyboardInterrupt
        return step(self, batch, batch_index)

    monkeypatch.setattr(Aligner, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train([find_config("smoke")], chosen, tmp_path / "parts")
    monkeypatch.undo()
    assert saved(tmp_path / "parts" / LAST)["epoch"] == interrupted_in - 1
    assert (
        train([find_config("smoke")], chosen, tmp_path / "parts", "last")["epochs"]
        == saved(checkpoint)["epoch"] + 1
    )
    ours, whole = saved(tmp_path / "parts" / LAST)["state_dict"], saved(checkpoint)["state_dict"]
    assert ours.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(ours[name], whole[name])] == []


@pytest.mark.parametrize("more", [SHORT, [*GRADIENTS, "--trainer.max_epochs", "2"]])
def test_each_epoch_trains_on_the_recordings_and_on_new_voices_beside_them(
    more, corpus, tmp_path, monkeypatch
):
    heard, made = [], []
    change = Perturbation.__call__

    def noted(self, audio, *rest):
        assert self.formant_ratio == 1.2
        heard.append(audio)
        made.append(change(self, audio, *rest))
        return made[-1]

    monkeypatch.setattr(Perturbation, "__call__", noted)
    ratio = ["--model.perturbation.init_args.formant_ratio", "1.2"]
    summary = train([find_config("smoke")], [*settings(corpus), *PERTURBED, *ratio, *more], tmp_path)
    epochs = summary["epochs"]
    assert len(made) == 20 * epochs
    first, second = ({len(sound): sound for sound in made[e * 20 : (e + 1) * 20]} for e in (0, epochs - 1))
    assert first.keys() == second.keys()
    assert not any(torch.allclose(first[n], second[n], atol=1e-3) for n in first)
    assert all(
        len(a) == len(b) and not torch.allclose(a, b, atol=1e-3) for a, b in zip(heard, made, strict=True)
    )
    assert saved(tmp_path / LAST)["hyper_parameters"]["perturbation"]["init_args"]["formant_ratio"] == 1.2
    audio = load_audio(load_utterances(corpus)[0], 16000)
    assert any(torch.equal(audio, sound) for sound in heard)  # not what an earlier epoch made of it


def test_a_checkpoint_states_what_its_configuration_left_to_defaults(checkpoint):
    frontend = saved(checkpoint)["hyper_parameters"]["frontend"]["init_args"]
    assert set(frontend) == set(inspect.signature(Mel).parameters)


def test_a_checkpoint_is_plain_data(checkpoint):
    assert saved(checkpoint)["hyper_parameters"]["frontend"]["class_path"] == "aligner.frontends.mel.Mel"


def test_classes_from_elsewhere_are_not_loaded_from_a_checkpoint(checkpoint, tmp_path):
    content = saved(checkpoint)
    foreign = copy.deepcopy(content)
    foreign["hyper_parameters"]["frontend"] = {
        "class_path": "subprocess.Popen",
        "init_args": {"args": "true"},
    }
    torch.save(foreign, tmp_path / "foreign.ckpt")
    with pytest.raises(AlignerError, match="outside aligner"):
        Aligner.load(tmp_path / "foreign.ckpt")
    with pytest.raises(AlignerError, match="is not a"):  # trusted, it still has to be a frontend
        Aligner.load(tmp_path / "foreign.ckpt", trust=True)


def test_what_is_no_checkpoint_is_refused(checkpoint, tmp_path):
    torch.save({"hyper_parameters": Tripwire(), "state_dict": {}}, tmp_path / "pickled.ckpt")
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


class Tripwire:
    """What a pickle does when it is loaded by somebody who trusts it."""

    sprung = False

    def __reduce__(self):
        return setattr, (Tripwire, "sprung", True)
