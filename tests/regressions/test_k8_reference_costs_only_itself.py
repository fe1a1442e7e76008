"""K8, K5: reference times that cannot be used cost the reference and never the utterance, nor any other."""

import json
from pathlib import Path

import pytest
from regressions.prepared_corpora import noise, prepare

HEAD = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {end}
tiers? <exists>
size = 1
item []:
"""
POINTS = """    item [1]:
        class = "TextTier"
        name = "words"
        xmin = 0
        xmax = 1
        points: size = 1
        points [1]:
            number = 0.5
            mark = "hi"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
1
"IntervalTier"
"words"
0
1
2
0
0.4
"hi"
0.4
1
""
"""


def grid(*intervals: tuple[object, object, str], name: str = "words", end: object = 1) -> str:
    """A TextGrid of one tier; times as they are written."""
    lines = [
        f"        intervals [{n}]:\n            xmin = {start}\n            xmax = {stop}\n"
        f'            text = "{label}"\n'
        for n, (start, stop, label) in enumerate(intervals, 1)
    ]
    tier = f'    item [1]:\n        class = "IntervalTier"\n        name = "{name}"\n        xmin = 0\n'
    size = f"        xmax = {end}\n        intervals: size = {len(intervals)}\n"
    return HEAD.format(end=end) + tier + size + "".join(lines)


UNUSABLE = {
    "empty.wrd": "",
    "words.phn": "not times\n",
    "letters.phn": "0 x sh\n",
    "backwards.phn": "8000 4000 sh\n",
    "beyond.phn": "0 4000 sh\n4000 160000 iy\n",
    "latin.phn": b"0 4000 \xe9\n",
    "sentence.TextGrid": grid((0, 1, "This is my whole sentence."), name="anna"),  # Prosodylab, MFA's input
    "points.TextGrid": HEAD.format(end=1) + POINTS,
    "overlap.TextGrid": grid((0, 0.6, "hi"), (0.4, 1, "you")),
    "beyond.TextGrid": grid((0, 0.6, "hi"), (0.6, 7, "you"), end=7),
    "nan.TextGrid": grid((0, "nan", "hi"), ("nan", 1, "you")),
    "infinite.TextGrid": grid((0, 0.5, "hi"), (0.5, "inf", "you"), end="inf"),
    "binary.TextGrid": b"ooBinaryFile\x08TextGrid\0\0\0\0",
    "empty.TextGrid": "",
    "half.TextGrid": grid((0, 0.5, "hi"), (0.5, 1, "you"))[:-60],
    "other.TextGrid": '{"words": []}',
    "none.TextGrid": grid(("", "", "")),
}
# A reader may take these or not, but the utterance stays.
DOUBTFUL = {
    "bom.phn": b"\xef\xbb\xbf0 4000 sh\n4000 8000 iy\n",
    "comma.TextGrid": grid((0, "0,5", "hi"), ("0,5", 1, "you")),
    "rounded.TextGrid": grid((0, 0.30000000000000004, "hi"), (0.3, 0.5, "you"), (0.5, 1, "")),
    "no-length.TextGrid": grid((0, 0.3, "hi"), (0.3, 0.3, "x"), (0.3, 1, "you")),
    "utf16.TextGrid": grid((0, 0.3, "hi"), (0.3, 1, "you")).encode("utf-16"),
    "short.TextGrid": SHORT,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An utterance for each of these files, and two without one."""
    folder = tmp_path_factory.mktemp("k8") / "corpus"
    for name, content in {**UNUSABLE, **DOUBTFUL, "good.TextGrid": grid((0, 1, "hi")), "plain.x": ""}.items():
        path = folder / name.replace(".", "-") / name
        noise(path.with_suffix(".wav")).with_suffix(".lab").write_text("hello there")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_the_utterance_is_kept_and_its_reference_named(corpus: Path) -> None:
    found = prepare(corpus)
    assert found.status == 0
    assert not found.refused
    assert len(found.utterances) == len(UNUSABLE) + len(DOUBTFUL) + 2
    by_folder = {u.audio.parent.name: u for u in found.utterances.values()}
    for name in UNUSABLE:
        utterance = by_folder[name.replace(".", "-")]
        assert utterance.reference is None, name
        assert found.references_refused[utterance.id], name
    for name in DOUBTFUL:
        utterance = by_folder[name.replace(".", "-")]
        assert (utterance.reference is None) == (utterance.id in found.references_refused), name
    assert by_folder["good-TextGrid"].reference is not None
    assert found.summary["references_refused"] == len(found.references_refused)
    assert "references-refused.tsv" in found.printed


def test_strict_does_not_pass_over_it(corpus: Path) -> None:
    found = prepare(corpus, "--strict")
    assert found.status == 1
    assert "known times" in found.said


def test_where_the_phones_are_to_be_those_of_the_reference_the_utterance_goes(tmp_path: Path) -> None:
    for name, content in (("a", "0 4000 sh\n4000 16000 iy\n"), ("b", "no times\n")):
        noise(tmp_path / "c" / f"{name}.wav").with_suffix(".phn").write_text(content)
        (tmp_path / "c" / f"{name}.txt").write_text("she")
    found = prepare(tmp_path / "c", "--phones-from-reference")
    assert list(found.utterances) == ["a"]
    assert "no reference phones" in found.refused["b"]


@pytest.mark.parametrize(
    "items",
    [
        [["a", 0.0, float("nan")]],
        [["a", 3.5, 9.0]],
        [["a", 0.0, 0.6], ["b", 0.2, 0.5]],
        [["a", -3.0, 0.5]],
        [["a", 0.5, -0.2]],
    ],
)
def test_times_in_a_lhotse_manifest(tmp_path: Path, items: list[list[object]]) -> None:
    from lhotse import MonoCut, Recording, SupervisionSegment

    recording = Recording.from_file(noise(tmp_path / "c" / "a.wav"))
    cut = MonoCut(
        "u", 0, 1, 0, [SupervisionSegment("u", recording.id, 0, 1, text="hello")], recording=recording
    )
    data = cut.to_dict()
    data["supervisions"][0]["alignment"] = {"phone": items}
    other = {**cut.to_dict(), "id": "v"}
    other["supervisions"][0]["id"] = "v"
    (tmp_path / "c" / "cuts.jsonl").write_text(f"{json.dumps(data)}\n{json.dumps(other)}\n")
    found = prepare(tmp_path / "c")
    assert set(found.utterances) == {"u", "v"}
    assert list(found.references_refused) == ["u"]
