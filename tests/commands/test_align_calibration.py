"""`aligner align` says of voices that a model has not heard how sure it is: their own corpus tells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import save_tiny_corpus, write_tiny_corpus

from aligner import align_corpus
from aligner.checkpoint import calibrated_on
from aligner.cli import main
from aligner.corpus.prepared import CUTS, Utterance
from aligner.formats import MANIFEST, read_alignments
from aligner.formats.source import file_sha256

OTHER_VOICE = {"berta": 1.1}
ENOUGH = 24


@pytest.fixture(scope="module")
def other_voice(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Utterances of somebody whom nobody has heard; of the first two each has the other's text."""
    spoken = [
        replace(own, reference=None)
        for own in write_tiny_corpus(
            tmp_path_factory.mktemp("other"), utterances=ENOUGH, seed=5, speakers=OTHER_VOICE
        )
    ]
    texts = [(own.text, own.transcript) for own in spoken]
    assert texts[0] != texts[1]
    spoken[:2] = [
        replace(own, text=text, transcript=transcript)
        for own, (text, transcript) in zip(spoken[:2], texts[1::-1], strict=True)
    ]
    return spoken


def scores(checkpoint: Path, utterances: list[Utterance], folder: Path, *more: str) -> dict[str, float]:
    save_tiny_corpus(folder / "corpus", utterances)
    own = [
        "--checkpoint",
        checkpoint,
        "--data",
        folder / "corpus",
        "--out",
        folder / "out",
        "--device",
        "cpu",
    ]
    assert main(["align", *map(str, own), *more]) == 0
    return {a.id: a.score or 0.0 for a in read_alignments(folder / "out" / MANIFEST)}


def test_scores_of_an_unheard_voice_are_learnt_of_its_corpus(
    checkpoint: Path, other_voice: list[Utterance], tmp_path: Path
) -> None:
    few = scores(checkpoint, other_voice[:10], tmp_path / "few")
    many = scores(checkpoint, other_voice, tmp_path / "many")
    wrong, right = [own.id for own in other_voice[:2]], [own.id for own in other_voice[2:]]
    without = np.mean([few[id] for id in right if id in few])
    assert without < 0.4
    assert np.mean([many[id] for id in right]) > without + 0.2
    assert max(many[id] for id in wrong) < np.quantile([many[id] for id in right], 0.1)


def test_texts_that_are_all_wrong_are_not_taken_for_right(
    checkpoint: Path, other_voice: list[Utterance], tmp_path: Path
) -> None:
    right = other_voice[2:]
    wrong = [
        replace(own, text=other.text, transcript=other.transcript)
        for own, other in zip(right, [*right[1:], right[0]], strict=True)
    ]
    assert len(wrong) >= 20
    found = scores(checkpoint, wrong, tmp_path)
    assert np.mean(list(found.values())) < 0.25  # a half if they were


def test_shards_have_the_scores_of_the_whole(
    checkpoint: Path, other_voice: list[Utterance], tmp_path: Path
) -> None:
    whole = scores(checkpoint, other_voice, tmp_path / "whole", "--batch-duration", "6")
    for shard in ("1/2", "2/2"):
        own = ["--data", tmp_path / "whole" / "corpus", "--out", tmp_path / "parts", "--shard", shard]
        rest = ["--checkpoint", checkpoint, "--device", "cpu", "--batch-duration", "6"]
        assert main(["align", *map(str, own), *map(str, rest)]) == 0
    assert whole == {a.id: a.score for a in read_alignments(tmp_path / "parts" / MANIFEST)}


def test_the_corpus_that_was_learnt_from_is_known(
    checkpoint: Path,
    tiny_corpus: Path,
    other_voice: list[Utterance],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was calibrated on in training, which takes a few seconds."""
    asked: list[list[str]] = []
    monkeypatch.setattr(align_corpus, "calibrate_on", lambda aligner, data, ids: asked.append(list(ids)))
    assert calibrated_on(checkpoint) == file_sha256(tiny_corpus / CUTS)
    own = ["--checkpoint", checkpoint, "--data", tiny_corpus, "--out", tmp_path / "own", "--device", "cpu"]
    assert main(["align", *map(str, own)]) == 0
    scores(checkpoint, other_voice, tmp_path)
    assert [len(ids) for ids in asked] == [0, ENOUGH]
    assert main(["align", *map(str, own)]) == 0  # all is done: nothing to say anything of
    assert len(asked) == 2


def test_a_model_that_comes_with_the_package_knows_no_corpus() -> None:
    assert calibrated_on("en-us") == ""
