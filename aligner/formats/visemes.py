"""Visemes: shapes of the mouth over time, for animation.

A shape is chosen for each letter of IPA that a phone stands for (`ipa_letters`): one for most, two for a
diphthong, of which the first takes 60 %, as in Rhubarb Lip Sync. Neighbours of one shape are joined.
"""

import json
import os
from itertools import groupby

from aligner.alignment import Alignment, is_pause
from aligner.formats.tar_member import is_in_tar
from aligner.formats.whole_units import in_whole_units
from aligner.formats.writer import NotExportable, Writer, label
from aligner.text.sounds import ipa_letters

Shape = tuple[str, int, int]  # its name, start and end in ms

_FIRST_OF_TWO = 0.6
_STOPS = frozenset("td")  # of an affricate, whose shape is that of its second letter
_FRICATIVES = frozenset("szʃʒʂʐɕʑ")
_ONE_LETTER = {"ʧ": "ʃ", "ʤ": "ʒ", "ʦ": "s", "ʣ": "z"}

# By Meta's "Viseme Reference" of Oculus Lipsync: its 15 visemes with examples of their phonemes; others go to
# the nearest. Named as there, and as blend shapes of Ready Player Me avatars are (viseme_aa, viseme_I).
_OCULUS = {
    "PP": "pbmɓʙɸβ",
    "FF": "fvʋⱱɱ",
    "TH": "θð",
    "DD": "tdʈɖɾɽɗ",
    "kk": "kɡgqɢɠʛxɣχhɦħʕʔʜʢʡcɟʄçʝɧ",
    "CH": "ʃʒʂʐɕʑ",
    "SS": "sz",
    "nn": "nɳɲŋɴlɭʎʟɫɬɮɺ",
    "RR": "rɹɻʀʁɚɝ",
    "aa": "aɑæɐʌɶ",
    "E": "eɛəɜœøɘɞ",
    "I": "iɪjɨᵻ",
    "O": "oɔɒɤɵ",
    "U": "uʊwʉɯyʏɥʍɰ",
}
# By the rules of Rhubarb Lip Sync (animationRules.cpp): the shapes that suit a sound. The one before stays if
# it is among them; else it is the first.
_RHUBARB = {
    "A": "pbmɓʙ",
    "BF": "tdʈɖɗcɟʄθðszʃʒʂʐɕʑçʝ",
    "BCEFH": "kɡgqɢɠʛxɣχɧ",
    "G": "fvʋⱱɱɸβ",
    "CBFH": "nɳɲɴɾɽ",
    "CBEF": "ŋ",
    "HBEF": "lɭʎʟɫɬɮɺ",
    "EBF": "rɹɻʀʁ",
    "CBDEFGAH": "hɦħʕʔʜʢʡ",
    "BCF": "j",
    "F": "wʍɥɰuʊʉɯyʏ",
    "B": "iɪɨᵻ",
    "C": "eɛæəɜɘɐʌ",
    "D": "aɑɶ",
    "E": "oɔɒɤɵøœɞɚɝ",
}
# "spn", a sound that no symbol says: Rhubarb's noise.
_NOISE = "spn"


def _by_letter(table: dict[str, str]) -> dict[str, str]:
    return {letter: shape for shape, letters in table.items() for letter in letters}


class Rhubarb(Writer):
    """`{id}.json`: mouth shapes A to H and X, as Rhubarb Lip Sync writes them with `-f json`."""

    shapes = _by_letter(_RHUBARB)

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.json",)]

    def write(self, alignment: Alignment, name: str) -> None:
        cues: list[tuple[str, int, int]] = []
        for allowed, start, end in _timed(alignment, self.shapes, pause="X", noise="B"):
            before = cues[-1][0] if cues else ""
            cues.append((before if before and before in allowed else allowed[0], start, end))
        audio = alignment.audio
        data = {
            "metadata": {
                "soundFile": os.path.abspath(audio) if audio and not is_in_tar(audio) else "",
                "duration": round(alignment.duration_s, 3),
            },
            "mouthCues": [
                {"start": start / 1000, "end": end / 1000, "value": shape}
                for shape, start, end in _joined(cues)
            ],
        }
        (path,) = self.paths(alignment, name)
        self.folder.text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", *path)


class Oculus(Writer):
    """`{id}.json`: the 15 visemes of Oculus Lipsync and the words in ms, as TalkingHead's `speakAudio` takes.

    `visemes`, `vtimes`, `vdurations`, `words`, `wtimes`, `wdurations`: lists of one length each.
    """

    shapes = _by_letter(_OCULUS)

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.json",)]

    def write(self, alignment: Alignment, name: str) -> None:
        visemes = _joined(_timed(alignment, self.shapes, pause="sil", noise="E"))
        _, words = in_whole_units(alignment, 1000)
        data: dict[str, list[str] | list[int]] = {}
        for what, letter, entries in (("words", "w", words), ("visemes", "v", visemes)):
            data[what] = [label(symbol) for symbol, _, _ in entries]
            data[f"{letter}times"] = [start for _, start, _ in entries]
            data[f"{letter}durations"] = [end - start for _, start, end in entries]
        (path,) = self.paths(alignment, name)
        self.folder.text(json.dumps(data, ensure_ascii=False) + "\n", *path)


def _timed(alignment: Alignment, shapes: dict[str, str], pause: str, noise: str) -> list[Shape]:
    """The shapes of all tokens with their times, one or two a token, without gaps."""
    tokens, _ = in_whole_units(alignment, 1000)
    timed: list[Shape] = []
    for symbol, start, end in tokens:
        if is_pause(symbol):
            timed.append((pause, start, end))
            continue
        if symbol == _NOISE:
            timed.append((noise, start, end))
            continue
        letters = _shown(ipa_letters(symbol))
        if not letters or any(letter not in shapes for letter in letters):
            raise NotExportable(
                f"{alignment.id}: no shape of the mouth is known of {symbol!r}, which is neither ARPAbet nor "
                "IPA; rename it with --rename"
            )
        middle = start + round((end - start) * _FIRST_OF_TWO) if len(letters) > 1 else end
        if middle > start:
            timed.append((shapes[letters[0]], start, middle))
        if middle < end:
            timed.append((shapes[letters[-1]], middle, end))
    return timed


def _shown(letters: str) -> str:
    """The letters that have a shape of their own: of an affricate the second, else the first and the last."""
    letters = "".join(_ONE_LETTER.get(letter, letter) for letter in letters)
    if len(letters) > 1 and letters[0] in _STOPS and letters[1] in _FRICATIVES:
        letters = letters[1:]
    return letters if len(letters) < 3 else letters[0] + letters[-1]


def _joined(shapes: list[Shape]) -> list[Shape]:
    """The shapes, neighbours of one name as one."""
    groups = [list(group) for _, group in groupby(shapes, key=lambda shape: shape[0])]
    return [(group[0][0], group[0][1], group[-1][2]) for group in groups]
