"""Subtitles of single words: SRT and WebVTT."""

from aligner.alignment import Alignment
from aligner.formats.writer import Writer, label


class Srt(Writer):
    """`{id}.srt`: a subtitle for every word."""

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.srt",)]

    def write(self, alignment: Alignment, name: str) -> None:
        cues = (
            f"{number}\n{_clock(w.start_s, ',')} --> {_clock(w.end_s, ',')}\n{label(w.symbol)}\n\n"
            for number, w in enumerate(alignment.words, 1)
        )
        self.folder.text("".join(cues), f"{name}.srt")


class Vtt(Writer):
    """`{id}.vtt`: a WebVTT cue for every word."""

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.vtt",)]

    def write(self, alignment: Alignment, name: str) -> None:
        cues = (
            f"{_clock(w.start_s, '.')} --> {_clock(w.end_s, '.')}\n{_escaped(label(w.symbol))}\n\n"
            for w in alignment.words
        )
        self.folder.text("WEBVTT\n\n" + "".join(cues), f"{name}.vtt")


def _clock(time_s: float, point: str) -> str:
    """`HH:MM:SS,mmm`, with `point` before the milliseconds."""
    ms = round(time_s * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"


def _escaped(text: str) -> str:
    """WebVTT takes `&`, `<` and `>` for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
