"""Stand-ins for other projects, made of their reading rules (the recipes name the code they were read in).

Each function does what the project's own script does with the files it is given, as far as names, counts and
symbols go, and fails where that would fail.
"""

import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile

from aligner.formats.tts import ARPABET

HOP = 256
RATE_HZ = 22050
CLIPS = ("LJ001-0008", "LJ001-0002", "LJ001-0013", "LJ001-0045")  # short; columns 2 and 3 of the last differ


def ljspeech(data: Path, folder: Path) -> None:
    """LJSpeech-1.1 as it is downloaded, of four clips."""
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    lines = (data / "ljspeech-sample" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.split("|")[0] in CLIPS]
    (folder / "metadata.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    for clip in CLIPS:
        audio, rate_hz = soundfile.read(data / "ljspeech-sample" / "wavs" / f"{clip}.flac", dtype="int16")
        soundfile.write(folder / "wavs" / f"{clip}.wav", audio, rate_hz)


def tier(text: str, name: str) -> list[tuple[float, float, str]]:
    """As tgt reads a tier: intervals without a label are dropped."""
    part = text[text.index(f'name = "{name}"') :].split("item [")[0]
    found = re.findall(r'xmin = (\S+) \n\s+xmax = (\S+) \n\s+text = "(.*)" \n', part)
    return [(float(start), float(end), label) for start, end, label in found if label]


class FastSpeech2:
    """ming024/FastSpeech2: prepare_align.py, preprocess.py, train.py."""

    SETTINGS = (
        'path:\n  corpus_path: "/home/ming/Data/LJSpeech-1.1"\n  raw_path: "./raw_data/LJSpeech"\n'
        '  preprocessed_path: "./preprocessed_data/LJSpeech"\n\npreprocessing:\n  val_size: 512\n'
    )

    def clone(self, folder: Path) -> None:
        """Its repository, which has lists of its own."""
        own = folder / "FastSpeech2" / "preprocessed_data" / "LJSpeech"
        own.mkdir(parents=True)
        for name in ("train.txt", "val.txt", "speakers.json"):
            (own / name).write_text("theirs")
        (folder / "FastSpeech2" / "config" / "LJSpeech").mkdir(parents=True)
        (folder / "FastSpeech2" / "config" / "LJSpeech" / "preprocess.yaml").write_text(self.SETTINGS)

    def prepare_align(self, folder: Path) -> None:
        """Copies of the recordings that it has."""
        corpus, raw = self._path(folder, "corpus_path"), self._path(folder, "raw_path") / "LJSpeech"
        raw.mkdir(parents=True, exist_ok=True)
        for line in (corpus / "metadata.csv").read_text(encoding="utf-8").splitlines():
            id, _, text = line.split("|")
            shutil.copy(corpus / "wavs" / f"{id}.wav", raw / f"{id}.wav")
            (raw / f"{id}.lab").write_text(text)

    def preprocess(self, folder: Path) -> None:
        """Durations of what lies between the pauses at the ends, and lists of them."""
        raw, out = self._path(folder, "raw_path") / "LJSpeech", self._path(folder, "preprocessed_path")
        lines = []
        for wav in sorted(raw.glob("*.wav")):
            id = wav.name.split(".")[0]
            path = out / "TextGrid" / "LJSpeech" / f"{id}.TextGrid"
            assert path.exists(), f"UnboundLocalError: pitch ({id} has no TextGrid)"
            spoken = tier(path.read_text(encoding="utf-8"), "phones")
            while spoken[0][2] in ("sil", "sp", "spn"):
                spoken.pop(0)
            while spoken[-1][2] in ("sil", "sp", "spn"):
                spoken.pop()
            edges = [
                np.round(time_s * RATE_HZ / HOP)
                for start_s, end_s, _ in spoken
                for time_s in (start_s, end_s)
            ]
            durations = np.diff(edges)[::2].astype(int)
            samples = len(soundfile.read(wav)[0][int(RATE_HZ * spoken[0][0]) : int(RATE_HZ * spoken[-1][1])])
            assert 0 < durations.sum() <= 1 + samples // HOP
            np.save(out / "duration" / f"LJSpeech-duration-{id}.npy", durations)
            lines.append(f"{id}|LJSpeech|{{{' '.join(label for *_, label in spoken)}}}|text")
        size = int(re.findall(r"val_size: (\d+)", self._settings(folder))[0])
        (out / "train.txt").write_text("\n".join(lines[size:]) + "\n")
        (out / "val.txt").write_text("\n".join(lines[:size]) + "\n")
        (out / "speakers.json").write_text('{"LJSpeech": 0}')

    def train(self, folder: Path) -> None:
        """Every line has known symbols, as many durations, and neither list is empty."""
        out = self._path(folder, "preprocessed_path")
        speakers = json.loads((out / "speakers.json").read_text())
        for name in ("train.txt", "val.txt"):
            lines = (out / name).read_text().splitlines()
            assert any(lines), f"{name} is empty"
            for line in lines:
                id, speaker, phones, _ = line.split("|")
                assert speaker in speakers
                symbols = phones.strip("{}").split()
                assert set(symbols) <= ARPABET | {"sp", "spn", "sil"}
                durations = np.load(out / "duration" / f"{speaker}-duration-{id}.npy")
                assert len(durations) == len(symbols)
        own = folder / "preprocessed_data" / "LJSpeech"
        assert {(own / name).read_text() for name in ("train.txt", "val.txt", "speakers.json")} == {"theirs"}

    def _settings(self, folder: Path) -> str:
        return (folder / "config" / "LJSpeech" / "preprocess.yaml").read_text()

    def _path(self, folder: Path, name: str) -> Path:
        return folder / re.findall(rf'{name}: "(.*)"', self._settings(folder))[0]


class Matcha:
    """shivammehta25/Matcha-TTS: matcha/utils/data/ljspeech.py, matcha/text, matcha/train.py.

    Args:
        data: The folder of recordings.
    """

    def __init__(self, data: Path) -> None:
        self._data = data

    def clone(self, folder: Path) -> None:
        """Its repository."""
        (folder / "Matcha-TTS" / "data").mkdir(parents=True)

    def download(self, folder: Path) -> None:
        """LJSpeech, and lists of metadata.csv's second column."""
        corpus = folder / "data" / "LJSpeech-1.1"
        ljspeech(self._data, corpus)
        rows = [
            line.split("|") for line in (corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()
        ]
        lists = [f"data/LJSpeech-1.1/wavs/{id}.wav|{text}\n" for id, text, _ in rows]
        (corpus / "train.txt").write_text("".join(lists[1:]), encoding="utf-8")
        (corpus / "val.txt").write_text("".join(lists[:1]), encoding="utf-8")

    def text_module(self) -> ModuleType:
        """`matcha.text`: its cleaner is eSpeak's phones with stress and punctuation."""
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
        backend = EspeakBackend(
            "en-us", preserve_punctuation=True, with_stress=True, language_switch="remove-flags"
        )

        def text_to_sequence(text: str, cleaners: list[str]) -> tuple[list[int], str]:
            assert cleaners == ["english_cleaners2"]
            phones = backend.phonemize([text.lower()], strip=True, njobs=1)[0]
            cleaned = re.sub(r"\s+", " ", phones)
            return [ord(character) for character in cleaned], cleaned

        module = ModuleType("matcha.text")
        module.text_to_sequence = text_to_sequence  # type: ignore[attr-defined]
        return module

    def train(self, folder: Path) -> None:
        """A duration for each symbol and blank, their sum the mel's frames."""
        read = self.text_module().text_to_sequence
        for name in ("train", "val"):
            lines = (
                (folder / "data" / "LJSpeech-1.1" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            )
            assert lines, f"{name}.txt is empty"
            for line in lines:
                wav, text = line.split("|")
                path = folder / wav
                durations = np.load(path.parent.parent / "durations" / f"{path.stem}.npy").astype(int)
                ids, _ = read(text, ["english_cleaners2"])
                assert len(durations) == 2 * len(ids) + 1
                assert durations.sum() == soundfile.info(path).frames // HOP
                assert durations.min() >= 1


class Vits:
    """jaywalnut310/vits: its cleaned file lists, and `TextAudioLoader` with the lines of the recipe.

    Args:
        matcha: Whose text front end is VITS's, too.
    """

    def __init__(self, matcha: Matcha) -> None:
        self._matcha = matcha

    def clone(self, folder: Path) -> None:
        """Its repository, with lists of the clips there are."""
        lists = folder / "vits" / "filelists"
        lists.mkdir(parents=True)
        rows = (folder / "LJSpeech-1.1" / "metadata.csv").read_text(encoding="utf-8").splitlines()
        read = self._matcha.text_module().text_to_sequence
        lines = []
        for row in rows:
            id, _, text = row.split("|")
            lines.append(f"DUMMY1/{id}.wav|{read(text, ['english_cleaners2'])[1]}\n")
        for name, own in (("train", lines[2:]), ("val", lines[1:2]), ("test", lines[:1])):
            path = lists / f"ljs_audio_text_{name}_filelist.txt.cleaned"
            path.write_text("".join(own), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """A duration for each symbol and blank, their sum the spectrogram's frames."""
        for path in (folder / "filelists").iterdir():
            for line in path.read_text(encoding="utf-8").splitlines():
                wav, text = line.split("|")
                durations = np.load(folder / "durations" / f"{Path(wav).stem}.npy")
                assert len(durations) == 2 * len(text) + 1
                assert durations.sum() == soundfile.info(folder / wav).frames // HOP
