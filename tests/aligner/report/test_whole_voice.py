"""The report of a whole voice of 1,132 utterances, its words spread evenly: no model is needed."""

import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from opened_page import Opened

from aligner.alignment import Alignment
from aligner.cli import main
from aligner.formats import write_alignments


@pytest.mark.slow
def test_a_whole_voice_is_shown_searched_sorted_and_heard(
    open_page: Callable[..., Opened], speech_data: Path, tmp_path: Path
) -> None:
    voice, made = speech_data / "kathleen", []
    with open(voice / "metadata.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    for id, *_, text in rows:
        audio = voice / "wavs" / f"{id}.ogg"
        duration_s = soundfile.info(audio).duration
        words = text.split()
        edges_s = np.linspace(0, duration_s, 2 * len(words) + 1)
        letters = [letter for word in words for letter in (word[0], word[-1])]
        owners = [place // 2 for place in range(len(letters))]
        made.append(
            Alignment.from_boundaries(
                id, letters, owners, words, edges_s, duration_s, text=text, audio=str(audio), speaker="k"
            )
        )
    write_alignments(tmp_path / "a.jsonl.gz", made)
    assert main(["report", str(tmp_path / "a.jsonl.gz"), "--out", str(tmp_path / "report")]) == 0
    begun_s = time.perf_counter()
    opened = open_page(tmp_path / "report")
    opened.ready()
    assert time.perf_counter() - begun_s < 2
    assert opened.page.locator("#count").text_content() == "1132 of 1132"
    for _ in range(20):
        opened.page.keyboard.press("j")
        opened.ready()
    opened.page.click("th.duration button")
    opened.page.click("th.duration button")
    longest = max(made, key=lambda own: own.duration_s)
    opened.page.locator("#rows tbody button").first.click()
    opened.ready(longest.id)
    opened.page.keyboard.press("Space")
    opened.page.wait_for_function("() => Report.panel.media.currentTime > 0.1")
    opened.page.fill("#search", "philip steels")
    assert opened.page.locator("#rows tbody tr").count() >= 1
