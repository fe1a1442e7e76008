"""K6, the export: one broken file costs that one alone, and nothing of anybody else's is replaced."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_alignments import example, files, write, write_timit

from aligner import cli
from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import (
    PRESETS,
    AlignmentLookup,
    ExportSettings,
    NoMatch,
    check_outputs,
    export,
    read,
    write_alignments,
)
from aligner.formats.textgrid import textgrid_text

GOOD = 3


def run(*argv: object) -> int:
    return cli.main(["export", *map(str, argv), "--jobs", "1"])


def refused(folder: Path) -> list[str]:
    listing = folder / "refused.txt"
    return listing.read_text().splitlines() if listing.exists() else []


def textgrid(*phones: tuple[object, object, str], duration_s: float = 0.5, kind: str = "IntervalTier") -> str:
    """A TextGrid with these phones, in the short form, their times as they are given."""
    entries = "\n".join(f'{start}\n{end}\n"{label}"' for start, end, label in phones)
    return (
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n{duration_s}\n<exists>\n1\n"{kind}"\n'
        f'"phones"\n0\n{duration_s}\n{len(phones)}\n{entries}\n'
    )


WHOLE = textgrid((0, 0.3, "AH0"), (0.3, 0.5, "B"))
LONG = textgrid_text(0.5, {"phones": [(0, 0.3, "AH0"), (0.3, 0.5, "B")]})
BROKEN_TEXTGRIDS: dict[str, tuple[str | bytes, str]] = {
    "no length": (textgrid((0, 0.3, "AH0"), (0.3, 0.3, "B"), (0.3, 0.5, "D")), "'B' at 0.300-0.300 s has no"),
    "backwards": (textgrid((0, 0.3, "AH0"), (0.3, 0.2, "B")), "ends before it begins"),
    "nan": (textgrid((0, "nan", "AH0"), (0.3, 0.5, "B")), "not a TextGrid that can be read"),
    "infinite": (textgrid((0, 0.3, "AH0"), (0.3, "1e999", "B")), "which are none"),
    "overlap": (textgrid((0, 0.4, "AH0"), (0.3, 0.5, "B")), "overlaps what stands before it"),
    "beyond the end": (textgrid((0, 0.4, "AH0"), (0.4, 0.9, "B")), "ends after the recording"),
    "before the start": (textgrid((-0.2, 0.4, "AH0"), (0.4, 0.5, "B")), "overlaps"),
    "no duration": (textgrid((0, 0, "AH0"), duration_s=0), "length"),
    "empty": ("", "not a TextGrid"),
    "something else": ("Dear diary", "not a TextGrid"),
    "other object": (WHOLE.replace('"TextGrid"', '"Sound"'), "not a TextGrid"),
    "latin-1": (textgrid((0, 0.3, "é"), (0.3, 0.5, "B")).encode("latin-1"), "neither UTF-8 nor UTF-16"),
    "cut off": (LONG[: len(LONG) * 2 // 3], "cut off"),
    "short, cut off": (WHOLE[: WHOLE.index('"B"')], "cut off"),
    "one interval fewer": (WHOLE.replace('\n2\n0\n0.3', '\n3\n0\n0.3'), "cut off"),
    "decimal commas": (LONG.replace(".", ","), "with a point, not a comma"),
    "points": (textgrid((0.3, "", ""), kind="TextTier").replace('0.3\n\n""', '0.3\n"x"'), "has points"),
    "no tier of phones": (WHOLE.replace('"phones"', '"gestures"'), "no tier of words or phones"),
    "starts later": (WHOLE.replace("\n\n0\n", "\n\n0.1\n"), "begins at 0.1 s"),
    "UTF-16 without a mark": (WHOLE.encode("utf-16-le"), "convert it with iconv"),
    "two tiers of one name": (
        textgrid_text(0.5, {"phones": [(0, 0.5, "B")], "twin": [(0, 0.5, "B")]}).replace("twin", "phones"),
        "several tiers are named 'phones'",
    ),
    "binary": (b"ooBinaryFile\x08TextGrid\x00\xff\xfe\x00", "neither UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN_TEXTGRIDS)
def test_a_broken_textgrid_costs_itself_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    content, reason = BROKEN_TEXTGRIDS[what]
    source = tmp_path / "textgrids"
    export([example(i, id=f"u{i}") for i in range(GOOD)], {"textgrid": source})
    bad = source / "bad.TextGrid"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = tmp_path / "o"
    assert run(source, "--format", "npy", "json", "--preset", "vits", "--out", out, "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])["formats"]
    for name in ("npy", "json"):
        assert summary[name]["utterances"] == GOOD
        (line,) = refused(out / name)
        assert "bad" in line
        assert reason in line
        assert summary[name]["refused"] == [line]
    assert run(source, "--format", "json", "--out", tmp_path / "strict", "--strict") == 1
    with pytest.raises(NoMatch, match="reference cannot be read"):
        AlignmentLookup(source).find("bad")
    assert AlignmentLookup(source).find("u1").id == "u1"


@pytest.mark.parametrize(
    "content",
    [
        textgrid((0, "0.30000000000000004", "AH0"), ("0.3", 0.5, "B")),
        textgrid((0, "0.3", "AH0"), ("0.30000000000000004", 0.5, "B")),
        textgrid((0, 0.3005, "AH0"), (0.3, 0.5004, "B")),
        textgrid(("-0", "3e-1", "AH0"), ("+0.3", 0.5, "B")),
        textgrid((0, 0.3, "AH0"), (0.3, 0.3, ""), (0.3, 0.5, "B")),  # a pause of no length is none
        "\ufeff" + LONG,
        LONG.replace("\n", "\r\n"),
        LONG.replace("phones", "anna - phones"),
        WHOLE.replace("\n", " "),
        LONG.encode("utf-16"),
    ],
)
def test_rounding_and_other_spellings_are_no_fault(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "u.TextGrid"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (one,) = read(tmp_path)
    assert [t.symbol for t in one.tokens] == ["AH0", "B"]
    assert one.tokens[0].end_s == one.tokens[1].start_s == pytest.approx(0.3, abs=1e-3)
    assert one.durations(100, 1000, frame_rule="same").sum() == 5


def broken_source(tmp_path: Path, kind: str) -> tuple[Path, int]:
    """Alignments of one kind, one of them broken; and how many are good."""
    source = tmp_path / kind
    many = [example(i, id=f"u{i}") for i in range(GOOD)]
    manifest = source / "alignments.jsonl.gz"
    if kind.startswith("json"):
        export(many, {"json": source})
        data = json.loads((source / "u1.json").read_text())
        if kind == "json, cut off":
            (source / "u1.json").write_text((source / "u1.json").read_text()[:200])
        elif kind == "json, a list":
            (source / "u1.json").write_text("[1, 2]")
        elif kind == "json, NaN":
            data["tokens"][1]["start_s"] = float("nan")
            (source / "u1.json").write_text(json.dumps(data))
        elif kind == "json, text for a time":
            data["tokens"][1]["start_s"] = "0.5"
            (source / "u1.json").write_text(json.dumps(data))
        elif kind == "json, a number for a symbol":
            data["tokens"][1]["symbol"] = 7
            (source / "u1.json").write_text(json.dumps(data))
        elif kind == "json, half a character":
            data["tokens"][1]["symbol"] = "\ud83d"
            (source / "u1.json").write_text(json.dumps(data))
        return source, GOOD - 1
    if kind.startswith("phn"):
        for number in range(GOOD):
            write_timit(source, f"u{number}.phn")
        content = {
            "phn, letters": b"0 16oo h#\n",
            "phn, empty": b"",
            "phn, overlap": b"0 1600 h#\n800 8000 sh\n",
            "phn, latin-1": b"0 1600 h\xe9\n",
        }[kind]
        (source / "u1.phn").write_bytes(content)
        return source, GOOD - 1
    if kind.startswith("ctm"):
        export(many, {"ctm": source})
        lines = (source / "phones.ctm").read_bytes().splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith(b"u1 "))
        lines[place] = {
            "ctm, letters": b"u1 1 zero 1 Z\n",
            "ctm, two columns": b"u1 1\n",
            "ctm, NaN": b"u1 1 nan 0.1 Z\n",
            "ctm, latin-1": b"u1 1 0 0.01 \xe9\n",
            "ctm, overlap": b"u1 1 0 9 Z\n",
        }[kind]
        (source / "phones.ctm").write_bytes(b"".join(lines))
        return source, GOOD - 1
    write_alignments(manifest, many)
    lines = gzip.decompress(manifest.read_bytes()).splitlines(keepends=True)
    if kind == "manifest, cut off":
        manifest.write_bytes(manifest.read_bytes()[:-40])
        return source, GOOD - 1
    lines[1] = {
        "manifest, a line cut off": lines[1][:100] + b"\n",
        "manifest, NaN": lines[1].replace(b'"duration": ', b'"duration": NaN, "x": ', 1),
        "manifest, not UTF-8": lines[1].replace(b"Some", b"S\xf6me"),
        "manifest, no supervision": b'{"id": "u1", "type": "MonoCut", "duration": 1.0, "supervisions": []}\n',
        "manifest, a padded cut": b'{"id": "u1", "type": "MixedCut"}\n',
    }[kind]
    manifest.write_bytes(gzip.compress(b"".join(lines)))
    return source, GOOD - 1


KINDS = [
    *(f"json, {what}" for what in ("cut off", "a list", "NaN", "text for a time")),
    *(f"json, {what}" for what in ("a number for a symbol", "half a character")),
    *(f"phn, {what}" for what in ("letters", "empty", "overlap", "latin-1")),
    *(f"ctm, {what}" for what in ("letters", "two columns", "NaN", "latin-1", "overlap")),
    *(f"manifest, {what}" for what in ("cut off", "a line cut off", "NaN", "not UTF-8", "no supervision")),
    "manifest, a padded cut",
]


@pytest.mark.parametrize("kind", KINDS)
def test_one_broken_utterance_of_any_source_costs_itself_alone(tmp_path: Path, kind: str) -> None:
    source, good = broken_source(tmp_path, kind)
    out = tmp_path / "o"
    assert run(source, "--format", "npy", "textgrid", "--preset", "vits", "--out", out) == (
        kind == "manifest, cut off"  # nobody knows what is missing
    )
    for name, suffix in (("npy", "npy"), ("textgrid", "TextGrid")):
        written = [path for path in files(out / name) if path.endswith(suffix)]
        assert len(written) >= good
        assert len(refused(out / name)) == 1
    if kind.startswith(("ctm", "manifest")):
        assert AlignmentLookup(source).find("u0").id == "u0"


def test_a_folder_with_nothing_that_can_be_read_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.TextGrid").write_text("nothing")
    assert run(tmp_path, "--format", "json", "--out", tmp_path / "o") == 1
    error = capsys.readouterr().err
    assert "bad.TextGrid: not a TextGrid" in error
    assert "no alignments in it" in error


def test_hidden_files_are_no_alignments(tmp_path: Path) -> None:
    write(example(id="u"), "textgrid", tmp_path)
    (tmp_path / "._u.TextGrid").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    assert [one.id for one in read(tmp_path)] == ["u"]


def test_a_prepared_corpus_has_no_alignments_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = {"id": "u1", "type": "MonoCut", "start": 0.0, "duration": 1.0, "channel": 0}
    supervision = {"id": "u1", "recording_id": "u1", "start": 0.0, "duration": 1.0, "text": "hi"}
    with gzip.open(tmp_path / "cuts.jsonl.gz", "wt") as file:
        file.write(json.dumps({**cut, "supervisions": [supervision]}) + "\n")
    assert run(tmp_path, "--format", "npy", "--preset", "vits", "--out", tmp_path / "o") == 1
    assert "`aligner prepare` writes none" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


# --- names, before anything is written ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "ids"), [("json", ("a/b", "a b")), ("fastspeech2", ("a.b", "a_b")), ("nemo", ("é", "e\u0301"))]
)
def test_two_utterances_of_one_name_are_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str, ids: tuple[str, str]
) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id="u0"), *(example(id=id) for id in ids)])
    assert run(tmp_path / "a.jsonl.gz", "--format", format, "textgrid", "--out", tmp_path / "o") == 1
    assert "would both be written as" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


# --- files of somebody else --------------------------------------------------------------------------------

THEIRS: dict[str, str] = {
    "fastspeech2": "train.txt",
    "npy": "tokens.txt",
    "matcha": "durations/u0.npy",
    "espnet": "text",
    "textgrid": "anna/u0.TextGrid",
    "json": "u0.json",
    "lhotse": "alignments.jsonl.gz",
    "srt": "u0.srt",
    "ctm": "words.ctm",
}


@pytest.mark.parametrize("format", THEIRS)
def test_files_of_somebody_else_are_replaced_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id=f"u{i}", speaker="anna") for i in range(2)])
    theirs = tmp_path / "o" / THEIRS[format]
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    argv = [tmp_path / "a.jsonl.gz", "--format", format, "--out", tmp_path / "o"]
    argv += ["--preset", "vits"] if format == "npy" else []
    assert run(*argv) == 1
    assert (
        f"{THEIRS[format]}; write to another folder, or replace them with --overwrite"
        in capsys.readouterr().err
    )
    assert files(tmp_path / "o") == [THEIRS[format]]
    assert theirs.read_text() == "theirs"
    assert run(*argv, "--overwrite") == 0
    assert theirs.read_bytes() != b"theirs"
    assert run(*argv) == 0  # now it is ours
    os.utime(theirs, ns=(2**62, 2**62))  # somebody has changed it since
    assert run(*argv) == 1
    assert "changed since" in capsys.readouterr().err


def test_another_export_into_the_same_folder_does_not_make_their_files_ours(tmp_path: Path) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id="u0")])
    out = tmp_path / "o"
    assert run(tmp_path / "a.jsonl.gz", "--format", "fastspeech2", "--out", out) == 0
    os.utime(out / "train.txt", ns=(2**62, 2**62))
    assert run(tmp_path / "a.jsonl.gz", "--format", "json", "--out", out) == 0
    assert run(tmp_path / "a.jsonl.gz", "--format", "fastspeech2", "--out", out) == 1


# --- what else was asked for in vain -----------------------------------------------------------------------


def test_wavs_that_are_not_there_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id="u0"), example(id="u1")])
    argv = [tmp_path / "a.jsonl.gz", "--format", "coqui", "--out", tmp_path / "o", "--wavs"]
    assert run(*argv, tmp_path / "nowhere") == 1
    assert "no such folder" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "u0.wav").touch()
    assert run(*argv, tmp_path / "wavs") == 0
    (line,) = refused(tmp_path / "o")
    assert "u1: there is no" in line


def test_matcha_without_its_tokens_gets_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id="u0")])
    assert run(tmp_path / "a.jsonl.gz", "--format", "matcha", "--out", tmp_path / "o") == 0
    assert "align its tokens" in capsys.readouterr().err
    assert run(tmp_path / "a.jsonl.gz", "--format", "matcha", "--blanks", "--out", tmp_path / "o") == 0
    assert "align its tokens" not in capsys.readouterr().err


@pytest.mark.parametrize("format", ["npy", "textgrid", "fastspeech2", "everyvoice"])
def test_ids_and_speakers_that_make_no_name_cost_themselves_alone(tmp_path: Path, format: str) -> None:
    many = [example(id="u0"), example(id="..."), example(id="x" * 300), example(id="u1", speaker="..")]
    settings = ExportSettings(grid=PRESETS["vits"] if format == "npy" else None)
    result = export(many, {format: tmp_path}, settings)[format]
    speaks = format in ("textgrid", "fastspeech2", "everyvoice")
    assert result.utterances == (1 if speaks else 2)
    assert len(result.refused) == (3 if speaks else 2)


def test_whatever_a_writer_meets_in_one_alignment_the_others_are_written(tmp_path: Path) -> None:
    strange = Alignment("odd", 1.0, (), ())
    surrogate = Alignment.from_boundaries("half", ["a\ud83d"], [0], ["a\ud83d"], [0, 1], 1.0)
    broken = Alignment.from_boundaries("none", [None], [0], ["a"], [0, 1], 1.0)  # type: ignore[list-item]
    good: Any = example(id="u")
    for format in ("npy", "textgrid", "json", "ctm", "espnet", "fastspeech2", "audacity"):
        settings = ExportSettings(grid=PRESETS["vits"], any_symbols=True)
        result = export([strange, surrogate, broken, good], {format: tmp_path / format}, settings)[format]
        assert result.utterances + len(result.refused) == 4
        assert not [reason for reason in result.refused if reason.startswith("u:")]


def test_a_full_disk_is_an_error_and_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        export([example()], {"matcha": tmp_path})


def test_the_manifest_alone_may_be_replaced_by_itself(tmp_path: Path) -> None:
    write_alignments(tmp_path / "alignments.jsonl.gz", [example()])
    with pytest.raises(AlignerError, match="no export wrote"):
        check_outputs([example()], {"lhotse": tmp_path})
    check_outputs([example()], {"lhotse": tmp_path}, source=tmp_path / "alignments.jsonl.gz")


def test_a_broken_file_does_not_end_the_comparison_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("ours", "theirs"):
        export([example(i, id=f"u{i}") for i in range(GOOD)], {"textgrid": tmp_path / folder})
    (tmp_path / "ours" / "bad.TextGrid").write_text("nothing")
    (tmp_path / "theirs" / "u1.TextGrid").write_text("nothing")
    argv = ["evaluate", tmp_path / "ours", "--reference", tmp_path / "theirs", "--json"]
    assert cli.main([str(word) for word in argv]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out.splitlines()[-1])["utterances"] == GOOD - 1
    assert "not compared:" in shown.err
    assert "bad.TextGrid" in shown.err


@pytest.mark.parametrize(
    ("option", "content", "complaint"),
    [
        ("--rename", b"a\xe9 b\n", "not UTF-8"),
        ("--rename", b"a b c\n", "not `old new`"),
        ("--rename", b"a b\na c\n", "'a' is to be 'b' already"),
        ("--check-tokens", b"u0 a b\n", "not `id|TOKEN TOKEN ...`"),
        ("--check-tokens", b"u0|a b\nu0|a c\n", "'u0' has other tokens further up"),
    ],
)
def test_lists_that_make_no_sense_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, content: bytes, complaint: str
) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id="u0")])
    (tmp_path / "list").write_bytes(content)
    argv = [tmp_path / "a.jsonl.gz", "--format", "json", option, tmp_path / "list", "--out", tmp_path / "o"]
    assert run(*argv) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_an_interrupted_align_is_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_alignments(tmp_path / "a.jsonl.gz", [example(id="u0")])
    partial = tmp_path / "aligned" / "alignments.partial.jsonl"
    partial.parent.mkdir()
    partial.write_text("hours of work")
    assert run(tmp_path / "a.jsonl.gz", "--format", "lhotse", "--out", partial.parent) == 1
    assert "alignments.partial.jsonl; write to another folder" in capsys.readouterr().err
    assert partial.read_text() == "hours of work"
