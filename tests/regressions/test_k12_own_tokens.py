"""K12: a consumer's own tokens get pauses of ours between them; every export has one entry for each token."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from made_alignments import same
from regressions.prepared_corpora import TEXTS, prepare, write_list
from tiny_corpus import write_tiny_corpus

from aligner import cli
from aligner.alignment import PAUSES_TO, Alignment, PausesTo
from aligner.errors import AlignerError
from aligner.formats import PRESETS, WRITERS, ExportSettings, export, read, read_alignments

# sil a b | c d with pauses of ours at both ends and between the words
SYMBOLS = ("sil", "a", "b", "sil", "c", "d", "sil")
WORDS = (-1, 0, 0, -1, 1, 1, -1)
ADDED = (True, False, False, True, False, False, True)
EDGES_S = (0, 0.5, 0.7, 0.9, 1.1, 1.4, 1.6, 2.0)


def own_tokens() -> Alignment:
    return Alignment.from_boundaries(
        "u", SYMBOLS, WORDS, ["ab", "cd"], EDGES_S, 2.0, scores=[0.5] * 7, added=ADDED, audio="/wavs/u.wav"
    )


def test_an_alignment_knows_which_pauses_are_ours() -> None:
    assert [t.added for t in own_tokens().tokens] == list(ADDED)
    spoken_away = Alignment.from_boundaries(
        "u", SYMBOLS, WORDS, ["ab", "cd"], (0, 0, 0.7, 0.9, 0.9, 0.9, 1.6, 1.6), 1.6, added=ADDED
    )
    # A pause without extent was not spoken. A token of theirs is never left out, even without extent.
    assert [t.symbol for t in spoken_away.tokens] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("pauses_to", "edges_s"),
    [
        ("previous", [0, 0.7, 1.1, 1.4, 2.0]),
        ("next", [0, 0.7, 0.9, 1.4, 2.0]),
        ("nearest", [0, 0.7, 1.0, 1.4, 2.0]),
    ],
)
def test_a_pause_goes_to_the_neighbour_that_was_asked_for(pauses_to: PausesTo, edges_s: list[float]) -> None:
    own = own_tokens().own_tokens(pauses_to)
    assert [t.symbol for t in own.tokens] == ["a", "b", "c", "d"]
    assert [own.tokens[0].start_s, *(t.end_s for t in own.tokens)] == pytest.approx(edges_s)
    assert [(w.start_s, w.end_s) for w in own.words] == [
        pytest.approx((edges_s[0], edges_s[2])),
        pytest.approx((edges_s[2], edges_s[4])),
    ]
    durations = own_tokens().durations(10, 1000, frame_rule="same", pauses_to=pauses_to)
    assert durations.tolist() == np.diff(np.round(np.array(edges_s) * 100)).astype(int).tolist()


def test_the_neighbour_is_one_of_three() -> None:
    with pytest.raises(AlignerError, match="previous, next, nearest"):
        own_tokens().durations(256, 22050, pauses_to="both")  # type: ignore[arg-type]


def phones_of_textgrid(root: Path) -> list[str]:
    text = next(root.rglob("*.TextGrid")).read_text()
    tier = text[text.index('name = "phones"') :].split("item [")[0]
    return re.findall(r'text = "(.*)" \n', tier)


def phones_of_train(root: Path) -> list[str]:
    line = (root / "train.txt").read_text() + (root / "val.txt").read_text()
    return line.split("|")[2].strip("{}").split()


# What each consumer counts, by its reading rule: as many entries as it has tokens.
ENTRIES: dict[str, Callable[[Path], int]] = {
    "fastspeech2": lambda root: len(phones_of_train(root)),
    "matcha": lambda root: len(np.load(root / "durations/u.npy")),
    "espnet": lambda root: len((root / "durations").read_text().split()) - 2,  # the id and <eos>
    "coqui": lambda root: np.load(root / "attention/u.npy").shape[1],
    "nemo": lambda root: len(torch.load(root / "durations.pt")["u"]),
    "everyvoice": lambda root: len(torch.load(next(root.glob("duration/*.pt")))),
    "tensorflowtts": lambda root: len(np.load(root / "u-durations.npy")),
    "npy": lambda root: len((root / "tokens.txt").read_text().split("|")[1].split()),
    "textgrid": lambda root: len(phones_of_textgrid(root)),
    "ctm": lambda root: len((root / "phones.ctm").read_text().splitlines()),
    "json": lambda root: len(json.loads((root / "u.json").read_text())["tokens"]),
    "audacity": lambda root: len((root / "u.phones.txt").read_text().splitlines()),
}


def entries_of_lhotse(root: Path) -> int:
    from lhotse import CutSet

    (cut,) = CutSet.from_file(root / "alignments.jsonl.gz")
    return len(cut.supervisions[0].alignment["phone"])


ENTRIES["lhotse"] = entries_of_lhotse


# Held by tests/aligner/formats/test_own_tokens.py.
_ELSEWHERE = {"diffsinger", "elan", "htk", "huggingface", "stylish"}


def test_every_format_that_has_tokens_is_tested() -> None:
    # These have words, characters, mouth shapes, and figures of an utterance.
    others = {"srt", "vtt", "elevenlabs", "rhubarb", "oculus", "diagnostics"}
    assert set(WRITERS) - set(ENTRIES) - _ELSEWHERE == others


@pytest.mark.parametrize("pauses_to", PAUSES_TO)
@pytest.mark.parametrize("format", ENTRIES)
def test_every_export_has_one_entry_for_each_token(tmp_path: Path, format: str, pauses_to: PausesTo) -> None:
    settings = ExportSettings(
        grid=PRESETS["vits"], any_symbols=True, pauses_to=pauses_to, tokens={"u": ("a", "b", "c", "d")}
    )
    (result,) = export([own_tokens()], {format: tmp_path}, settings).values()
    assert not result.refused
    assert ENTRIES[format](tmp_path) == 4


@pytest.mark.parametrize("format", ["npy", "matcha", "json", "lhotse", "fastspeech2", "ctm"])
def test_blanks_stand_between_their_tokens(tmp_path: Path, format: str) -> None:
    tokens = {"u": ("_", "a", "_", "b", "_", "c", "_", "d", "_")}
    settings = ExportSettings(grid=PRESETS["vits"], blank="_", tokens=tokens, any_symbols=True)
    (result,) = export([own_tokens()], {format: tmp_path}, settings).values()
    assert not result.refused
    assert ENTRIES[format](tmp_path) == 9


def test_a_textgrid_has_no_place_for_a_blank_without_time(tmp_path: Path) -> None:
    result = export([own_tokens()], {"textgrid": tmp_path}, ExportSettings(blank="_"))["textgrid"]
    assert "u: '_' has no time of its own" in result.refused[0]


@pytest.mark.parametrize("pauses_to", PAUSES_TO)
@pytest.mark.parametrize("format", ["json", "lhotse", "textgrid"])
def test_what_is_read_back_knows_the_pauses(tmp_path: Path, format: str, pauses_to: PausesTo) -> None:
    export([own_tokens()], {format: tmp_path}, ExportSettings(pauses_to=pauses_to))
    (back,) = read(tmp_path)
    assert [(t.symbol, t.added) for t in back.tokens] == list(zip(SYMBOLS, ADDED, strict=True))
    same(back, own_tokens(), scores=format != "textgrid")
    if format == "json":
        assert back == own_tokens()
    export([back], {"npy": tmp_path / "npy"}, ExportSettings(grid=PRESETS["vits"]))
    assert ENTRIES["npy"](tmp_path / "npy") == 4


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Alignment]]:
    """The tiny corpus, its tokens without pauses at the ends and between words, trained and aligned."""
    root = tmp_path_factory.mktemp("own")
    utterances = write_tiny_corpus(root / "tiny", 12)
    lines = []
    for utterance in utterances:
        words: list[str] = []
        for before, token in pairwise((None, *utterance.reference.tokens)):
            if token.symbol != "sil":
                words += ["|"] if before is not None and before.word != token.word else []
                words.append(token.symbol)
        lines.append(f"audio/{utterance.id}.wav|{' '.join(words)}\n")
    (root / "list").write_text("".join(lines))

    def run(*argv: object) -> None:
        assert cli.main([str(word) for word in argv]) == 0

    reader = ["--phonemizer", "tokens", "--audio-root", root / "tiny"]
    run("prepare", root / "list", *reader, "--out", root / "prepared")
    run("fit", "--config", "smoke", "--data", root / "prepared", "--out", root / "run")
    checkpoint = root / "run/checkpoints/last.ckpt"
    run("align", "--checkpoint", checkpoint, "--data", root / "prepared", "--out", root / "aligned")
    return root, {utterance.id: utterance.reference for utterance in utterances}


def test_the_audio_decides_where_the_pauses_are(aligned: tuple[Path, dict[str, Alignment]]) -> None:
    root, known = aligned
    errors_s, found = [], 0
    for one in read_alignments(root / "aligned/alignments.jsonl.gz"):
        theirs = [t for t in known[one.id].tokens if t.symbol != "sil"]
        own = [t for t in one.tokens if not t.added]
        assert [t.symbol for t in own] == [t.symbol for t in theirs]
        errors_s += [abs(a.start_s - b.start_s) for a, b in zip(own, theirs, strict=True)]
        found += sum(t.added for t in one.tokens)
    assert np.median(errors_s) < 0.01
    assert np.max(errors_s) < 0.1  # the first tone does not begin with the recording
    pauses = sum(t.symbol == "sil" for reference in known.values() for t in reference.tokens)
    assert abs(found - pauses) <= 0.1 * pauses


def test_the_command_gives_their_counts(aligned: tuple[Path, dict[str, Alignment]], tmp_path: Path) -> None:
    root, known = aligned
    tokens = {id: [t.symbol for t in a.tokens if t.symbol != "sil"] for id, a in known.items()}
    (tmp_path / "tokens").write_text("".join(f"{id}|{' '.join(own)}\n" for id, own in tokens.items()))
    argv = ["export", root / "aligned", "--format", "npy", "--preset", "vits", "--out", tmp_path / "npy"]
    more = ["--check-tokens", tmp_path / "tokens", "--strict", "--pauses-to", "nearest"]
    assert cli.main([str(word) for word in (*argv, *more)]) == 0
    for id, own in tokens.items():
        assert len(np.load(tmp_path / f"npy/durations/{id}.npy")) == len(own)


def test_sentences_read_as_tokens_are_one_warning_not_a_screen_of_words(tmp_path: Path) -> None:
    texts = [" ".join(f"{word}{n}" for word in text.split()) for n in range(40) for text in TEXTS]
    lines = [f"{n}.wav|{text}" for n, text in enumerate(texts)]
    path = write_list(tmp_path / "list.txt", lines, [f"{n}.wav" for n in range(len(texts))])
    found = prepare(path, "--phonemizer", "tokens")
    assert len(found.printed) < 8000
