"""Wrong texts for calibration, and which texts an aligner is shown with which recordings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from stub_encoder import transcript_of

from aligner import calibrate as calibrate_module
from aligner.aligner import Aligner
from aligner.alignment import FrameGrid
from aligner.calibrate import Voice, calibrate, with_a_word, without_a_word
from aligner.confidence import Calibration, utterance_evidence
from aligner.corpus.prepared import Utterance
from aligner.corpus.recording import Recording
from aligner.decoded import Decoded
from aligner.search import TokenDurations
from aligner.text.packed import PackedTexts
from aligner.text.transcript import Tokens, Transcript
from aligner.text.vocabulary import Vocabulary
from aligner.training.voice_perturbation import Perturbation

OWN = replace(transcript_of("a", "b"), fixed=Tokens(("a", "b"), (0, 1), (False, False)))


def texts(transcript: Transcript) -> list[str]:
    return [word.text for word in transcript.words]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_exactly_one_word_is_left_out() -> None:
    words = ["a", "b", "c", "d"]
    transcript, draw = transcript_of(*words), generator()
    found = [texts(without_a_word(transcript, draw)) for _ in range(60)]
    without = [words[:place] + words[place + 1 :] for place in range(4)]
    assert sorted(map(tuple, without)) == sorted(set(map(tuple, found)))  # each word at times
    assert texts(transcript) == words
    assert len(without_a_word(transcript, draw).tokens()) == 7  # three phones and the pauses around them


def test_exactly_one_word_of_the_other_text_is_put_in() -> None:
    words, others = ["a", "b", "c"], ["x", "y"]
    transcript, other, draw = transcript_of(*words), transcript_of(*others), generator()
    found = {tuple(texts(with_a_word(transcript, other, draw))) for _ in range(120)}
    expected = {(*words[:place], word, *words[place:]) for place in range(4) for word in others}
    assert found == expected
    assert texts(transcript) == words


def test_the_users_own_tokens_are_left_alone() -> None:
    assert without_a_word(OWN, generator()) is OWN
    assert with_a_word(OWN, transcript_of("x"), generator()) is OWN


def test_what_cannot_be_altered_stays() -> None:
    assert without_a_word(transcript_of("a"), generator()) == transcript_of("a")
    assert with_a_word(transcript_of("a"), Transcript(()), generator()) == transcript_of("a")


def test_equal_seeds_alter_equal_words() -> None:
    transcript, other = transcript_of(*"abcdefgh"), transcript_of(*"qrstuvw")
    for seed in range(5):
        assert without_a_word(transcript, generator(seed)) == without_a_word(transcript, generator(seed))
        assert with_a_word(transcript, other, generator(seed)) == with_a_word(
            transcript, other, generator(seed)
        )


class StubAligner:
    """Knows what each recording says, and finds each phone that is not among it badly pronounced."""

    def __init__(self, said: dict[str, Transcript]) -> None:
        self.said = said
        self.calibration = Calibration()
        self.vocabulary = Vocabulary(["sil", *"abcdefghij"])
        self.frontend = SimpleNamespace(grid=FrameGrid(160, 16000))
        self.shown: list[tuple[str, list[str]]] = []

    def buffers(self) -> Iterator[torch.Tensor]:
        return self.calibration.buffers()

    def decode(self, recordings: Sequence[Recording], edges: bool) -> Decoded:
        assert not edges  # they take longer than all else
        self.shown += [(recording.id, texts(recording.transcript)) for recording in recordings]
        ids = [recording.id for recording in recordings]
        written = PackedTexts.of(self.vocabulary, ids, [r.transcript for r in recordings])
        tokens = written.tokens()
        known = [{"sil", *self.said[id].symbols()} for id in ids]
        goodness = [
            -0.1 if symbol in own else -6.0
            for row, own in zip(tokens.unpack(self.vocabulary.symbols), known, strict=True)
            for symbol in row.symbols
        ]
        durations = np.full(len(tokens), 5)
        evidence = utterance_evidence(np.array(goodness), tokens, durations, self.frontend.grid.hop_s)
        return Decoded(written, tokens, TokenDurations(durations, ()), np.array(goodness), evidence)


def calibrated(
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Transcript],
    n_samples: int = 16000,
    seed: int = 0,
    duration_s: float = 1.0,
    audio: torch.Tensor | None = None,
    other_voice: Voice | None = None,
) -> StubAligner:
    def load(utterance: Utterance, sample_rate_hz: int, transcript: Transcript | None = None) -> Recording:
        text = transcript or utterance.transcript
        sound = torch.zeros(n_samples) if audio is None else audio
        return Recording(utterance.id, sound, text, len(sound) / sample_rate_hz)

    monkeypatch.setattr(calibrate_module, "load_recording", load)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # in order
    aligner = StubAligner(said)
    utterances = [
        Utterance(id, Path(f"{id}.wav"), 16000, duration_s, " ".join(texts(transcript)), transcript)
        for id, transcript in said.items()
    ]
    calibrate(cast(Aligner, aligner), utterances, seed, other_voice)
    return aligner


SAID = {"u1": transcript_of("a", "b"), "u2": transcript_of("c", "d"), "u3": transcript_of("e", "f")}


def test_each_recording_meets_its_own_text_and_three_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    aligner = calibrated(monkeypatch, SAID)
    for id, transcript in SAID.items():
        own = texts(transcript)
        shown = [words for name, words in aligner.shown if name == id]
        assert len(shown) == 4
        assert shown[0] == own
        assert shown[1] != own
        assert shown[1] in [texts(other) for other in SAID.values()]
        assert len(shown[2]) == 1
        assert set(shown[2]) < set(own)
        assert len(shown[3]) == 3
        assert set(shown[3]) > set(own)


def test_calibration_tells_right_texts_from_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrated(monkeypatch, SAID).calibration
    right, wrong = found.phone_scores(np.array([-0.1, -6.0]))
    assert right > 0.9 > 0.1 > wrong
    # 3 texts that are right, and 3 of 9 wrong ones that only lack a word, sound like this: 3/4
    assert found.utterance_score(np.array([-0.1, -0.1, -0.1])) == pytest.approx(0.75, abs=0.02)
    assert found.utterance_score(np.array([-6.0, -6.0, -6.0])) < 0.1


def test_texts_too_long_for_a_recording_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"u1": transcript_of("a", "b"), "u2": transcript_of("cdefghij", "c")}
    aligner = calibrated(monkeypatch, said, n_samples=5 * 160)  # six frames
    assert [words for _, words in aligner.shown if len("".join(words)) > 6] == []
    assert ("u1", ["a", "b"]) in aligner.shown


def test_without_texts_that_fit_the_calibration_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aligner = calibrated(monkeypatch, {"u1": transcript_of("abcdefghij")}, n_samples=160)
    assert aligner.shown == []
    for name, value in Calibration().named_buffers():
        assert torch.equal(getattr(aligner.calibration, name), value)


def test_texts_that_cannot_be_altered_do_not_count_as_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own tokens: the texts of others are the only wrong ones."""
    said = {id: replace(transcript, fixed=transcript.tokens()) for id, transcript in SAID.items()}
    aligner = calibrated(monkeypatch, said)
    for id, transcript in said.items():
        shown = [words for name, words in aligner.shown if name == id]
        assert len(shown) == 2
        assert shown[0] == texts(transcript) != shown[1]
    assert aligner.calibration.utterance_score(np.array([-0.1, -0.1, -0.1])) > 0.95


def test_an_utterance_alone_leaves_the_calibration_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    aligner = calibrated(monkeypatch, {"u1": transcript_of("a", "b")})
    for name, value in Calibration().named_buffers():
        assert torch.equal(getattr(aligner.calibration, name), value)


def test_texts_that_sound_alike_are_not_wrong_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """TIMIT's speakers share sentences; elsewhere only punctuation or case differ."""
    once = transcript_of("a", "b")
    again = Transcript(tuple(replace(word, text=word.text.upper()) for word in once.words), ("", "", "!"))
    aligner = calibrated(monkeypatch, {"u1": once, "u2": again})
    for id in ("u1", "u2"):  # its own, one word less, one more: not the other's
        assert len([1 for name, _ in aligner.shown if name == id]) == 3


def test_of_chapters_a_few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {f"u{i}": transcript_of(*"abc"[: 1 + i % 3]) for i in range(9)}
    chapters = calibrated(monkeypatch, said, duration_s=500.0)
    assert len({id for id, _ in chapters.shown}) == 3
    assert len({id for id, _ in calibrated(monkeypatch, said, duration_s=5000.0).shown}) == 2
    assert len({id for id, _ in calibrated(monkeypatch, said).shown}) == 9


def test_every_second_recording_is_heard_in_another_voice_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same voice with each of its texts."""
    heard: dict[str, list[torch.Tensor]] = {}
    decode = StubAligner.decode

    def listen(self: StubAligner, recordings: Sequence[Recording], edges: bool) -> Decoded:
        for recording in recordings:
            heard.setdefault(recording.id, []).append(recording.audio)
        return decode(self, recordings, edges)

    monkeypatch.setattr(StubAligner, "decode", listen)
    said = {f"u{i}": transcript_of(*texts) for i, texts in enumerate(("ab", "cd", "ef", "gh"))}
    tone = torch.sin(torch.arange(16000) * 2 * torch.pi * 150 / 16000)
    calibrated(monkeypatch, said, audio=tone)
    assert all(torch.equal(sound, tone) for sounds in heard.values() for sound in sounds)
    heard.clear()
    calibrated(monkeypatch, said, audio=tone, other_voice=Perturbation())
    own = {id: torch.equal(sounds[0], tone) for id, sounds in heard.items()}
    assert sorted(own.values()) == [False, False, True, True]
    for sounds in heard.values():
        assert len(sounds) == 4
        assert all(torch.equal(sound, sounds[0]) for sound in sounds)
