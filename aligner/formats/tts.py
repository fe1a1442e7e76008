"""Durations for TTS trainers: one small writer a consumer.

The rules that each writer keeps were read in that project's own code; they stand in its docstring. Frames per
token come from `Alignment.durations_on` with the consumer's grid, so their sum is the consumer's own frame
count.

T text tokens, S speech frames.
"""

import io
import json
import os
import zlib
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, FrameGrid, is_pause, words_around
from aligner.formats.tar_member import is_in_tar
from aligner.formats.textgrid import covering_tier, textgrid_text
from aligner.formats.writer import NotExportable, Writer, label, safe_name

# ARPAbet as CMUdict has it: vowels with stress 0, 1 or 2, or without. FastSpeech2's text/cmudict.py knows
# these symbols and no others.
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
ARPABET = frozenset(f"{vowel}{stress}" for vowel in _VOWELS.split() for stress in ("", "0", "1", "2")) | {
    *_CONSONANTS.split()
}

# Each consumer's frames with its own settings for LJSpeech, or of its model.yml. TensorFlowTTS trims silence
# before it counts frames unless its preprocessing is told otherwise.
PRESETS: dict[str, FrameGrid] = {
    "fastspeech2": FrameGrid(256, 22050, "center"),
    "matcha": FrameGrid(256, 22050, "same"),
    "vits": FrameGrid(256, 22050, "same"),
    "espnet": FrameGrid(256, 22050, "center"),
    "coqui": FrameGrid(256, 22050, "center"),
    "nemo": FrameGrid(256, 22050, "center_drop_last"),
    "everyvoice": FrameGrid(256, 22050, "center_drop_last"),
    "tensorflowtts": FrameGrid(256, 22050, "center"),
    "stylish": FrameGrid(300, 24000, "same"),
}


class DurationWriter(Writer):
    """What writers of durations share: the consumer's frames, speakers, audio files and array files.

    Args:
        root: The output folder.
        settings: `settings.grid` must be given.
    """

    @property
    def grid(self) -> FrameGrid:
        """The consumer's frames."""
        assert self.settings.grid is not None  # `export` asks for it before any writer is made
        return self.settings.grid

    def speaker(self, alignment: Alignment) -> str:
        """The speaker's name, for consumers that need one.

        Args:
            alignment: The utterance.
        """
        return alignment.speaker or "default"

    def wav(self, alignment: Alignment, name: str) -> str:
        """The absolute path of the consumer's audio of an utterance.

        Args:
            alignment: The utterance.
            name: Its file name without suffix.

        Raises:
            NotExportable: Neither the settings nor the alignment say where it is, or it is not there.
        """
        if self.settings.wavs is not None:
            wav = os.path.abspath(self.settings.wavs / f"{name}.wav")
            if not os.path.isfile(wav):
                raise NotExportable(f"{alignment.id}: there is no {wav}")
            return wav
        if not alignment.audio:
            raise NotExportable(
                f"{alignment.id}: its recording is not known; name the folder of WAVs with --wavs"
            )
        if is_in_tar(alignment.audio):
            raise NotExportable(
                f"{alignment.id}: its recording lies in a tar ({alignment.audio}), where the consumer cannot "
                "read it; unpack it as WAV and name the folder with --wavs"
            )
        return os.path.abspath(alignment.audio)

    def array(self, values: NDArray[Any], *parts: str) -> None:
        """Write a `.npy` file at `root/parts...`.

        Args:
            values: The array.
            *parts: as in `OutputFolder.file`.
        """
        with self.folder.file(*parts) as file:
            np.lib.format.write_array(file, values, allow_pickle=False)


class Npy(DurationWriter):
    """`durations/{id}.npy`, int64, and `tokens.txt` with lines `id|TOKEN TOKEN ...` to know them by."""

    dtype: type[np.integer] = np.int64
    subfolder: tuple[str, ...] = ("durations",)
    suffix = ".npy"
    lists = ("tokens.txt",)

    def begin(self) -> None:
        self._tokens = self.list_file("tokens.txt")

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(*self.subfolder, f"{name}{self.suffix}")]

    def write(self, alignment: Alignment, name: str) -> None:
        durations = alignment.durations_on(self.grid)
        (path,) = self.paths(alignment, name)
        self.array(durations.astype(self.dtype), *path)
        self._tokens.write(f"{name}|{_symbols(alignment)}\n".encode())


class Matcha(Npy):
    """`durations/{id}.npy` for Matcha-TTS, to lie beside its `wavs`; with --blanks where it has `add_blank`.

    `text_mel_datamodule.py` wants as many as there are tokens, with `add_blank` 2 n + 1, and their sum to be
    the mel's frames.
    """


class TensorFlowTTS(Npy):
    """`{id}-durations.npy`, int32 `[T]`, and `tokens.txt`."""

    dtype = np.int32
    subfolder = ()
    suffix = "-durations.npy"


class FastSpeech2(DurationWriter):
    """Preprocessed folder of ming024/FastSpeech2: TextGrids, durations and lists.

    `TextGrid/{speaker}/{id}.TextGrid` for its `preprocess.py`, which rounds boundaries to frames, so they lie
    on frames here; it trims the pauses at both ends, which must be called sil, sp or spn, drops intervals
    with an empty label, and cuts file names at their first dot. `duration/{speaker}-duration-{id}.npy`,
    `[T]`, with `train.txt`, `val.txt` (`id|speaker|{PH PH}|text`) and `speakers.json` for its `dataset.py`,
    which drops symbols it does not know without a word.

    The tier `words` is for keonlee9420/PortaSpeech's `preprocessor.py`, which takes the next word where a
    phone ends exactly as the present one does, so words begin and end with their phones here, and have no
    label between them.
    """

    lists = ("train.txt", "val.txt", "speakers.json")

    def begin(self) -> None:
        self._train, self._val = self.list_file("train.txt"), self.list_file("val.txt")
        self._speakers: set[str] = set()
        # The last line for train.txt waits until the end: it goes to val.txt if that would be empty, because
        # FastSpeech2 cannot train without validation.
        self._held_back = b""

    def name(self, alignment: Alignment) -> str:
        speaker = safe_name(self.speaker(alignment))
        return self.folder.name(alignment.id, speaker, stem=alignment.id.replace(".", "_"))

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        speaker = self.folder.name_of(self.speaker(alignment))
        return [
            ("TextGrid", speaker, f"{name}.TextGrid"),
            ("duration", f"{speaker}-duration-{name}.npy"),
        ]

    def write(self, alignment: Alignment, name: str) -> None:
        textgrid_path, durations_path = self.paths(alignment, name)
        grid, phones = self.grid, self._phones(alignment)
        durations = alignment.durations_on(grid)
        # preprocess.py rounds the last boundary to this many frames. Its trimmed mel has at least as many.
        frames = int(np.round(alignment.duration_s * grid.sample_rate_hz / grid.hop_samples))
        edges = np.cumsum(alignment.durations_on(grid, frames))[:-1]
        frame_starts = FrameGrid(grid.hop_samples, grid.sample_rate_hz, "same")  # as preprocess.py counts
        edges_s = [0.0, *frame_starts.boundary_s(edges).tolist(), alignment.duration_s]
        on_frames = tuple(
            replace(token, symbol=phone, start_s=start_s, end_s=end_s)
            for token, phone, (start_s, end_s) in zip(
                alignment.tokens, phones, pairwise(edges_s), strict=True
            )
        )
        tiers = {
            "words": covering_tier(words_around(alignment.words, on_frames), alignment.duration_s, ""),
            "phones": covering_tier(on_frames, alignment.duration_s),
        }
        speaker = textgrid_path[1]
        self.folder.text(textgrid_text(alignment.duration_s, tiers), *textgrid_path)
        self.array(durations, *durations_path)
        self._speakers.add(speaker)
        line = f"{name}|{speaker}|{{{' '.join(phones)}}}|{_field(_text(alignment))}\n".encode()
        if zlib.crc32(name.encode()) / 2**32 < self.settings.validation_share:
            self._val.write(line)
        else:
            self._train.write(self._held_back)
            self._held_back = line

    def finish(self) -> None:
        (self._train if self._val.tell() else self._val).write(self._held_back)
        numbers = {speaker: number for number, speaker in enumerate(sorted(self._speakers))}
        self.folder.text(json.dumps(numbers), "speakers.json")

    def _phones(self, alignment: Alignment) -> list[str]:
        last = len(alignment.tokens) - 1
        phones = []
        for index, token in enumerate(alignment.tokens):
            phone = ("sil" if index in (0, last) else "sp") if is_pause(token.symbol) else token.symbol
            if phone not in ARPABET and phone not in ("sil", "sp", "spn") and not self.settings.any_symbols:
                raise NotExportable(
                    f"{alignment.id}: FastSpeech2 would drop {phone!r}, which is not ARPAbet; align ARPAbet "
                    "phones, give them ARPAbet names with --rename, or let it pass with --any-symbols"
                )
            phones.append(label(phone))
        return phones


class Espnet(DurationWriter):
    """A set's folder of ESPnet2's `--teacher_dumpdir`: `durations` and `text`.

    Lines are `id d1 .. dn 0` and `id PH PH ..`. The 0 is for the `<eos>` that its text front end appends.
    Ids may not hold white space.
    """

    lists = ("durations", "text")

    def begin(self) -> None:
        self._durations, self._text = self.list_file("durations"), self.list_file("text")

    def write(self, alignment: Alignment, name: str) -> None:
        durations = alignment.durations_on(self.grid)
        self._durations.write(f"{name} {' '.join(map(str, durations.tolist()))} 0\n".encode())
        self._text.write(f"{name} {_symbols(alignment)}\n".encode())


class Coqui(DurationWriter):
    """`attention/{id}.npy`, bool `[S, T]`, and `metadata_attn_mask.txt` with lines `wav|npy`.

    They are for Coqui's `meta_file_attn_mask`. Coqui takes the argmax over tokens of each frame; paths in the
    list must be those its formatter gives.
    """

    lists = ("metadata_attn_mask.txt",)

    def begin(self) -> None:
        self._list = self.list_file("metadata_attn_mask.txt")

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [("attention", f"{name}.npy")]

    def write(self, alignment: Alignment, name: str) -> None:
        durations = alignment.durations_on(self.grid)
        (path,) = self.paths(alignment, name)
        wav = self.wav(alignment, name)
        if "|" in wav or not wav.isprintable():
            raise NotExportable(
                f"{alignment.id}: Coqui cannot read a path with '|' or control characters: {wav!r}"
            )
        token_of_frame = np.repeat(np.arange(len(durations)), durations)
        self.array(token_of_frame[:, None] == np.arange(len(durations)), *path)
        attention = os.path.abspath(self.folder.root.joinpath(*path))
        self._list.write(f"{wav}|{attention}\n".encode())


class Nemo(DurationWriter):
    """`durations.pt`: one dictionary, wav stem to int64 tensor `[T]`, for NeMo's `durs_file`
    (`aligner-based`).
    """

    lists = ("durations.pt",)

    def begin(self) -> None:
        self._durations: dict[str, NDArray[np.int64]] = {}

    def write(self, alignment: Alignment, name: str) -> None:
        self._durations[name] = alignment.durations_on(self.grid)

    def finish(self) -> None:
        import torch

        with self.folder.file("durations.pt") as file:
            torch.save({name: torch.from_numpy(d) for name, d in self._durations.items()}, file)


class EveryVoice(DurationWriter):
    """`duration/{id}--{speaker}--{language}--duration.pt`, int64 tensors `[T]`."""

    def name(self, alignment: Alignment) -> str:
        return self.folder.name(alignment.id, safe_name(self.speaker(alignment)))

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        speaker = self.folder.name_of(self.speaker(alignment))
        language = self.folder.name_of(self.settings.language)
        return [("duration", f"{name}--{speaker}--{language}--duration.pt")]

    def write(self, alignment: Alignment, name: str) -> None:
        import torch

        durations = torch.from_numpy(alignment.durations_on(self.grid))
        (path,) = self.paths(alignment, name)
        buffer = io.BytesIO()
        torch.save(durations, buffer)
        with self.folder.file(*path) as file:
            file.write(buffer.getbuffer())


def _field(text: str) -> str:
    """Text without the characters that structure a line of train.txt, and on one line."""
    return " ".join(text.replace("|", " ").replace("{", "(").replace("}", ")").split())


def _text(alignment: Alignment) -> str:
    return alignment.text or " ".join(word.symbol for word in alignment.words)


def _symbols(alignment: Alignment) -> str:
    return " ".join([label(token.symbol, "_") for token in alignment.tokens])
