"""The lhotse manifest."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from made_alignments import (
    RATE_HZ,
    example,
    files,
    n_samples,
    same,
)

from aligner.alignment import Alignment
from aligner.errors import AlignerError
from aligner.formats import (
    AlignmentWriter,
    read_alignments,
    to_cut,
    write_alignments,
)
from aligner.formats.json_file import alignment_from_json, alignment_to_json
from aligner.spread import spread_column, with_spreads


def test_the_manifest_is_lhotses_own(tmp_path: Path) -> None:
    from lhotse import CutSet

    one = example(speaker="anna")
    write_alignments(tmp_path / "a.jsonl.gz", [one])
    (cut,) = CutSet.from_file(tmp_path / "a.jsonl.gz")
    supervision = cut.supervisions[0]
    assert supervision.speaker == "anna"
    assert [(i.symbol, i.start, i.score) for i in supervision.alignment["phone"]] == [
        (t.symbol, round(t.start_s, 8), t.score) for t in one.tokens
    ]
    assert [i.symbol for i in supervision.alignment["word"]] == [w.symbol for w in one.words]
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    same(one, back)
    assert (back.speaker, back.score, back.text, back.audio) == (one.speaker, one.score, one.text, one.audio)


def test_the_manifest_keeps_the_recording(tmp_path: Path) -> None:
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    one = example()
    samples = n_samples(one)
    recording = Recording("rec", [AudioSource("file", [0], "rec.flac")], RATE_HZ, samples, samples / RATE_HZ)
    supervision = SupervisionSegment("s", "rec", 0, one.duration_s, text="as written", language="en")
    cut = MonoCut(one.id, 0.0, one.duration_s, 0, [supervision], recording=recording)
    with AlignmentWriter(tmp_path / "a.jsonl.gz") as writer:
        writer.write(Alignment(one.id, one.duration_s, one.tokens, one.words), cut.to_dict())
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    assert (back.text, back.audio) == ("as written", "rec.flac")
    aligned = to_cut(one, cut)
    assert aligned.recording == recording
    assert aligned.supervisions[0].language == "en"


def test_alignments_without_our_notes_get_words_by_time(tmp_path: Path) -> None:
    cut = to_cut(example())
    cut.supervisions[0].custom = None
    from lhotse import CutSet

    CutSet([cut]).to_file(tmp_path / "a.jsonl.gz")
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    assert [t.word for t in back.tokens] == [t.word for t in example().tokens]


def test_manifests_of_others_are_read_as_lhotse_reads_them(tmp_path: Path) -> None:
    from lhotse import CutSet, MonoCut, Recording, SupervisionSegment, SupervisionSet
    from lhotse.audio import AudioSource
    from lhotse.supervision import AlignmentItem

    items = {
        "word": [AlignmentItem("be", 3.1, 0.2)],
        "phone": [AlignmentItem("B", 3.1, 0.1), AlignmentItem("IY", 3.2, 0.1, 0.5)],
    }
    segment = SupervisionSegment("s", "rec", 3.0, 0.5, text="be", alignment=items)
    SupervisionSet.from_segments([segment]).to_file(tmp_path / "supervisions.jsonl.gz")
    own = segment.with_offset(-3.0)
    recording = Recording("rec", [AudioSource("file", [0], "rec.wav")], 16000, 160000, 10.0)
    cuts = [MonoCut("s", 3.0, 0.5, 0, [own], recording=recording), MonoCut("none", 0.0, 0.5, 0)]
    CutSet.from_cuts(cuts).to_file(tmp_path / "cuts.jsonl")
    (of_segment,) = read_alignments(tmp_path / "supervisions.jsonl.gz")
    (of_cut,) = read_alignments(tmp_path / "cuts.jsonl")
    for one in (of_segment, of_cut):
        assert [t.symbol for t in one.tokens] == ["sil", "B", "IY", "sil"]
        assert [t.start_s for t in one.tokens] == pytest.approx([0, 0.1, 0.2, 0.3])
        assert [t.word for t in one.tokens] == [-1, 0, 0, -1]
        assert [t.score for t in one.tokens] == [None, None, 0.5, None]
        assert (one.id, one.duration_s, one.text) == ("s", 0.5, "be")
    CutSet.from_cuts([cuts[0].pad(1.0)]).to_file(tmp_path / "padded.jsonl")
    with pytest.raises(AlignerError, match="is a MixedCut; take cuts before"):
        list(read_alignments(tmp_path / "padded.jsonl"))


@pytest.mark.parametrize("line", ['{"id": "r", "sources": [], "duration": 1.0}', "{", "[]"])
def test_other_manifests_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(AlignerError, match="a.jsonl:1: not a"):
        list(read_alignments(tmp_path / "a.jsonl"))


def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    many = [example(seed=i, id=f"u{i}") for i in range(7)]
    write_alignments(tmp_path / "whole.jsonl.gz", many)
    path = tmp_path / "alignments.jsonl.gz"
    with pytest.raises(KeyboardInterrupt), AlignmentWriter(path) as writer:  # noqa: PT012
        for one in many[4:]:
            writer.write(one)
        raise KeyboardInterrupt
    assert files(tmp_path) == ["alignments.partial.jsonl", "whole.jsonl.gz"]
    with open(tmp_path / "alignments.partial.jsonl", "ab") as file:
        file.write(b'{"id": "u0", "start": 0.0, "dur')  # a kill in the middle of a line
    with AlignmentWriter(path) as writer:
        assert writer.done == {"u4", "u5", "u6"}
        for one in many[:4]:
            writer.write(one)
    assert files(tmp_path) == ["alignments.jsonl.gz", "whole.jsonl.gz"]
    assert path.read_bytes() == (tmp_path / "whole.jsonl.gz").read_bytes()
    with AlignmentWriter(path) as writer:
        assert len(writer.done) == 7
    assert path.read_bytes() == (tmp_path / "whole.jsonl.gz").read_bytes()
    assert gzip.decompress(path.read_bytes()).count(b"\n") == 7


def test_one_id_is_aligned_once(tmp_path: Path) -> None:
    with pytest.raises(AlignerError, match="u: aligned twice"):
        write_alignments(tmp_path / "a.jsonl.gz", [example(id="u"), example(id="u")])


def test_spreads_stand_beside_the_times_of_the_manifest_and_of_json() -> None:
    one = example()
    edges_s = np.array([t.start_s for t in one.tokens] + [one.duration_s])
    sure = np.linspace(0.001, 0.05, len(edges_s)).round(4)
    known = with_spreads(one, edges_s, sure)
    cut = to_cut(known)
    assert cut.supervisions[0].custom["spreads_s"] == sure.tolist()
    data = alignment_to_json(known)
    assert [t["start_spread_s"] for t in data["tokens"]] == sure[:-1].tolist()
    assert [t["end_spread_s"] for t in data["tokens"]] == sure[1:].tolist()
    word, first = data["words"][0], data["tokens"][1]
    assert (word["start_s"], word["start_spread_s"]) == (first["start_s"], first["start_spread_s"])
    assert alignment_from_json(data).spreads_s == known.spreads_s
    assert "start_spread_s" not in alignment_to_json(one)["words"][0]


def test_the_manifest_gives_spreads_back(tmp_path: Path) -> None:
    one = example()
    edges_s = np.array([t.start_s for t in one.tokens] + [one.duration_s])
    known = with_spreads(one, edges_s, np.full(len(edges_s), 0.0123))
    write_alignments(tmp_path / "a.jsonl.gz", [known])
    (back,) = read_alignments(tmp_path / "a.jsonl.gz")
    assert spread_column(back) == [0.0123] * len(edges_s)
