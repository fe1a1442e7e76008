"""Where training starts from when alignments made elsewhere are given."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import write_tiny_corpus

from aligner.alignment import Alignment, FrameGrid
from aligner.cli import main
from aligner.encoders import PackedStates
from aligner.errors import AlignerError
from aligner.formats import NoMatch, export
from aligner.text.transcript import Tokens, Transcript, Word
from aligner.training.init_alignments import match, read_init_alignments, states_of_frames

GRID = FrameGrid(160, 16000, "same")  # 10 ms
TEXT = Transcript((Word("The", (("ð", "ə"), ("ð", "i"))), Word("end.", (("ɛ", "n", "d"),))), ("", "", ""))


def times(symbols, words, texts, edges_s):
    return Alignment.from_boundaries("u", symbols, words, texts, edges_s, edges_s[-1])


def test_a_word_takes_the_times_of_the_pronunciation_that_was_said():
    made = times(
        ["sil", "ð", "i", "sil", "ɛ", "n", "d"],
        [-1, 0, 0, -1, 1, 1, 1],
        ["the", "END"],
        [0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9],
    )
    start = match(TEXT, made, 0.9)
    assert start.variants == (1, 0)
    assert start.evenly_split_words == 0
    # sil ð i sil ɛ n d sil: no pause after the last
    assert start.boundaries_s.tolist() == [0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9, 0.9]


def test_phones_of_a_word_with_other_phones_share_its_time_evenly():
    made = times(
        ["sil", "ð", "ə", "EH1", "N", "sil"],
        [-1, 0, 0, 1, 1, -1],
        ["the", "end"],
        [0, 0.1, 0.2, 0.3, 0.4, 0.9, 1],
    )
    start = match(TEXT, made, 1.0)
    assert start.evenly_split_words == 1
    assert start.boundaries_s == pytest.approx([0, 0.1, 0.2, 0.3, 0.3, 0.5, 0.7, 0.9, 1])


def test_words_alone_are_enough():
    words = times(["x", "y"], [0, 1], ["the", "end"], [0, 0.4, 1.0]).words
    start = match(TEXT, Alignment("u", 1.0, (), words), 1.2)
    assert start.evenly_split_words == 2
    assert start.boundaries_s == pytest.approx([0, 0, 0.2, 0.4, 0.4, 0.6, 0.8, 1.0, 1.2])


def test_phones_alone_are_enough_if_they_are_the_texts():
    made = times(["ð", "i", "ɛ", "n", "d"], [-1] * 5, [], [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    start = match(TEXT, made, 0.5)
    assert start.variants == (1, 0)
    assert start.boundaries_s.tolist() == [0, 0, 0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.5]


def test_the_users_own_tokens_keep_their_pauses_and_blanks():
    fixed = Tokens(("_", "a", "_", "b", ",", "▁", "c"), (-1, 0, -1, 0, -1, -1, 1), (False,) * 7)
    own = Transcript((Word("ab", (("a", "b"),)), Word("c", (("c",),))), ("", "", ""), fixed)
    made = times(["a", "b", "sil", "c"], [0, 0, -1, 1], ["ab", "c"], [0, 0.1, 0.3, 0.5, 0.6])
    start = match(own, made, 0.6)
    assert start.boundaries_s == pytest.approx([0, 0, 0.1, 0.1, 0.3, 0.4, 0.5, 0.6])


@pytest.mark.parametrize(
    ("made", "duration_s", "reason"),
    [
        (times(["a", "b"], [0, 1], ["the", "and"], [0, 0.4, 1]), 1.0, "number 2 is 'and', the text's 'end.'"),
        (times(["a"], [0], ["the"], [0, 1]), 1.0, "it has 1 words, the text 2"),
        (times(["ð", "ə", "ɛ", "n", "t"], [-1] * 5, [], range(6)), 5.0, "number 5 is 't', the text's 'd'"),
        (times(["ð", "ɛ", "n", "d"], [-1] * 4, [], range(5)), 4.0, "it has 4 phones, the text 5"),
        (times(["a", "b"], [0, 1], ["the", "end"], [0, 1, 9]), 4.0, "at 9.000 s of 4.000"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(made, duration_s, reason):
    with pytest.raises(NoMatch, match=re.escape(reason)):
        match(TEXT, made, duration_s)


def joined(one: PackedStates, two: PackedStates) -> PackedStates:
    """The states of two utterances; tokens are counted over both."""
    return PackedStates(
        np.concatenate([one.states, two.states]),
        np.concatenate([one.skippable, two.skippable]),
        np.concatenate([one.token, one.token.max() + 1 + two.token]),
        np.concatenate([one.lengths, two.lengths]),
    )


@given(st.lists(st.integers(0, 40), min_size=8, max_size=8), st.sampled_from(["same", "center"]))
def test_every_frame_gets_a_state_of_the_token_it_lies_in(lengths, rule):
    grid = FrameGrid(160, 16000, rule)
    edges_s = np.concatenate([[0], np.cumsum(lengths)]) / 100
    n_frames = grid.frame_count(sum(lengths) * 160)
    owners = [0, 1, 1, 1, 2, 2, 2, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7]
    states = list(range(len(owners)))
    own = PackedStates(np.array(states), np.zeros(18, bool), np.array(owners), np.array([18]))
    row = states_of_frames(edges_s, np.array([8]), own, grid, np.array([n_frames]))
    twice = states_of_frames(
        np.tile(edges_s, 2), np.array([8, 8]), joined(own, own), grid, np.array([n_frames] * 2)
    )
    assert twice.tolist() == [*row, *row]
    assert len(row) == n_frames
    assert (np.diff(row) >= 0).all()
    given_frames = np.bincount(np.asarray(owners)[row], minlength=8)
    assert np.abs(given_frames - lengths).max() <= (rule == "center")
    for token, n in enumerate(given_frames):
        own = np.bincount(row[np.asarray(owners)[row] == token], minlength=len(states))[
            [s for s in states if owners[s] == token]
        ]
        assert own.max() - own.min() <= 1  # evenly
        assert own.sum() == n


ONE_EPOCH = ("--model.training.init_args.epochs", "1")


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    return folder, write_tiny_corpus(folder, 8)


def fit(folder, out, *more):
    return main(
        [str(w) for w in ["fit", "--config", "smoke", "--data", folder, "--out", out, *more, "--json"]]
    )


def test_a_run_starts_from_textgrids_and_says_which_utterances_do_not(corpus, tmp_path, capsys):
    folder, utterances = corpus
    export([u.reference for u in utterances[:6]], {"textgrid": tmp_path / "grids"})
    wrong = replace(utterances[6].reference, tokens=utterances[6].reference.tokens[:-3], words=())
    export([wrong], {"json": tmp_path / "grids"})
    assert fit(folder, tmp_path / "known", "--init-alignments", tmp_path / "grids", *ONE_EPOCH) == 0
    said = capsys.readouterr()
    known = json.loads(said.out.splitlines()[-1])
    assert (known["started_known"], known["started_flat"], known["words_shared"]) == (6, 2, 0)
    assert "flat start: u06: it has" in said.err
    assert "flat start: u07: no reference" in said.err
    assert known["phones_error_ms"] < 10


def test_a_run_starts_from_the_times_given_however_wrong(corpus, tmp_path, capsys):
    folder, utterances = corpus
    for utterance in utterances:
        one = utterance.reference
        edges_s = [0, *(one.duration_s - t.start_s for t in one.tokens[:0:-1]), one.duration_s]
        backwards = [
            replace(t, start_s=a, end_s=b)
            for t, a, b in zip(one.tokens, edges_s[:-1], edges_s[1:], strict=True)
        ]
        export([replace(one, tokens=tuple(backwards), words=())], {"json": tmp_path / "wrong" / one.id})
    assert fit(folder, tmp_path / "flat", *ONE_EPOCH) == 0
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert fit(folder, tmp_path / "run", "--init-alignments", tmp_path / "wrong", *ONE_EPOCH) == 0
    misled = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "started_known" not in flat
    assert misled["started_known"] == 8
    assert misled["phones_error_ms"] > 2 * flat["phones_error_ms"]


def test_alignments_of_another_corpus_are_an_error(corpus, tmp_path, capsys):
    folder, utterances = corpus
    export([replace(utterances[0].reference, id="other")], {"textgrid": tmp_path / "grids"})
    assert fit(folder, tmp_path / "run", "--init-alignments", tmp_path / "grids") == 1
    assert "fits none of 8 utterances, such as u00: no reference" in capsys.readouterr().err
    with pytest.raises(AlignerError, match="no such file"):
        read_init_alignments(tmp_path / "nowhere", utterances)


def test_a_run_that_goes_on_has_started_already(corpus, tmp_path, capsys):
    folder, utterances = corpus
    export([u.reference for u in utterances], {"textgrid": tmp_path / "grids"})
    assert fit(folder, tmp_path / "run", *ONE_EPOCH) == 0
    capsys.readouterr()
    resumed = fit(folder, tmp_path / "run", *ONE_EPOCH, "--resume", "--init-alignments", tmp_path / "grids")
    assert resumed == 1
    assert "cannot combine --resume with --init-alignments" in capsys.readouterr().err


def test_a_text_that_a_person_marked_as_wrong_starts_nothing():
    made = times(["ð", "i", "ɛ", "n", "d"], [0, 0, 1, 1, 1], ["the", "end"], [0, 0.2, 0.3, 0.6, 0.7, 0.9])
    with pytest.raises(NoMatch, match="of its words a person marked as wrong: 'end'"):
        match(TEXT, replace(made, by_hand_s=(), wrong_words=(1,)), 0.9)
