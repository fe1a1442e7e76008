"""`aligner segment`: a chapter into a corpus that `aligner prepare` reads."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligner.cli import main
from aligner.corpus.prepared import load_utterances

READING = ["--phonemizer", "characters", "--language", "en-us"]  # the tiny corpus'
RATE_HZ = 16000


@pytest.fixture
def chapter(tiny_corpus: Path, tmp_path: Path) -> Path:
    """The recordings of the tiny corpus one after the other, and their texts, a line each."""
    samples, texts = [], []
    for utterance in load_utterances(tiny_corpus):
        samples += [soundfile.read(str(utterance.audio))[0], np.zeros(RATE_HZ // 5)]
        texts.append(utterance.text + ".")
    noise = np.random.default_rng(0).normal(0, 1e-3, sum(map(len, samples)))
    soundfile.write(tmp_path / "chapter one.wav", np.concatenate(samples) + noise, RATE_HZ)
    (tmp_path / "chapter.txt").write_text("\n".join(texts))
    return tmp_path / "chapter one.wav"


def segment(chapter: Path, checkpoint: Path, out: Path, *more: object, text: str = "chapter.txt") -> int:
    words = [
        chapter,
        chapter.parent / text,
        "--checkpoint",
        checkpoint,
        "--out",
        out,
        "--device",
        "cpu",
        *more,
    ]
    return main([str(word) for word in ["segment", *words]])


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_what_is_not_said_and_what_the_text_lacks_is_left_out_with_the_reason(
    chapter: Path, checkpoint: Path, tmp_path: Path
) -> None:
    lines = (tmp_path / "chapter.txt").read_text(encoding="utf-8").splitlines()
    unsaid = "eatmates teamsateam matesam."
    changed = [*lines[:5], unsaid, *lines[5:10], *lines[11:]]
    (tmp_path / "changed.txt").write_text("\n".join(changed))
    out = tmp_path / "corpus"
    assert segment(chapter, checkpoint, out, "--longest", 3, "--least-odds", 0, text="changed.txt") == 0
    reasons = {row[3]: row[2] for row in rows(out / "left-out.tsv")}
    assert "not said" in next(why for text, why in reasons.items() if unsaid.rstrip(".") in text)
    assert "of speech that the text lacks" in reasons[""]
    assert not any("eatmates" in row[4] for row in rows(out / "segments.tsv"))


def test_prepare_reads_what_it_writes_with_the_texts_as_they_were_written(
    chapter: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpus"
    assert segment(chapter, checkpoint, out, "--longest", 3, "--least-odds", 0, "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    places = rows(out / "segments.tsv")
    assert summary["utterances"] == len(places) > 10
    assert main(["prepare", str(out), *READING, "--out", str(tmp_path / "prepared"), "--strict"]) == 0
    prepared = {u.id: u for u in load_utterances(tmp_path / "prepared")}
    assert list(prepared) == [f"chapter_one-{n:04d}" for n in range(1, len(places) + 1)]
    samples, _ = soundfile.read(chapter, dtype="int16")
    for id, start_s, end_s, score, text in places:
        assert prepared[id].text == text
        assert prepared[id].duration_s == pytest.approx(float(end_s) - float(start_s), abs=2e-3)
        assert 1 - 1e-3 <= prepared[id].duration_s <= 3 + 1e-3
        assert 0 <= float(score) <= 1
        own, _ = soundfile.read(str(prepared[id].audio), dtype="int16")
        first = round(float(start_s) * RATE_HZ)  # of a time that is written in milliseconds
        around = range(max(0, first - 16), first + 17)
        assert any(
            np.abs(own - samples[n : n + len(own)]).max() <= 1 for n in around if n + len(own) <= len(samples)
        )
    left_out = rows(out / "left-out.tsv")
    in_order = sorted([(float(p[1]), p[4]) for p in places] + [(float(p[0]), p[3]) for p in left_out])
    written = (chapter.parent / "chapter.txt").read_text().split()
    assert " ".join(text for _, text in in_order).split() == written


def test_each_utterance_is_where_its_words_are(
    chapter: Path, checkpoint: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    assert segment(chapter, checkpoint, out, "--longest", 3, "--least-odds", 0) == 0
    starts_s, time_s = [], 0.0
    for utterance in load_utterances(tiny_corpus):
        assert utterance.reference is not None
        starts_s += [time_s + word.start_s for word in utterance.reference.words]
        time_s += utterance.duration_s + 0.2
    assert not rows(out / "left-out.tsv")
    n_words = 0
    for _, start_s, _, _, text in rows(out / "segments.tsv"):
        assert starts_s[n_words] - 0.3 <= float(start_s) <= starts_s[n_words] + 0.01
        n_words += len(text.split())
    assert n_words == len(starts_s)


def test_what_is_not_said_is_left_out_and_costs_no_other(
    chapter: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    lines = (tmp_path / "chapter.txt").read_text().splitlines()
    (tmp_path / "other.txt").write_text(
        "\n".join([*lines[:10], "mesa mate team seam ate sam " * 2, *lines[11:]])
    )
    more = ["--longest", 3, "--least-odds", 0.5]
    assert segment(chapter, checkpoint, out, *more, text="other.txt") == 0
    left_out = rows(out / "left-out.tsv")
    assert any("mesa mate" in text for _, _, _, text in left_out)
    assert all(reason for _, _, reason, _ in left_out)
    assert len(rows(out / "segments.tsv")) > 8


@pytest.mark.parametrize(
    ("more", "status", "what"),
    [
        (["--shortest", 5, "--longest", 4], 2, "--shortest 5 must be less than --longest 4"),
        (["--shortest", -1], 2, "--shortest -1"),
        (["--longest", "nan"], 2, "--longest nan"),
        (["--least-odds", 2], 2, "--least-odds 2 must be from 0 to 1"),
        (["--device", "nowhere"], 1, "--device nowhere"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    more: list[object],
    status: int,
    what: str,
    chapter: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert segment(chapter, checkpoint, tmp_path / "corpus", *more) == status
    assert what in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "nothing to speak"),
        ("tea 1,5", "one number or several"),
        ("box", "x"),
        ("tea " * 9999, "is this the text of this audio?"),
    ],
)
def test_a_text_that_cannot_be_the_chapter_s_is_named(
    content: str,
    what: str,
    chapter: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.txt").write_text(content)
    assert segment(chapter, checkpoint, tmp_path / "corpus", text="bad.txt") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"aligner segment: {tmp_path / 'bad.txt'}: ")
    assert what in error
    assert error.count("\n") == 1
    assert not (tmp_path / "corpus").exists()


def test_a_corpus_that_is_there_is_not_replaced(
    chapter: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "metadata.csv").write_text("a|b\n")
    assert segment(chapter, checkpoint, tmp_path / "corpus") == 1
    assert "holds a corpus already (metadata.csv): choose another folder" in capsys.readouterr().err
    assert (tmp_path / "corpus" / "metadata.csv").read_text() == "a|b\n"


def test_where_nothing_can_be_used_the_reasons_are_left(
    chapter: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segment(chapter, checkpoint, tmp_path / "corpus", "--shortest", 90, "--longest", 99) == 1
    assert "nothing of" in capsys.readouterr().err
    ((_, _, reason, _),) = rows(tmp_path / "corpus" / "left-out.tsv")
    assert "shorter than 90 s" in reason
