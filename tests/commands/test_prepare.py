"""`aligner prepare` as a person calls it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligner.cli import main
from aligner.corpus.prepared import load_audio, load_info, load_utterances

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ALIGNER_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
needs_speech = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings in {DATA}; set ALIGNER_TEST_DATA")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three good utterances and five that must be refused."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    for name in ("a1", "a2", "a3", "number", "mute"):
        soundfile.write(folder / "wavs" / f"{name}.wav", noise if name != "mute" else noise * 1e-6, 16000)
    (folder / "metadata.csv").write_text(
        "a1|The dog\na2|Sweynheim's\na3|two [sic] cats\n"
        "a1|again\nlost|nobody\nmute|silence\nnumber|add 1,5\n../../etc/passwd|root\n",
        encoding="utf-8",
    )
    return folder


def prepare(*arguments: object) -> int:
    return main(["prepare", *map(str, arguments)])


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_keeps_the_good_and_names_the_rest(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(corpus, "--out", out, "--json") == 0
    printed = capsys.readouterr().out
    summary = json.loads(printed.splitlines()[-1])
    assert summary["utterances"] == 3
    assert summary["refused"] == 5
    assert {row[0]: row[1] for row in rows(out / "refused.tsv")} == {
        "a1": "duplicate id",
        "lost": "audio missing",
        "mute": "audio silent",
        "number": "text cannot be spoken",
        "../../etc/passwd": "unsafe id",
    }
    assert summary["refused_by_reason"]["unsafe id"] == 1
    assert "duplicate id" in printed
    assert [u.id for u in load_utterances(out)] == ["a1", "a2", "a3"]
    assert [u.text for u in load_utterances(out)] == ["The dog", "Sweynheim's", "two [sic] cats"]
    guessed = (out / "out-of-lexicon.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in guessed] == ["Sweynheim's"]
    info = load_info(out)
    assert info.symbols[0] == "sil"
    assert list(info.symbols[1:]) == sorted(info.symbols[1:])
    assert (info.utterances, info.refused, info.phonemizer, info.language) == (3, 5, "gruut", "en-us")
    assert not list(out.glob("*.tmp")) + list(out.glob(".*"))


def test_strict_fails_but_says_what_was_refused(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(corpus, "--out", out, "--strict") == 1
    assert "5 of 8 utterances refused" in capsys.readouterr().err
    assert len(rows(out / "refused.tsv")) == 5
    assert not (out / "cuts.jsonl.gz").exists()


def test_a_clean_corpus_passes_strict(corpus: Path, tmp_path: Path) -> None:
    (corpus / "metadata.csv").write_text("a1|The dog\na2|two cats\n")
    assert prepare(corpus, "--out", tmp_path / "out", "--strict") == 0


def test_nothing_left_is_a_failure(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "metadata.csv").write_text("lost|nobody\n")
    assert prepare(corpus, "--out", tmp_path / "out") == 1
    assert "no utterance is left" in capsys.readouterr().err


def test_several_corpora_become_one_and_share_no_id(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{corpus}/wavs/a3.wav|cats\n{corpus}/wavs/number.wav|dogs\n")
    assert prepare(corpus, tmp_path / "list.txt", "--out", tmp_path / "out") == 0
    assert [u.id for u in load_utterances(tmp_path / "out")] == ["a1", "a2", "a3", "number"]
    # The first corpus did not take `number`: its text was refused there.
    assert {row[0] for row in rows(tmp_path / "out" / "refused.tsv") if row[1] == "duplicate id"} == {
        "a1",
        "a3",
    }


def test_own_tokens_become_the_vocabulary(corpus: Path, tmp_path: Path) -> None:
    (corpus / "metadata.csv").write_text("a1|sp HH AY1 | B AA1 B sp\n")
    out = tmp_path / "out"
    options = ["--phonemizer", "tokens", "--pause-symbols", "sp"]
    (tmp_path / "list.txt").write_text(f"{corpus}/wavs/a1.wav|sp HH AY1 sp B AA1 B sp\n")
    assert prepare(tmp_path / "list.txt", "--out", out, *options) == 0
    assert load_info(out).symbols == ("sil", "AA1", "AY1", "B", "HH", "sp")
    assert load_info(out).options == {"pause_symbols": ["sp"]}
    assert load_utterances(out)[0].transcript.tokens().symbols == (
        "sp",
        "HH",
        "AY1",
        "sp",
        "B",
        "AA1",
        "B",
        "sp",
    )


def test_another_corpus_vocabulary_can_be_kept_to(corpus: Path, tmp_path: Path) -> None:
    (corpus / "metadata.csv").write_text("a1|abc\n")
    assert prepare(corpus, "--out", tmp_path / "first", "--phonemizer", "characters") == 0
    (corpus / "metadata.csv").write_text("a1|cab\na2|cabs\n")
    arguments = ["--phonemizer", "characters", "--vocabulary", tmp_path / "first"]
    assert prepare(corpus, "--out", tmp_path / "second", *arguments) == 0
    assert [row[:2] for row in rows(tmp_path / "second" / "refused.tsv")] == [["a2", "unknown symbols"]]


def test_help_shows_an_example_and_wrong_arguments_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status in ((["prepare", "--help"], 0), (["prepare", "x", "--outt", "y"], 2)):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == status
    assert "aligner prepare LJSpeech-1.1 --out prepared" in capsys.readouterr().out


@needs_speech
def test_timit_with_its_own_phones_keeps_every_utterance(tmp_path: Path) -> None:
    assert prepare(DATA / "timit-dev", "--out", tmp_path, "--phones-from-reference", "--strict") == 0
    utterances = load_utterances(tmp_path)
    assert len(utterances) == 80
    assert not {"bcl", "kcl", "h#", "pau", "epi"} & set(load_info(tmp_path).symbols)
    for utterance in utterances:
        tokens = utterance.transcript.tokens()
        assert tokens.symbols == tuple(token.symbol for token in utterance.reference.tokens)
        assert utterance.reference.tokens[-1].end_s == pytest.approx(utterance.duration_s, abs=1e-6)
        assert len(utterance.transcript.words) == len(utterance.reference.words)


@needs_speech
def test_timit_texts_have_the_words_of_its_references(tmp_path: Path) -> None:
    assert prepare(DATA / "timit-dev", "--out", tmp_path, "--strict") == 0
    for utterance in load_utterances(tmp_path):
        spoken = [word.text.lower() for word in utterance.transcript.words]
        assert "-".join(spoken) == "-".join(word.symbol for word in utterance.reference.words)


@needs_speech
def test_ljspeech_sample_is_kept_whole(tmp_path: Path) -> None:
    assert prepare(DATA / "ljspeech-sample", "--out", tmp_path, "--strict") == 0
    utterances = load_utterances(tmp_path)
    assert len(utterances) == 100
    assert all(len(load_audio(u, 22050)) == u.n_samples for u in utterances[:10])
