"""A browser, and reports to open in it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opened_page import Opened

from aligner.cli import main
from aligner.corpus.prepared import load_utterances
from aligner.formats import write_alignments

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
_TIMEOUT_MS = 10_000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; where either is absent the tests skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install '.[dev]'")
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as playing:
        browser = playing.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a report from disk. In the end nothing may have gone wrong."""
    contexts, opened = [], []

    def open_(folder: Path, **settings: Any) -> Opened:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        context.set_default_timeout(_TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        own = Opened(page)
        opened.append(own)
        page.on("pageerror", lambda error: own.wrong.append(f"error: {error}"))
        page.on("console", lambda said: own.wrong.append(said.text) if said.type != "log" else None)
        page.on("dialog", lambda dialog: own.wrong.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else own.wrong.append(request.url)
            ),
        )
        page.goto(f"{(folder / 'index.html').as_uri()}")
        return own

    yield open_
    for context in contexts:
        context.close()
    for own in opened:
        assert not own.wrong


@pytest.fixture(scope="session")
def tiny_alignments(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of the exact times of `tiny_corpus`."""
    path = tmp_path_factory.mktemp("tiny_alignments") / "alignments.jsonl.gz"
    found = [utterance.reference for utterance in load_utterances(tiny_corpus)]
    write_alignments(path, [reference for reference in found if reference is not None])
    return path


@pytest.fixture(scope="session")
def tiny_report(tiny_corpus: Path, tiny_alignments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of these with their own times as reference. Tests only read it."""
    out = tmp_path_factory.mktemp("report") / "report"
    arguments = ["--audio", str(tiny_corpus), "--reference", str(tiny_alignments), "--out", str(out)]
    assert main(["report", str(tiny_alignments), *arguments]) == 0
    return out
