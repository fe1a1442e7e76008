"""Kaldi's data folders: `wav.scp` and `text`, with `segments` and `utt2spk` where there are any."""

from pathlib import Path

from aligner.corpus.readers.files import decoded_lines
from aligner.corpus.readers.raw import RawCorpus, RawUtterance

_PIPE = "its audio is the output of a command in wav.scp, which is never run: write the audio to a file"
_ARCHIVE = "its audio is in a Kaldi archive: write it to a sound file"


def is_kaldi(folder: Path) -> bool:
    """Whether a folder is a data folder of Kaldi's."""
    return (folder / "wav.scp").is_file() and (folder / "text").is_file()


def read_kaldi(folder: Path, audio_root: Path | None) -> RawCorpus:
    """The utterances of a data folder: the lines of `text`.

    Args:
        folder: With `wav.scp` and `text`.
        audio_root: Where relative paths start; None: the folder itself.

    Raises:
        AlignerError: If one of its files is no text.
    """
    recordings = _table(folder / "wav.scp")
    segments = _table(folder / "segments")
    speakers = _table(folder / "utt2spk")
    found = []
    for number, line, problem in decoded_lines(folder / "text"):
        if not line.strip():
            continue
        id, _, text = line.strip().partition(" ") if "\t" not in line else line.strip().partition("\t")
        recording, start_s, duration_s = id, 0.0, None
        if segments:
            recording, start_s, duration_s, wrong = _segment(segments.get(id, ""))
            problem = problem or wrong
        source = recordings.get(recording, "")
        problem = problem or _problem(recording, source)
        audio = None if problem else (audio_root or folder) / source
        found.append(
            RawUtterance(
                id=id or f"line-{number}",
                audio=audio,
                text=text.strip(),
                speaker=speakers.get(id, ""),
                start_s=start_s,
                duration_s=duration_s,
                problem=problem,
            )
        )
    return RawCorpus(found, f"{folder.name}: a data folder of Kaldi's")


def _problem(recording: str, source: str) -> str:
    """Why the audio that `wav.scp` gives for a recording cannot be read; "" if it can."""
    if not source:
        return f"wav.scp has no recording {recording!r}"
    if source.endswith("|") or source.startswith("|"):
        return _PIPE
    if ".ark:" in source:
        return _ARCHIVE
    return ""


def _segment(line: str) -> tuple[str, float, float | None, str]:
    """Recording, start, length in seconds (None: to its end), and what is wrong with a segment's line."""
    fields = line.split()
    try:
        recording, start, end = fields[:3]
        start_s, end_s = float(start), float(end)
    except ValueError:
        return "", 0.0, None, "not in segments, or its line there is not `id recording start end`"
    if end_s == -1:  # Kaldi's for the end of the recording
        return recording, max(0.0, start_s), None, ""
    if not 0 <= start_s < end_s < float("inf"):
        return recording, 0.0, None, f"its segment ({start} to {end} s) is no part of a recording"
    return recording, start_s, end_s - start_s, ""


def _table(path: Path) -> dict[str, str]:
    """The lines of `key value`; none if there is no such file."""
    if not path.is_file():
        return {}
    rows = (line.split(maxsplit=1) for _, line, problem in decoded_lines(path) if not problem)
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}
