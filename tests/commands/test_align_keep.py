"""`aligner align --keep`: what a person set stays, the rest is aligned around it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aligner.alignment import Alignment
from aligner.cli import main
from aligner.corpus.prepared import load_utterances
from aligner.evaluate import compare
from aligner.formats import read
from aligner.formats.json_file import alignment_to_json


@pytest.fixture(scope="module")
def aligned(tiny_corpus: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("aligned") / "aligned"
    assert align(checkpoint, tiny_corpus, out) == 0
    return out


def align(checkpoint: Path, corpus: Path, out: Path, *more: object) -> int:
    arguments = ["--checkpoint", checkpoint, "--data", corpus, "--out", out, "--device", "cpu"]
    return main([str(word) for word in ["align", *arguments, *more]])


def by_id(path: Path) -> dict[str, Alignment]:
    return {alignment.id: alignment for alignment in read(path)}


def corrected(alignment: Alignment, moves_s: dict[int, float]) -> Alignment:
    """Boundaries before some tokens set elsewhere."""
    tokens, set_s = list(alignment.tokens), []
    for t, by_s in moves_s.items():
        time_s = round(tokens[t].start_s + by_s, 4)
        tokens[t - 1], tokens[t] = replace(tokens[t - 1], end_s=time_s), replace(tokens[t], start_s=time_s)
        set_s.append(time_s)
    return replace(alignment, tokens=tuple(tokens), by_hand_s=tuple(sorted(set_s)))


def save(path: Path, alignments: list[Alignment]) -> Path:
    utterances = [alignment_to_json(alignment) for alignment in alignments]
    path.write_text(json.dumps({"format": "aligner corrections", "utterances": utterances}, indent=1))
    return path


def test_what_was_set_stays_and_nothing_else_changes(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path
) -> None:
    before = by_id(aligned)
    moves_s = {"u00": {2: 0.03}, "u01": {1: -0.02, 3: 0.025}, "u02": {2: 0.002}}
    changed = [corrected(before[id], own) for id, own in moves_s.items()]
    file = save(tmp_path / "corrections.json", changed)
    assert align(checkpoint, tiny_corpus, tmp_path / "again", "--keep", file) == 0
    after = by_id(tmp_path / "again")
    assert after.keys() == before.keys()
    for own in changed:
        assert after[own.id].by_hand_s == own.by_hand_s
        assert set(own.by_hand_s or ()) <= {token.start_s for token in after[own.id].tokens}
        assert [t.symbol for t in after[own.id].tokens] == [t.symbol for t in own.tokens]
    for id in before.keys() - moves_s.keys():
        assert after[id] == before[id]
    # Once more, from what is kept in the alignments themselves; and with more on top.
    assert align(checkpoint, tiny_corpus, tmp_path / "third", "--keep", tmp_path / "again") == 0
    assert by_id(tmp_path / "third") == after
    more = save(tmp_path / "more.json", [corrected(before["u02"], {3: 0.01})])
    assert align(checkpoint, tiny_corpus, tmp_path / "fourth", "--keep", tmp_path / "again", more) == 0
    fourth = by_id(tmp_path / "fourth")
    assert fourth["u00"] == after["u00"]
    assert fourth["u02"].by_hand_s != after["u02"].by_hand_s


def test_neighbours_are_at_least_as_right(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path
) -> None:
    """A boundary in each utterance is set to its exact time."""
    before = by_id(aligned)
    references = {u.id: u.reference for u in load_utterances(tiny_corpus) if u.reference is not None}
    changed = []
    for id, own in before.items():
        t = len(own.tokens) // 2
        exact_s = references[id].tokens[t].start_s
        changed.append(corrected(own, {t: exact_s - own.tokens[t].start_s}))
    file = save(tmp_path / "corrections.json", changed)
    assert align(checkpoint, tiny_corpus, tmp_path / "again", "--keep", file) == 0
    after = by_id(tmp_path / "again")

    def mean_ms(alignments: dict[str, Alignment]) -> float:
        """Of all other boundaries."""
        errors = []
        for own in changed:
            exact = references[own.id]
            others = tuple(
                t.start_s for t in exact.tokens if round(t.start_s, 4) not in (own.by_hand_s or ())
            )
            errors += compare(alignments[own.id], replace(exact, by_hand_s=others)).phones_ms
        assert len(errors) > 5 * len(changed)
        return float(np.mean(np.abs(errors)))

    assert mean_ms(after) <= mean_ms(before)


def test_the_search_goes_around_what_was_set(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path
) -> None:
    """A word's end set within its last phone but one: its phones are found anew, not crushed to 5 ms."""
    own = by_id(aligned)["u00"]
    last = max(t for t, token in enumerate(own.tokens) if token.word == 0)
    set_s = round((own.tokens[last - 1].start_s + own.tokens[last - 1].end_s) / 2, 4)
    tokens = list(own.tokens)
    tokens[last - 1] = replace(tokens[last - 1], end_s=set_s - 0.01)
    tokens[last] = replace(tokens[last], start_s=set_s - 0.01, end_s=set_s)
    tokens[last + 1] = replace(tokens[last + 1], start_s=set_s)
    crushed = replace(own, tokens=tuple(tokens), by_hand_s=(set_s,))
    file = save(tmp_path / "corrections.json", [crushed])
    assert align(checkpoint, tiny_corpus, tmp_path / "again", "--keep", file) == 0
    found = by_id(tmp_path / "again")["u00"]
    assert found.tokens[last].end_s == set_s
    lengths_s = [token.end_s - token.start_s for token in found.tokens]
    assert min(lengths_s[: last + 1]) > 0.006


def test_corrections_of_another_text_cost_only_their_utterance(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = by_id(aligned)
    good, other = corrected(before["u00"], {2: 0.02}), corrected(before["u01"], {2: 0.02})
    strange = replace(corrected(before["u02"], {2: 0.02}), id="nobody")
    file = save(tmp_path / "corrections.json", [good, replace(other, id="u03"), strange])
    assert align(checkpoint, tiny_corpus, tmp_path / "again", "--keep", file) == 0
    after = by_id(tmp_path / "again")
    assert after["u00"].by_hand_s == good.by_hand_s
    assert after.keys() == before.keys() - {"u03"}
    assert "u03\tits corrections are of the words" in (tmp_path / "again" / "failed.tsv").read_text()
    assert f"1 utterances to keep are not in {tiny_corpus}, such as nobody" in capsys.readouterr().err


def test_a_folder_never_mixes_what_was_kept(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save(tmp_path / "corrections.json", [corrected(by_id(aligned)["u00"], {2: 0.02})])
    assert align(checkpoint, tiny_corpus, aligned, "--keep", file) == 1
    assert "with other boundaries kept; choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["nothing", "damaged", "uncorrected"])
def test_a_file_that_says_nothing_to_keep_is_an_error(
    tiny_corpus: Path, checkpoint: Path, aligned: Path, tmp_path: Path, what: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "corrections.json"
    if what == "damaged":
        save(file, [corrected(by_id(aligned)["u00"], {2: 0.02})])
        file.write_text(file.read_text()[:-200])
    elif what == "uncorrected":
        file = aligned
    assert align(checkpoint, tiny_corpus, tmp_path / "again", "--keep", file) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{file}: " in said
    assert not (tmp_path / "again").exists()
