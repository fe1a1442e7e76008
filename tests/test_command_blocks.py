"""Every command block of the texts and every example of `--help` runs as it is written.

Downloads are four clips of LJSpeech, other projects' steps their reading rules (consumers.py). What a reader
has to fill in, and what is too long for a test, stands in the tables below, and nothing else is changed.
"""

import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from consumers import CLIPS, FastSpeech2, Matcha, Vits, ljspeech
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from made_alignments import example
from terminal import Program, Terminal, blocks
from tiny_corpus import write_tiny_corpus

from aligner import cli
from aligner.alignment import Alignment, Interval
from aligner.cli import COMMANDS, build_parser
from aligner.corpus.prepared import load_utterances
from aligner.formats import export, read, write_alignments
from aligner.formats.json_file import alignment_to_json

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted(ROOT.glob("recipes/**/*.md")), ROOT / "mas" / "README.md")
    if "sh" in dict(blocks(path.read_text(encoding="utf-8")))
]
# Run on every change: what the texts promise first. The others take a minute more: `pytest -m slow`.
QUICK = {"README.md", "recipes/fastspeech2/README.md", "recipes/matcha/README.md", "recipes/export/README.md"}

# What a reader fills in, by text.
FILLED_IN = {
    "recipes/ljspeech/ABLATIONS.md": {
        r"\bSETTINGS\b": "--config ljspeech --model.training.init_args.epochs 2",
        r"\bDIR\b": "TIMIT",
    },
    "recipes/synthetic/README.md": {r"utterances=120": "utterances=6"},
}
# Words that are added to a command, because it would take too long. The last of an option counts.
SHORTER: dict[str, list[str]] = {"demo": ["--utterances", "20"], "doctor": ["--seconds", "0.1"]}
# What is not run, and why.
NOT_RUN = {
    r"^make test\b": "it runs these tests",
    r"^make demo\b": "tests/commands/test_demo.py runs it",
    r"--frontend ssl": "needs weights of a self-supervised model, which are not part of the package",
    r"--trainer\.devices 2|--trainer\.accelerator gpu": "needs a GPU",
}
# What a Python block takes from the text around it.
NAMES_AROUND = {
    "scores": torch.randn(2, 3, 8),
    "text_lengths": torch.tensor([3, 2]),
    "speech_lengths": torch.tensor([8, 5]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished trainings: one of the same settings on the same corpus is not run again."""
    return tmp_path_factory.mktemp("models")


class World:
    """The programs of a terminal, and the inputs that commands name.

    Args:
        folder: Where the terminal begins.
        data: The folder of recordings.
        models: Where finished trainings are kept.
    """

    def __init__(self, folder: Path, data: Path, models: Path) -> None:
        self.data, self._models = data, models
        self.fastspeech2, self.matcha = FastSpeech2(), Matcha(data)
        self.vits = Vits(self.matcha)
        self.terminal = Terminal(folder, self.programs())

    def programs(self) -> dict[str, Program]:
        """What stands in for each program that a block may call."""
        clones = {
            "FastSpeech2": self.fastspeech2.clone,
            "Matcha-TTS": self.matcha.clone,
            "vits": self.vits.clone,
        }
        scripts = {
            "prepare_align.py config/LJSpeech/preprocess.yaml": self.fastspeech2.prepare_align,
            "preprocess.py config/LJSpeech/preprocess.yaml": self.fastspeech2.preprocess,
            "train.py -p config/LJSpeech/preprocess.yaml -m config/LJSpeech/model.yaml "
            "-t config/LJSpeech/train.yaml": self.fastspeech2.train,
            "matcha/utils/data/ljspeech.py": self.matcha.download,
            "matcha/train.py experiment=ljspeech_from_durations": self.matcha.train,
        }

        def lhotse(words: list[str], folder: Path) -> int:
            if words == ["download", "ljspeech", "."]:
                ljspeech(self.data, folder / "LJSpeech-1.1")
            else:
                assert words[:-2] == ["shar", "export", *["-a", "flac", "-s", "5000", "-j", "16"]]
                write_shar(self.data, folder / words[-1])
            return 0

        def cloned(words: list[str], folder: Path) -> int:
            verb, address = words
            assert verb == "clone"
            clones[address.rsplit("/", 1)[1]](folder)
            return 0

        def python(words: list[str], folder: Path) -> int:
            scripts[" ".join(words)](folder)
            return 0

        def installed(words: list[str], folder: Path) -> int:
            extras = re.findall(r"\.\[(.*)\]", " ".join(words))
            known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            assert all(f"\n{extra} = [" in known for extra in extras), f"no extra {extras}"
            return 0

        return {
            "aligner": self.aligner, "lhotse": lhotse, "torchrun": self.torchrun, "sbatch": self.sbatch,
            "git": cloned, "python": python, "pip": installed,
        }  # fmt: skip

    def aligner(self, words: list[str], folder: Path) -> int:
        """The program itself, after the inputs that it is to read are there."""
        words = [*words, *SHORTER.get(words[0], [])]
        if "--init-checkpoint" in words:  # the corpus must be read as the other aligner's was
            self.inputs()["LibriTTS"](Path("LibriTTS"))
        for word in words:
            make = self.inputs().get(word)
            if make is not None and not Path(word).exists() and word != self.output(words):
                make(Path(word))
        return self._fitted(words) if words[0] == "fit" else run(words)

    def torchrun(self, words: list[str], folder: Path) -> int:
        """A program once for each process, one after the other."""
        option, processes, no_python, program, *rest = words
        assert (option, no_python, program) == ("--nproc-per-node", "--no-python", "aligner")
        numbers = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": processes}
        return max(
            self._numbered(rest, folder, {**numbers, "RANK": rank, "LOCAL_RANK": rank})
            for rank in map(str, range(int(processes)))
        )

    def sbatch(self, words: list[str], folder: Path) -> int:
        """A Slurm array: what --wrap has, once for each task, one after the other."""
        array, _, wrap, command = words
        first, last = map(int, array.removeprefix("--array=").split("-"))
        assert wrap == "--wrap"
        print_words = 'aligner() { printf "%s\\0" "$@"; }; ' + command
        status = 0
        for task in range(first, last + 1):
            environment = {
                "SLURM_ARRAY_TASK_ID": f"{task}",
                "SLURM_ARRAY_TASK_MIN": f"{first}",
                "SLURM_ARRAY_TASK_COUNT": f"{last - first + 1}",
            }
            printed = subprocess.run(
                ["/bin/bash", "-c", print_words], env={**os.environ, **environment}, stdout=subprocess.PIPE,
                check=True,
            )  # fmt: skip
            own = printed.stdout.decode().split("\0")[:-1]
            status = max(status, self._numbered(own, folder, environment))
        return status

    def _numbered(self, words: list[str], folder: Path, environment: dict[str, str]) -> int:
        """`aligner` as a scheduler numbers its process."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return self.aligner(words, folder)

    def output(self, words: list[str]) -> str:
        return words[words.index("--out") + 1] if "--out" in words else ""

    def inputs(self) -> dict[str, Callable[[Path], object]]:
        """How to make what examples name without having made it."""
        voice = functools.partial(ljspeech, self.data)

        def prepared(path: Path) -> None:
            if Path("LibriTTS").exists():
                run(["prepare", "LibriTTS", "--out", str(path)])
            else:
                write_tiny_corpus(path.resolve(), 4)

        def wav(path: Path) -> None:
            soundfile.write(
                path, soundfile.read(self.data / f"ljspeech-sample/wavs/{path.stem}.flac")[0], 22050
            )
            path.with_suffix(".txt").write_text(self._clip_texts()[path.stem])

        def chapter(path: Path) -> None:
            clips = self._clip_texts()
            samples = [soundfile.read(self.data / f"ljspeech-sample/wavs/{c}.flac")[0] for c in clips]
            soundfile.write(path, np.concatenate(samples), 22050)
            path.with_suffix(".txt").write_text("\n".join(clips.values()))

        def checkpoint(path: Path) -> None:
            if not Path("prepared").exists():
                prepared(Path("prepared"))
            assert self._fitted(["fit", "--config", "smoke", "--data", "prepared", "--out", "trained"]) == 0
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy("trained/checkpoints/last.ckpt", path)

        def aligned(path: Path) -> None:
            made = []
            for number, clip in enumerate(CLIPS):
                wav(Path(f"{clip}.wav").resolve())
                made.append(of_recording(example(number, id=clip), Path(f"{clip}.wav").resolve()))
            write_alignments(path / "alignments.jsonl.gz", made)

        def corrections(path: Path) -> None:
            known = [u.reference for u in load_utterances("prepared") if u.reference is not None]
            corrected = [replace(own, by_hand_s=(own.tokens[2].start_s,)) for own in known]
            utterances = [alignment_to_json(own) for own in corrected]
            path.write_text(json.dumps({"format": "aligner corrections", "utterances": utterances}, indent=1))

        def textgrids(path: Path) -> None:
            own = path.name == "mfa_output" and Path("prepared").exists()  # of the same recordings
            source = Path("prepared" if own and not Path("aligned").exists() else "aligned")
            if not source.exists():
                aligned(source)
            export(read(source), {"textgrid": path})
            if path.name == "praat":
                for file in path.rglob("*.TextGrid"):
                    file.write_text(file.read_text().replace('"words"', '"ORT"').replace('"phones"', '"MAU"'))

        def file_list(path: Path) -> None:
            ljspeech(self.data, Path("wavs"))
            for clip in CLIPS:
                shutil.move(f"wavs/wavs/{clip}.wav", f"wavs/{clip}.wav")
                shutil.copy(f"wavs/{clip}.wav", f"{clip}.wav")
            path.write_text("".join(f"{clip}.wav|a b sp d e\n" for clip in CLIPS))

        def consumers_tokens(path: Path) -> None:
            lines = []
            for one in read("aligned"):
                lines.append(f"{one.id}|_ {' _ '.join(t.symbol for t in one.tokens)} _\n")
            path.write_text("".join(lines))

        def timit(path: Path) -> None:
            for file in sorted((self.data / "timit-dev" / "dr1-fvmh0").iterdir())[:16]:
                (path / "dr1-fvmh0").mkdir(parents=True, exist_ok=True)
                shutil.copy(file, path / "dr1-fvmh0" / file.name)

        def folder_of_texts(path: Path) -> None:
            for clip, text in zip(CLIPS, ("tea", "sam at", "same", "mate zorbled"), strict=True):
                wav_path = path / "anna" / f"{clip}.wav"
                wav_path.parent.mkdir(parents=True, exist_ok=True)
                wav(wav_path)
                wav_path.with_suffix(".txt").write_text(text)

        return {
            "LJSpeech-1.1": voice, "LibriTTS": folder_of_texts, "TIMIT_SAMPLE": timit,
            "timit/test": textgrids, "praat": textgrids, "mfa_output": textgrids, "my-textgrids": textgrids,
            "prepared": prepared, "aligned": aligned,
            "corpus": folder_of_texts, "recordings": folder_of_texts, "chapter.wav": chapter,
            "corrections.json": corrections,
            "english_us_arpa.dict": lambda path: path.write_text(
                "tea\tT IY1\nsam\tS AE1 M\nat\tAE1 T\nsame\tS EY1 M\nmate\tM EY1 T\n"
                "a\tEY1\nsentence\tS EY1 T\nthat\tAE1 T\nwas\tM AE1 S\nnot\tM AE1 T\nin\tIY1 M\n"
                "the\tT IY1\ncorpus\tT AE1 S\n"
                "printing\tT IY1 T\nonly\tT M IY1\nsense\tS EY1 M S\nwith\tM IY1 T\nwhich\tM IY1 T\n"
                "we\tM IY1\nare\tAE1 M\npresent\tT EY1 S M T\nconcerned\tT EY1 M S T\n"
            ),
            "out-of-lexicon.tsv": lambda path: path.write_text("daw\td ɔ\n"),
            "filelist.txt": file_list, "consumer.txt": consumers_tokens,
            "last.ckpt": checkpoint, "runs/ljspeech/checkpoints/last.ckpt": checkpoint,
            **{f"{clip}.wav": wav for clip in (*CLIPS, "LJ001-0001")},
            "mine.wav": lambda path: (wav(Path("LJ001-0002.wav")), shutil.move("LJ001-0002.wav", path)),
        }  # fmt: skip

    def _clip_texts(self) -> dict[str, str]:
        rows = (self.data / "ljspeech-sample/metadata.csv").read_text(encoding="utf-8").splitlines()
        texts = {row.split("|")[0]: row.split("|")[2] for row in rows}
        return {clip: texts[clip] for clip in (*CLIPS, "LJ001-0001")}

    def _fitted(self, words: list[str]) -> int:
        """`aligner fit`; the same settings on the same corpus were trained once before."""
        options = [
            w for i, w in enumerate(words) if w not in ("--out", "--resume") and words[i - 1] != "--out"
        ]
        if "--data" not in words or "--init-alignments" in words or "--print_config" in words:
            return run(words)
        corpus = [(u.id, u.transcript.to_dict()) for u in load_utterances(words[words.index("--data") + 1])]
        key = json.dumps([options, corpus])
        kept = self._models / f"{hash(key)}"
        if "--resume" in words:  # of a training that was stopped
            self._fitted([word for word in words if word != "--resume"])
            return run(words)
        if not kept.exists() or "--out" not in words:
            status = run(words)
            if status == 0 and "--out" in words:
                shutil.copytree(self.output(words), kept)
            return status
        shutil.copytree(kept, self.output(words), dirs_exist_ok=True)
        return 0


def of_recording(alignment: Alignment, path: Path) -> Alignment:
    """A made-up alignment with the length of a recording."""
    info = soundfile.info(path)
    factor = info.duration / alignment.duration_s

    def stretched(intervals: tuple[Interval, ...]) -> tuple[Interval, ...]:
        return tuple(replace(i, start_s=i.start_s * factor, end_s=i.end_s * factor) for i in intervals)

    return replace(
        alignment, audio=str(path), duration_s=info.duration, tokens=stretched(alignment.tokens),
        words=stretched(alignment.words),
    )  # fmt: skip


def record(data: Path, folder: Path) -> None:
    """Ten recordings, as somebody would name them who does what the page says. The words are other ones."""
    folder.mkdir(parents=True)
    for number, clip in zip(range(1, 11), itertools.cycle(CLIPS)):
        audio, rate_hz = soundfile.read(data / "ljspeech-sample" / "wavs" / f"{clip}.flac")
        soundfile.write(folder / f"{number:02}.wav", audio, rate_hz)


def write_shar(data: Path, folder: Path) -> None:
    """Some clips as lhotse's Shar, with ids of their own."""
    folder.mkdir(parents=True)
    cuts = []
    for clip, text in zip(CLIPS, ("tea", "sam at", "same", "mate"), strict=True):
        recording = Recording.from_file(data / f"ljspeech-sample/wavs/{clip}.flac")
        id = f"{folder.name}-{clip}"
        spoken = SupervisionSegment(id, recording.id, 0, recording.duration, text=text)
        cuts.append(MonoCut(id, 0, recording.duration, 0, [spoken], recording=recording))
    CutSet.from_cuts(cuts).to_shar(folder, fields={"recording": "flac"}, shard_size=2)


def run(words: list[str]) -> int:
    try:
        return cli.main(words)
    except SystemExit as done:
        return int(done.code or 0)


def left_out(block: str) -> str:
    """A block without the commands that are not run; says which."""
    for line in block.splitlines():
        for pattern, why in NOT_RUN.items():
            if re.search(pattern, line):
                print(f"not run, because {why}: {line}")
                block = block.replace(line, ":")
    return block


def run_python(block: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a Python block where the terminal is; one that is indented is for another program's function."""
    if block[0].isspace():
        return
    code = compile(block, "block", "exec")
    monkeypatch.chdir(world.terminal.folder)
    for name in set(re.findall(r'"([\w-]+\.wav)"', block)):
        clip = name if name in world.inputs() else f"{CLIPS[0]}.wav"
        world.inputs()[clip](Path(clip))
        if clip != name:
            shutil.copy(clip, name)
    if "matcha.text" in block:
        matcha = ModuleType("matcha")
        monkeypatch.setitem(sys.modules, "matcha", matcha)
        monkeypatch.setitem(sys.modules, "matcha.text", world.matcha.text_module())
    exec(code, dict(NAMES_AROUND))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # `for line in open(...)`
@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=[] if text in QUICK else pytest.mark.slow) for text in TEXTS]
)
def test_blocks_run_as_they_are_written(
    text: str, tmp_path: Path, speech_data: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader")
    (tmp_path / "home").mkdir()
    world = World(tmp_path / "home", speech_data, models)
    found = list(blocks((ROOT / text).read_text(encoding="utf-8")))
    if text == "README.md":  # its Python uses the model that the commands after it make
        found.sort(key=lambda block: block[0] == "python")
    if text == "recipes/export/README.md":
        write_alignments(
            tmp_path / "home/aligned/alignments.jsonl.gz",
            [example(i, id=clip) for i, clip in enumerate(CLIPS)],
        )
    if text == "recipes/own_recordings/README.md":
        record(speech_data, tmp_path / "home/recordings")
    for language, block in found:
        for pattern, filled_in in FILLED_IN.get(text, {}).items():
            block = re.sub(pattern, filled_in, block)
        if language == "sh":
            world.terminal.run(left_out(block))
        else:
            run_python(block, world, monkeypatch)
    if text == "recipes/vits/README.md":
        world.vits.load(world.terminal.folder)


def examples(command: str) -> list[str]:
    """The commands in the examples of a command's help."""
    parser = build_parser(command)
    shown = next(
        action.choices[command].format_help()
        for action in parser._subparsers._group_actions  # type: ignore[union-attr]
        if command in (action.choices or ())
    )
    return re.findall(r"^ +(aligner (?:.*\\\n)*.*)$", shown.replace("usage: aligner", ""), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_help_run_as_they_are_written(
    command: str, tmp_path: Path, speech_data: Path, models: Path
) -> None:
    found = examples(command)
    assert found
    for number, line in enumerate(found):
        folder = tmp_path / str(number)
        folder.mkdir()
        World(folder, speech_data, models).terminal.run(left_out(line))


def test_a_block_that_rots_is_noticed(tmp_path: Path, speech_data: Path, models: Path) -> None:
    for number, block in enumerate(
        (
            "aligner export aligned --fromat npy --out o",
            "curl https://example.org",
            "aligner align",
            "python x.py",
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises((AssertionError, KeyError)):
            World(folder, speech_data, models).terminal.run(block)
