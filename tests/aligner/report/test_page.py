"""The page of a report in a browser: what it shows, plays and does, opened from disk without flags."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened_page import Opened

from aligner.alignment import Alignment, Interval
from aligner.cli import main
from aligner.formats import read_alignments, write_alignments
from aligner.spread import with_spreads

Open = Callable[..., Opened]
_OPENS_WITHIN_S = 2.0


def ids(opened: Opened) -> list[str]:
    """The first column, as far as it is in the page."""
    found: list[str] = opened.page.locator("#rows tbody th button").all_text_contents()
    return found


def test_opens_from_disk_and_shows_the_first_utterance(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    assert opened.page.locator("#name").text_content() == "u00"
    assert opened.page.locator("#count").text_content() == "20 of 20"
    strips = opened.page.locator("#wave [part~=strip]")
    assert strips.count() == 1
    assert strips.evaluate_all("all => all.every((image) => image.complete && image.naturalWidth > 0)")
    tiers = opened.page.locator("#wave [part~=row]").evaluate_all("all => all.map((row) => row.ariaLabel)")
    assert tiers == ["words", "phones", "reference words", "reference phones"]


def test_a_named_utterance_is_shown(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.page.goto(f"{(tiny_report / 'index.html').as_uri()}#u07")
    opened.page.reload()
    opened.ready("u07")


@pytest.mark.parametrize("zooms", [0, 3])
def test_tiers_line_up_with_time_to_the_pixel(open_page: Open, tiny_report: Path, zooms: int) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    for _ in range(zooms):
        opened.page.keyboard.press("+")
    opened.page.wait_for_timeout(100)
    wrapper = opened.page.locator("#wave [part~=wrapper]").bounding_box()
    boxes = opened.page.locator("#wave [part~=box]").evaluate_all(
        """all => all.map((box) => [
          box.interval[1], box.interval[2], box.getBoundingClientRect().x, box.getBoundingClientRect().width,
          box.parentElement.ariaLabel,
        ])"""
    )
    assert {tier for *_, tier in boxes} == {"words", "phones", "reference words", "reference phones"}
    per_second = wrapper["width"] / opened.state()["duration"]
    for start_s, end_s, x, width, _ in boxes:
        assert x - wrapper["x"] == pytest.approx(start_s * per_second, abs=0.5)
        # with the line that it shares with the next one
        assert width == pytest.approx((end_s - start_s) * per_second, abs=1)
    strip = opened.page.locator("#wave [part~=strip]").bounding_box()  # half a frame of 5 ms earlier
    assert strip["x"] - wrapper["x"] == pytest.approx(-0.0025 * per_second, abs=0.5)


def test_a_click_plays_exactly_the_phone(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    opened.page.evaluate(
        """() => {
          window.played = [];
          const start = AudioBufferSourceNode.prototype.start;
          AudioBufferSourceNode.prototype.start = function (when, offset, length) {
            window.played.push([offset, length]);
            return start.call(this, when, offset, length);
          };
        }"""
    )
    for tier, name, index in (("phones", "tokens", 2), ("words", "words", 1)):
        _, start_s, end_s, *_ = opened.state()[name][index]
        opened.box(tier, index).click()
        opened.page.wait_for_function("end => Report.panel.media.currentTime === end", arg=end_s)
        offset_s, length_s = opened.page.evaluate("window.played.at(-1)")
        assert offset_s == pytest.approx(start_s, abs=1e-6)
        assert length_s == pytest.approx(end_s - start_s, abs=1e-6)
        assert "ms" in opened.page.locator("#selected").text_content()


def test_space_plays_and_pauses_and_time_goes_on(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    opened.page.keyboard.press("Space")
    opened.page.wait_for_function("() => Report.panel.media.currentTime > 0.1")
    assert opened.page.locator("#play").text_content() == "Pause"
    opened.page.keyboard.press("Space")
    stopped_s = opened.page.evaluate("Report.panel.media.currentTime")
    opened.page.wait_for_timeout(150)
    assert opened.page.evaluate("Report.panel.media.currentTime") == stopped_s
    assert stopped_s < opened.state()["duration"]
    opened.page.keyboard.press("Space")
    opened.page.wait_for_function("() => Report.panel.media.paused")
    assert opened.page.evaluate("Report.panel.media.currentTime") == opened.state()["duration"]


def test_keys_step_through_phones_words_and_utterances(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    state = opened.state()
    selected = opened.page.locator("#selected")
    for index in range(3):
        opened.page.keyboard.press("ArrowRight")
        assert selected.text_content().startswith(f"phones: {state['tokens'][index][0]} ")
    opened.page.keyboard.press("ArrowLeft")
    assert selected.text_content().startswith(f"phones: {state['tokens'][1][0]} ")
    opened.page.keyboard.press("Shift+ArrowRight")
    assert selected.text_content().startswith(f"words: {state['words'][0][0]} ")
    opened.page.keyboard.press("j")
    opened.ready("u01")
    opened.page.keyboard.press("k")
    opened.ready("u00")


def test_zoom_keeps_what_is_in_the_middle(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    wrapper = opened.page.locator("#wave [part~=wrapper]")
    fits = wrapper.bounding_box()["width"]
    for _ in range(4):
        opened.page.click("#zoom-in")
    box, wave = wrapper.bounding_box(), opened.page.locator("#wave").bounding_box()
    assert box["width"] > 3 * fits
    middle = (wave["x"] + wave["width"] / 2 - box["x"]) / box["width"]
    assert middle == pytest.approx(0.5, abs=0.02)
    opened.page.keyboard.press("0")
    assert wrapper.bounding_box()["width"] == pytest.approx(fits, abs=1)


def test_search_and_sort(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    everything = ids(opened)
    assert everything == [f"u{number:02d}" for number in range(20)]
    opened.page.click("th.duration button")
    durations = [float(d) for d in opened.page.locator("#rows td.duration").all_text_contents()]
    assert durations == sorted(durations)
    assert opened.page.locator("th.duration").get_attribute("aria-sort") == "ascending"
    opened.page.click("th.duration button")
    durations = [float(d) for d in opened.page.locator("#rows td.duration").all_text_contents()]
    assert durations == sorted(durations, reverse=True)
    opened.page.fill("#search", "TEA anna")
    texts = opened.page.locator("#rows td.text").all_text_contents()
    assert texts
    assert all("tea" in text for text in texts)
    assert opened.page.locator("#count").text_content() == f"{len(texts)} of 20"
    opened.page.fill("#search", "no such thing")
    assert ids(opened) == []


def test_the_theme_is_switched_and_kept(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report, color_scheme="light")
    opened.ready("u00")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = opened.page.evaluate(colour)
    opened.page.select_option("#theme", "dark")
    dark = opened.page.evaluate(colour)
    assert light != dark
    opened.page.reload()
    opened.ready("u00")
    assert opened.page.evaluate(colour) == dark
    assert open_page(tiny_report, color_scheme="dark").page.evaluate(colour) == dark


def test_figures_are_shown(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report)
    opened.ready("u00")
    opened.page.click("#show-figures")
    captions = opened.page.locator("#figures caption").all_text_contents()
    assert captions[0] == "Boundary errors against the reference, 20 utterances"
    assert "How long phones are, in ms" in captions
    assert not opened.page.locator("#panel").is_visible()


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"'`><svg onload=alert(1)>",
    "../../../etc/passwd",
    "a/b\\c:d*e?f",
    "\u202eright to left\u202c \u0645\u0631\u062d\u0628\u0627",
    "x" * 2000,
    "javascript:alert(1)",
    "${alert(1)}{{7*7}}%00%3Cscript%3E",
    "line\u2028break\u2029 \u0000 \N{GRINNING FACE}",
    "__proto__",
    "constructor",
]


def test_what_people_wrote_is_shown_and_does_nothing(
    open_page: Open, tiny_corpus: Path, tmp_path: Path
) -> None:
    alignments = [
        Alignment(
            text, 1.0, (Interval(text, 0.0, 0.5, 0.5, 0), Interval("sil", 0.5, 1.0)),
            (Interval(text, 0.0, 0.5, 0.5, 0),), speaker=text, text=text, audio=text,
        )
        for text in HOSTILE
    ]  # fmt: skip
    write_alignments(tmp_path / "a.jsonl.gz", alignments)
    (tmp_path / "suspects.tsv").write_text(f"id\twhat\n{HOSTILE[1]}\t{HOSTILE[1]}\n")
    (tmp_path / "failed.tsv").write_text(f"id\treason\nx\t{HOSTILE[0]}\n")
    out = tmp_path / "re port's <b>"
    arguments = ["--out", str(out), "--title", HOSTILE[1]]
    assert main(["report", str(tmp_path / "a.jsonl.gz"), *arguments]) == 0
    assert sorted(path.name for path in (out / "data").iterdir()) == sorted(
        f"{number}.js" for number in range(len(HOSTILE))
    )
    opened = open_page(out)
    opened.page.wait_for_selector("#wave [part~=box]")
    shown = set(ids(opened))
    assert shown == set(HOSTILE)
    for _ in HOSTILE:
        opened.page.keyboard.press("j")
        opened.page.wait_for_timeout(50)
        assert opened.page.locator("#name").text_content() in shown
    assert opened.page.title() == HOSTILE[1]
    assert opened.page.locator("#panel").bounding_box()["width"] <= 1280
    opened.page.click("#show-figures")
    assert "<script>alert(1)</script>" in opened.page.locator("#figures").inner_text()
    assert opened.page.evaluate("document.querySelectorAll('script[src=x], svg, #rows img').length") == 0


def test_thirteen_thousand_utterances_open_at_once(
    open_page: Open, tiny_report: Path, tmp_path: Path
) -> None:
    """As many as LJSpeech has, with texts of its length; the data of one are enough."""
    for path in tiny_report.rglob("*"):
        if path.is_file() and (path.parent.name != "data" or path.name == "0.js"):
            (tmp_path / path.relative_to(tiny_report)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(tiny_report)).write_bytes(path.read_bytes())
    index = json.loads((tiny_report / "index.js").read_text().removeprefix("Report.index(")[:-3])
    text = "in being comparatively modern, and that is how long a sentence of LJSpeech is, more or less"
    first = index["rows"][0]
    index["rows"] += [[f"LJ{number:06d}", "", f"{text} {number}", *first[3:]] for number in range(1, 13_100)]
    index["figures"]["utterances"] = 13_100
    (tmp_path / "index.js").write_text(f"Report.index({json.dumps(index)});\n")
    times_s = []
    for _ in range(2):  # the machine may be busy
        begun_s = time.perf_counter()
        opened = open_page(tmp_path)
        opened.ready("u00")
        times_s.append(time.perf_counter() - begun_s)
    print("opened in", times_s)
    assert min(times_s) < _OPENS_WITHIN_S
    assert opened.page.locator("#rows tbody tr").count() < 100
    longest_ms = opened.page.evaluate(SCROLLED)
    print("longest frame", longest_ms)
    assert ids(opened)[-1] == "LJ013099"
    assert longest_ms < 200
    opened.page.click("th.text button")
    opened.page.fill("#search", "12345")
    assert ids(opened) == ["LJ012345"]


# Scrolls to the end; gives the longest time between two frames, in ms.
SCROLLED = """async () => {
  const rows = document.getElementById("rows");
  const frame = () => new Promise(requestAnimationFrame);
  let last = await frame(), longest = 0;
  for (let step = 0; step <= 60; step += 1) {
    rows.scrollTop = (rows.scrollHeight * step) / 60;
    const now = await frame();
    longest = Math.max(longest, now - last);
    last = now;
  }
  await frame();
  return longest;
}"""


def test_a_phone_sized_screen_has_no_scroll_to_the_side(open_page: Open, tiny_report: Path) -> None:
    opened = open_page(tiny_report, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    opened.ready("u00")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
    opened.box("phones", 2).tap()
    assert opened.page.locator("#selected").text_content().startswith("phones: ")


def test_real_speech_with_its_reference(open_page: Open, speech_data: Path, tmp_path: Path) -> None:
    timit = speech_data / "timit-dev"
    arguments = ["--audio", str(timit), "--reference", str(timit), "--out", str(tmp_path / "report")]
    assert main(["report", str(timit), *arguments, "--limit", "12"]) == 0
    opened = open_page(tmp_path / "report")
    opened.ready()
    assert opened.page.locator("#count").text_content() == "12 of 80"
    opened.box("reference phones", 3).click()
    opened.page.wait_for_function("() => Report.panel.media.currentTime > 0")


def checked_by_axe(page: Any) -> list[str]:
    """What axe-core finds that is serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"preload": False}).response["violations"]
    return [
        f"{rule['id']}: {rule['nodes'][0]['target']} {rule['nodes'][0]['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(open_page: Open, tiny_report: Path, scheme: str, width: int) -> None:
    size = {"width": width, "height": 800}
    # axe-core puts styles into the page, which the page forbids.
    opened = open_page(tiny_report, color_scheme=scheme, viewport=size, bypass_csp=True)
    opened.ready("u00")
    opened.box("phones", 2).click()
    assert not checked_by_axe(opened.page)
    opened.page.click("#show-figures")
    assert not checked_by_axe(opened.page)
    opened.page.click("#show-help")
    assert not checked_by_axe(opened.page)


def test_a_boundary_shows_how_far_it_may_be_off(
    open_page: Open, tiny_corpus: Path, tiny_alignments: Path, tmp_path: Path
) -> None:
    """The recording's ends are certain and show nothing."""
    known = []
    for one in read_alignments(tiny_alignments):
        edges_s = np.array([*(token.start_s for token in one.tokens), one.duration_s])
        spreads_s = np.full(len(edges_s), 0.012)
        spreads_s[[0, -1]] = 0.0
        known.append(with_spreads(one, edges_s, spreads_s))
    write_alignments(tmp_path / "alignments.jsonl.gz", known)
    arguments = ["--audio", str(tiny_corpus), "--out", str(tmp_path / "report")]
    assert main(["report", str(tmp_path / "alignments.jsonl.gz"), *arguments]) == 0
    opened = open_page(tmp_path / "report")
    opened.ready("u00")
    opened.box("phones", 1).click()
    assert opened.page.locator("#selected").text_content().count("(±12 ms)") == 2
    opened.box("phones", 0).click()
    assert opened.page.locator("#selected").text_content().count("(±12 ms)") == 1
