"""lhotse's Shar: the audio stays in its tars, and nothing differs from the same corpus in files."""

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet, MonoCut, MultiCut, Recording, SupervisionSegment
from regressions.prepared_corpora import TEXTS, noise, prepare

from aligner.cli import main
from aligner.corpus.prepared import load_audio, load_utterances
from aligner.formats import read_alignments
from aligner.formats.tar_member import TarMember
from aligner.report.sound import Sounds

N_CUTS, SHARD = 7, 2  # four shards


def write_cuts(folder: Path) -> CutSet:
    """Cuts of files of their own."""
    cuts = []
    for number in range(N_CUTS):
        recording = Recording.from_file(noise(folder / "wavs" / f"u{number}.wav", 2 + number / 10))
        supervision = SupervisionSegment(
            f"u{number}", recording.id, 0, recording.duration, text=TEXTS[number], speaker="anna"
        )
        cuts.append(MonoCut(f"u{number}", 0, recording.duration, 0, [supervision], recording=recording))
    return CutSet.from_cuts(cuts)


def to_shar(cuts: CutSet, folder: Path, kind: str = "flac") -> Path:
    folder.mkdir(parents=True)
    cuts.to_shar(folder, fields={"recording": kind}, shard_size=SHARD)
    return folder


@pytest.fixture(scope="module")
def in_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_cuts(folder).to_file(folder / "cuts.jsonl.gz")
    return folder


@pytest.fixture(scope="module")
def written(in_files: Path) -> Path:
    return to_shar(CutSet.from_file(in_files / "cuts.jsonl.gz"), in_files.parent / "shar0")


@pytest.fixture
def shar(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "shar"))


@pytest.mark.parametrize("kind", ["flac", "wav", "mp3", "opus"])
def test_utterances_are_those_of_the_files(in_files: Path, tmp_path: Path, kind: str) -> None:
    cuts = CutSet.from_file(in_files / "cuts.jsonl.gz")
    files = prepare(in_files).utterances
    result = prepare(to_shar(cuts, tmp_path / "shar", kind))
    assert (result.status, result.refused, list(result.utterances)) == (0, {}, list(files))
    for id, own in result.utterances.items():
        assert isinstance(own.audio, TarMember)
        assert own.transcript == files[id].transcript
        if kind in ("flac", "wav"):  # without loss
            assert (own.text, own.speaker) == (TEXTS[int(id[1:])], "anna")
            assert own.duration_s == files[id].duration_s
            assert torch.equal(load_audio(own, 16000), load_audio(files[id], 16000))
        else:
            read = soundfile.read(io.BytesIO(own.audio.read()))[0]
            assert np.abs(load_audio(own, own.audio_rate_hz).numpy() - read[: own.n_samples]).max() < 1e-6


def test_the_prepared_manifest_is_one_that_lhotse_reads(shar: Path) -> None:
    utterances = prepare(shar).utterances
    for cut in CutSet.from_file(shar.parent / "shar-prepared" / "cuts.jsonl.gz"):
        own = load_audio(utterances[cut.id], cut.sampling_rate).numpy()
        assert np.array_equal(cut.load_audio()[0], own)
    again = prepare(shar.parent / "shar-prepared").utterances
    assert {id: own.audio for id, own in again.items()} == {id: own.audio for id, own in utterances.items()}


def test_parts_and_channels_of_a_cut(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (32000, 3)).astype(np.float32)
    soundfile.write(tmp_path / "m.wav", samples, 8000)
    samples = soundfile.read(tmp_path / "m.wav", dtype="float32")[0]
    recording = Recording.from_file(tmp_path / "m.wav")
    parts = [
        SupervisionSegment("one", "m", 0.25, 1, channel=1, text="one part"),
        SupervisionSegment("two", "m", 1.5, 1, channel=[1, 2], text="another part"),
    ]
    cut = MultiCut("c", 0.5, 3, [1, 2], parts, recording=recording)
    found = prepare(to_shar(CutSet.from_cuts([cut]), tmp_path / "shar")).utterances
    assert list(found) == ["one", "two"]
    assert np.array_equal(load_audio(found["one"], 8000), samples[6000:14000, 1])
    assert np.array_equal(load_audio(found["two"], 8000), samples[16000:24000, 1:].mean(1))


def test_fit_align_evaluate_and_export_are_those_of_the_files(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shar = to_shar(CutSet.from_file(tiny_corpus / "cuts.jsonl.gz"), tmp_path / "shar")
    assert len(list(shar.glob("*.tar"))) == 10
    states, alignments, figures = [], [], []
    for name, corpus in (("a", tiny_corpus), ("b", shar)):
        data, run, out = (tmp_path / name / part for part in ("data", "run", "out"))
        commands = [
            ["prepare", corpus, "--phonemizer", "characters", "--out", data],
            ["fit", "--config", "smoke", "--data", data, "--out", run, "--trainer.accelerator", "cpu"],
            ["align", "--checkpoint", checkpoint, "--data", data, "--out", out, "--device", "cpu"],
            ["evaluate", out, "--reference", data, "--json"],
        ]
        for command in commands:
            capsys.readouterr()
            assert main([str(word) for word in command]) == 0
        figures.append(capsys.readouterr().out.splitlines()[-1].partition('"words"')[2])
        states.append(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
        alignments.append(list(read_alignments(out / "alignments.jsonl.gz")))
    assert figures[0] == figures[1] != ""
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    for one, other in zip(*alignments, strict=True):
        assert replace(other, audio=one.audio) == one
        assert other.audio == str(shar / f"recording.{int(one.id[1:]) // SHARD:06d}.tar" / f"{one.id}.flac")
    sounds, files = (Sounds(tmp_path / name / "out") for name in "ba")
    for alignment in alignments[1]:
        assert np.array_equal(sounds.read(alignment)[0], files.read(alignment)[0])
    aligned = str(tmp_path / "b" / "out")
    for kind, status in (("textgrid", 0), ("json", 0), ("coqui", 1)):
        assert main(["export", aligned, "--format", kind, "--out", str(tmp_path / kind)]) == status
    assert "lies in a tar" in (tmp_path / "coqui" / "refused.txt").read_text()


def cut_in_half(folder: Path) -> None:
    tar = folder / "recording.000001.tar"
    tar.write_bytes(tar.read_bytes()[:1000])


def rewrite(folder: Path, change: Callable[[str, bytes], tuple[str, bytes] | None], number: int = 1) -> None:
    tar = folder / f"recording.{number:06d}.tar"
    with tarfile.open(tar) as old:
        items = [(info.name, old.extractfile(info).read()) for info in old]  # type: ignore[union-attr]
    with tarfile.open(tar, "w") as new:
        for name, content in filter(None, (change(*item) for item in items)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))


def change(file: str, to: Callable[[str, bytes], tuple[str, bytes] | None]) -> Callable[[Path], None]:
    """Damage to one file of a tar."""
    return lambda folder: rewrite(folder, lambda name, old: to(name, old) if name == file else (name, old))


def without_audio(name: str, content: bytes) -> tuple[str, bytes]:
    stem, _, suffix = name.rpartition(".")
    return (name, content) if stem == "u3" else (f"{stem}.{'nometa' if suffix == 'json' else 'nodata'}", b"")


def damage_header(folder: Path) -> None:
    tar = folder / "recording.000001.tar"
    content = bytearray(tar.read_bytes())
    with tarfile.open(tar) as opened:
        place = opened.getmembers()[2].offset
    content[place : place + 512] = b"x" * 512
    tar.write_bytes(content)


def gzip_tar(folder: Path) -> None:
    tar = folder / "recording.000001.tar"
    (folder / "recording.000001.tar.gz").write_bytes(gzip.compress(tar.read_bytes()))
    tar.unlink()


@pytest.mark.parametrize(
    ("damage", "lost", "said"),
    [
        (lambda f: (f / "recording.000001.tar").unlink(), "u2 u3", "recording.000001.tar is missing: copy"),
        (cut_in_half, "u2 u3", "recording.000001.tar is cut off or damaged after u2.flac: copy it again"),
        (damage_header, "u3", "recording.000001.tar is cut off or damaged after u2.json: copy it again"),
        (gzip_tar, "u2 u3", "recording.000001.tar.gz is compressed"),
        (lambda f: (f / "recording.000001.tar").write_bytes(b""), "u2 u3", "recording.000001.tar is no tar"),
        (lambda f: (f / "recording.000001.tar").write_text("no" * 999), "u2 u3", "000001.tar is no tar"),
        (change("u2.flac", lambda n, c: None), "u2", "recording.000001.tar has no audio named u2"),
        (lambda f: rewrite(f, without_audio), "u2", "has no audio of u2, only that there is none"),
        (change("u2.flac", lambda n, c: ("u3.flac", c)), "u2 u3", "has several files named u3"),
        (change("u2.flac", lambda n, c: (n, b"")), "u2", "u2.flac: the file is empty"),
        (change("u2.flac", lambda n, c: (n, b"xx")), "u2", "u2.flac: cannot be read as audio (Format not"),
        (change("u2.flac", lambda n, c: ("u2\nx.flac", c)), "u2", "has no audio named u2"),
        (change("u2.json", lambda n, c: (n, b"{")), "", ""),
        (change("u2.json", lambda n, c: None), "", ""),
    ],
)  # fmt: skip
def test_what_is_lost_of_a_shard_costs_no_other(
    shar: Path, damage: Callable[[Path], object], lost: str, said: str
) -> None:
    damage(shar)
    result = prepare(shar)
    assert result.status == 0
    assert list(result.refused) == lost.split()
    assert list(result.utterances) == [f"u{n}" for n in range(N_CUTS) if f"u{n}" not in lost.split()]
    assert said in str(result.refused)


def test_shards_without_their_cuts(shar: Path) -> None:
    (shar / "cuts.000000.jsonl.gz").unlink()
    (shar / "cuts.000002.jsonl.gz").write_bytes(b"no gzip")
    result = prepare(shar)
    assert list(result.utterances) == ["u2", "u3", "u6"]
    assert "recording.000000.tar has no cuts.000000.jsonl.gz beside it" in result.said
    assert "cuts.000002.jsonl.gz: cannot be read" in result.refused["cuts.000002.jsonl.gz"]
    assert "2 recordings of" in result.said


def test_tars_swapped_pair_with_no_other_cut(shar: Path) -> None:
    (shar / "recording.000000.tar").rename(shar / "x")
    (shar / "recording.000001.tar").rename(shar / "recording.000000.tar")
    (shar / "x").rename(shar / "recording.000001.tar")
    result = prepare(shar)
    assert list(result.refused) == ["u0", "u1", "u2", "u3"]
    assert "recording.000000.tar has no audio named u0" in result.refused["u0"]
    assert "2 recordings of" in result.said


def test_features_without_audio_say_what_to_do(shar: Path) -> None:
    for tar in shar.glob("*.tar"):
        tar.rename(shar / tar.name.replace("recording", "features"))
    result = prepare(shar)
    assert result.status == 1
    assert "only features, not the audio: write the Shar with its recordings" in result.said


def test_cuts_alone_say_where_their_audio_is(shar: Path) -> None:
    cuts = shar / "all-cuts.jsonl"
    cuts.write_bytes(gzip.decompress((shar / "cuts.000000.jsonl.gz").read_bytes()))
    result = prepare(cuts)
    assert result.status == 1
    assert "in a tar of lhotse's Shar: give the folder" in result.said
    assert prepare(shar / "recording.000000.tar").said.count("give the folder of its shards") == 1


def test_folders_of_shards_some_shards_and_lists_of_shards(shar: Path, tmp_path: Path) -> None:
    ids = [f"u{n}" for n in range(N_CUTS)]
    assert list(prepare(shar / "cuts.000000.jsonl.gz", shar / "cuts.000003.jsonl.gz").utterances) == [
        "u0", "u1", "u6",
    ]  # fmt: skip
    for part, numbers in (("a", (0, 1)), ("b", (2, 3))):
        (tmp_path / "parts" / part).mkdir(parents=True)
        for number in numbers:
            for name in (f"cuts.{number:06d}.jsonl.gz", f"recording.{number:06d}.tar"):
                shutil.copy(shar / name, tmp_path / "parts" / part / name)
    parts = tmp_path / "parts"
    assert list(prepare(parts).utterances) == ids
    assert list(prepare(parts / "a", parts / "b").utterances) == ids
    fields = {
        field: [str(path.relative_to(tmp_path)) for path in sorted(parts.glob(f"[ab]/{field}.*"))]
        for field in ("cuts", "recording")
    }
    index = tmp_path / "shar_index.json"
    for content in (fields, {"version": 1, "fields": fields}):
        index.write_text(json.dumps(content))
        assert list(prepare(index).utterances) == ids
    for content, said in (
        ({**fields, "recording": fields["recording"][:3]}, "4 shards of cuts and 3 of recording"),
        ({"cuts": fields["cuts"]}, "4 shards of cuts and 0 of recording"),
        ({"cuts": ["pipe:curl x"], "recording": ["s3://x"]}, "no file here: download the shards"),
    ):
        index.write_text(json.dumps(content))
        result = prepare(index)
        assert result.status == 1
        assert said in result.said


def test_corpora_with_the_same_ids_are_told_apart(shar: Path, in_files: Path) -> None:
    result = prepare(shar, in_files)
    assert result.status == 0
    assert len(result.utterances) == 2 * N_CUTS
    assert "shar-u0" in result.utterances


def test_corpus_and_tars_move_together(shar: Path, tmp_path: Path) -> None:
    before = prepare(shar, "--relative-paths").utterances
    (tmp_path / "new").mkdir()
    for name in ("shar", "shar-prepared"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    after = load_utterances(tmp_path / "new" / "shar-prepared")
    assert [own.id for own in after] == list(before)
    assert all(len(load_audio(own, 8000)) for own in after)
