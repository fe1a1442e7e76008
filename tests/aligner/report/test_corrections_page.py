"""Correcting in the page of a report: boundaries and words, saved as a file that every command reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opened_page import Opened

from aligner.alignment import Alignment
from aligner.cli import main
from aligner.corpus.prepared import load_utterances
from aligner.formats import read

Open = Callable[..., Opened]


def drag(opened: Opened, tier: str, index: int, by_pixels: int) -> None:
    """Drag a boundary of a tier, as a person does."""
    edge = opened.page.locator(f"#wave [aria-label='{tier}'] [part~=edge]").nth(index)
    edge.scroll_into_view_if_needed()
    box = edge.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + by_pixels / 2, y)
    opened.page.mouse.move(x + by_pixels, y + 40)
    opened.page.mouse.up()


def saved(opened: Opened, folder: Path) -> Path:
    """The file that the browser hands out."""
    with opened.page.expect_download() as download:
        opened.page.click("#save")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def only(path: Path) -> Alignment:
    (alignment,) = read(path)
    return alignment


def original(opened: Opened) -> dict[str, Any]:
    found: dict[str, Any] = opened.page.evaluate(
        "Report._loaded.get(Report.current.number).alignment",
    )
    return found


def per_second(opened: Opened) -> float:
    width: float = opened.page.locator("#wave [part~=wrapper]").bounding_box()["width"]
    return width / float(opened.state()["duration"])


def test_a_dragged_boundary_is_saved_and_read_back(
    open_page: Open, tiny_report: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    assert opened.page.locator("#save").is_disabled()
    before = original(opened)["tokens"]
    drag(opened, "phones", 2, 15)
    moved_s = before[2][2] + 15 / per_second(opened)
    assert opened.state()["tokens"][2][2] == pytest.approx(moved_s, abs=0.002)
    corrected = only(saved(opened, tmp_path))
    (exact,) = [u for u in load_utterances(tiny_corpus) if u.id == "u00"]
    assert (corrected.id, corrected.duration_s) == ("u00", exact.duration_s)  # frames are counted by it
    assert corrected.tokens[-1].end_s == pytest.approx(exact.duration_s, abs=1e-8)
    assert corrected.tokens[2].end_s == corrected.tokens[3].start_s == pytest.approx(moved_s, abs=0.002)
    assert corrected.by_hand_s == (corrected.tokens[2].end_s,)
    for index, token in enumerate(corrected.tokens):
        if index not in (2, 3):
            assert (token.start_s, token.end_s) == (before[index][1], before[index][2])
    opened.page.locator("#rows .mark").wait_for()


def test_a_word_moves_with_its_phones_and_they_with_it(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    drag(opened, "words", 0, 10)
    state = opened.state()
    first = next(token for token in state["tokens"] if token[4] == 0)
    assert state["words"][0][1] == first[1] == state["byHand"][0]
    assert first[1] != original(opened)["words"][0][1]


def test_a_boundary_never_crosses_the_next(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    drag(opened, "phones", 1, 900)
    edges = [token[1] for token in opened.state()["tokens"]]
    assert edges == sorted(edges)
    assert min(b - a for a, b in zip(edges, edges[1:], strict=False)) > 0.0009


def test_keys_move_a_boundary_and_undo(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    opened.box("phones", 1).click()
    opened.page.keyboard.press("e")
    start_s = opened.state()["tokens"][1][1]
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("Shift+ArrowRight")
    assert opened.state()["tokens"][1][1] == pytest.approx(start_s + 0.006, abs=1e-4)
    slider = opened.page.evaluate(
        "document.querySelector('#wave > div').shadowRoot.activeElement.getAttribute('aria-valuetext')"
    )
    assert slider == f"{start_s + 0.006:.3f} s"
    opened.page.keyboard.press("Control+z")
    assert opened.state()["tokens"][1][1] == pytest.approx(start_s + 0.005, abs=1e-4)
    opened.page.keyboard.press("Control+z")
    assert opened.state()["tokens"] == original(opened)["tokens"]
    assert opened.page.locator("#save").is_disabled()


def test_a_word_is_marked_as_wrong(open_page: Open, tiny_report: Path, tmp_path: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    opened.box("words", 1).click()
    opened.page.keyboard.press("w")
    assert opened.page.locator("#wrong").get_attribute("aria-pressed") == "true"
    corrected = only(saved(opened, tmp_path))
    assert corrected.wrong_words == (1,)
    assert corrected.by_hand_s == ()
    opened.page.keyboard.press("w")
    assert opened.state()["wrong"] == []


def test_corrections_stay_when_the_page_is_left_and_opened_again(
    open_page: Open, tiny_report: Path, tmp_path: Path
) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    drag(opened, "phones", 2, 15)
    there = opened.state()
    opened.page.keyboard.press("j")
    opened.ready("u01")
    opened.page.keyboard.press("k")
    opened.ready("u00")
    assert opened.state() == there
    path = saved(opened, tmp_path)
    opened.page.reload()
    opened.ready("u00")
    assert opened.state() == there
    opened.page.click("#revert")
    assert opened.state()["tokens"] == original(opened)["tokens"]
    elsewhere = open_page(tiny_report)  # another browser, to which the file is brought
    elsewhere.ready("u00")
    elsewhere.page.set_input_files("#open-file", path)
    elsewhere.page.wait_for_function("() => Report.corrections.states.size === 1")
    elsewhere.ready("u00")
    assert elsewhere.state()["tokens"] == there["tokens"]
    assert elsewhere.state()["byHand"] == there["byHand"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "something"}', '{"format": "aligner corrections"}']
)
def test_a_file_that_is_something_else_is_refused(
    open_page: Open, tiny_report: Path, tmp_path: Path, content: str
) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    (tmp_path / "other.json").write_text(content)
    opened.page.set_input_files("#open-file", tmp_path / "other.json")
    opened.page.wait_for_function(
        "() => document.getElementById('status').textContent.startsWith('other.json cannot be read')"
    )
    assert opened.page.locator("#save").is_disabled()


def test_a_report_shows_what_was_corrected_before(
    open_page: Open, tiny_report: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    """A report of corrections holds them, so that they are saved again with the next ones."""
    opened = open_page(tiny_report)
    opened.ready("u00")
    drag(opened, "phones", 2, 15)
    first = saved(opened, tmp_path).rename(tmp_path / "first.json")
    arguments = ["--audio", str(tiny_corpus), "--out", str(tmp_path / "again")]
    assert main(["report", str(first), *arguments]) == 0
    again = open_page(tmp_path / "again")
    again.ready("u00")
    assert again.page.locator("#wave [aria-label='phones'] [part~=held]").count() == 1
    drag(again, "phones", 4, 8)
    both = only(saved(again, tmp_path))
    assert both.by_hand_s is not None
    assert len(both.by_hand_s) == 2
    assert set(json.loads(first.read_text())["utterances"][0]["by_hand_s"]) < set(both.by_hand_s)
