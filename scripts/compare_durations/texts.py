"""Tokens, the same for every aligner: lists to align, and durations of other aligners on them."""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from aligner.alignment import Alignment, Interval, is_pause
from aligner.corpus.prepared import Utterance, load_audio, load_utterances
from aligner.errors import AlignerError
from aligner.formats import read
from aligner.formats.tts import PRESETS
from aligner.text.transcript import Transcript

SPOKEN_BREAKS = re.compile("[,.;:!?–—…]|--")  # at which readers pause inside a sentence; no single hyphen
LIST, DICTIONARY, VITER_CORPUS = "tokens.csv", "viter.dict", "viter"
VITER_RATE_HZ = 16000


@dataclass(frozen=True)
class Text:
    """One utterance's tokens: `sil`, phones, `sp` where punctuation stands between two words, `sil`.

    Args:
        words: The phones of each word; its first pronunciation.
        pause_after: For each word whether an `sp` follows.
    """

    words: tuple[tuple[str, ...], ...]
    pause_after: tuple[bool, ...]

    @classmethod
    def of(cls, transcript: Transcript) -> "Text":
        """The tokens of a prepared transcript: one pronunciation a word, whatever was said."""
        words = tuple(word.variants[0] for word in transcript.words)
        marked = [SPOKEN_BREAKS.search(mark) is not None for mark in transcript.breaks[1:]]
        return cls(words, (*marked[: len(words) - 1], False))

    def tokens(self, between: str = "") -> list[str]:
        """All tokens; `between` two words without `sp`, if given."""
        tokens = ["sil"]
        for index, (word, pause) in enumerate(zip(self.words, self.pause_after, strict=True)):
            tokens += word
            if pause:
                tokens.append("sp")
            elif between and index < len(self.words) - 1:
                tokens.append(between)
        return [*tokens, "sil"]


def texts_of(prepared: Path) -> Iterator[tuple[Utterance, Text]]:
    """Each utterance of a prepared corpus with its tokens.

    Args:
        prepared: What `aligner prepare --phonemizer cmudict --keep-stress` wrote.
    """
    for utterance in load_utterances(prepared):
        yield utterance, Text.of(utterance.transcript)


def write_lists(prepared: Path, out: Path) -> int:
    """Write the list for `aligner prepare --phonemizer tokens`, and a corpus and dictionary for viter.

    Args:
        prepared: As in `texts_of`.
        out: A folder.

    Returns:
        How many utterances there are.

    Raises:
        AlignerError: If two words of different phones would have one name in viter's dictionary.
    """
    corpus = out / VITER_CORPUS / "speaker"
    corpus.mkdir(parents=True, exist_ok=True)
    names: dict[str, tuple[str, ...]] = {}
    lines = []
    for utterance, text in texts_of(prepared):
        lines.append(f"{utterance.audio}|{' '.join(text.tokens(between='|'))}\n")
        keys = [_key(word) for word in text.words]
        for key, word in zip(keys, text.words, strict=True):
            if names.setdefault(key, word) != word:
                raise AlignerError(
                    f"{utterance.id}: {word} and {names[key]} are both {key!r} in a dictionary"
                )
        (corpus / f"{utterance.id}.txt").write_text(" ".join(keys) + "\n")
        sound = load_audio(utterance, VITER_RATE_HZ)
        soundfile.write(corpus / f"{utterance.id}.wav", sound.numpy(), VITER_RATE_HZ)
    (out / LIST).write_text("".join(["wav|text\n", *lines]))
    (out / DICTIONARY).write_text(
        "".join(f"{key}\t{' '.join(word)}\n" for key, word in sorted(names.items()))
    )
    return len(lines)


def place(text: Text, alignment: Alignment) -> Alignment:
    """Another aligner's times on the tokens of a text.

    An `sp` gets what lies between its words, the outer `sil` what lies before and after the words, and a
    pause between two words without `sp` goes to the phone before, as `aligner export` does it.

    Args:
        text: The tokens.
        alignment: Times of its phones and of any pauses.

    Raises:
        AlignerError: If the phones are not those of the text.
    """
    phones = [token for token in alignment.tokens if not is_pause(token.symbol)]
    wanted = [phone for word in text.words for phone in word]
    if [phone.symbol for phone in phones] != wanted:
        raise AlignerError(
            f"{alignment.id}: its phones are not those of {LIST}: "
            f"{' '.join(phone.symbol for phone in phones)} instead of {' '.join(wanted)}"
        )
    ends_s = [phone.end_s for phone in phones]
    starts_s = [phone.start_s for phone in phones]
    times, spoken = [0.0], 0  # where each token begins
    for token in text.tokens()[1:-1]:
        times.append(ends_s[spoken - 1] if token == "sp" else starts_s[spoken])
        spoken += token != "sp"
    times += [ends_s[-1], alignment.duration_s]
    tokens = tuple(
        Interval(symbol, start_s, end_s)
        for symbol, start_s, end_s in zip(text.tokens(), times[:-1], times[1:], strict=True)
    )
    return replace(alignment, tokens=tokens, words=())


def write_durations(prepared: Path, alignments: Path, out: Path) -> int:
    """Write another aligner's durations as `aligner export --format npy` writes ours.

    Args:
        prepared: As in `texts_of`.
        alignments: Its times, in any format that `aligner evaluate` reads.
        out: The folder of durations.

    Returns:
        How many utterances there are.

    Raises:
        AlignerError: If an utterance has no alignment, or one of other phones.
    """
    (out / "durations").mkdir(parents=True, exist_ok=True)
    found = {Path(alignment.id).name: alignment for alignment in read(alignments)}
    lines = []
    for utterance, text in texts_of(prepared):
        if utterance.id not in found:
            raise AlignerError(f"{utterance.id}: {alignments} has no alignment of it")
        own = replace(found[utterance.id], id=utterance.id, duration_s=utterance.duration_s)
        durations = place(text, own).durations_on(PRESETS["fastspeech2"])
        np.save(out / "durations" / f"{utterance.id}.npy", durations)
        lines.append(f"{utterance.id}|{' '.join(text.tokens())}\n")
    (out / "tokens.txt").write_text("".join(lines))
    return len(lines)


def _key(word: Sequence[str]) -> str:
    return "".join(word).lower()


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`texts` and `place`."""
    texts = commands.add_parser("texts", help="write what the aligners are to align")
    texts.add_argument("prepared", type=Path)
    texts.add_argument("--out", type=Path, required=True)
    texts.set_defaults(run=lambda args: print(f"{write_lists(args.prepared, args.out)} texts in {args.out}"))
    placed = commands.add_parser("place", help="durations of another aligner's times")
    placed.add_argument("prepared", type=Path)
    placed.add_argument("alignments", type=Path)
    placed.add_argument("--out", type=Path, required=True)
    placed.set_defaults(
        run=lambda args: print(
            f"{write_durations(args.prepared, args.alignments, args.out)} utterances in {args.out}"
        )
    )
