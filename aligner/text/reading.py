"""How texts were read, as corpora, checkpoints and alignments state it, and whether two of them agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REFERENCE = "reference"  # in place of a phonemizer's name: the phones are those of the known times
# Options that say how one corpus is written, or add to what is known of its words: what is read is the same.
_OF_ONE_CORPUS = ("capitals", "lexicon", "notes")
_ANY_LANGUAGE = ("characters", "tokens", REFERENCE)  # these do the same in every language


@dataclass(frozen=True)
class TextReading:
    """How texts became tokens.

    Args:
        phonemizer: The name that `load_phonemizer` takes, or `REFERENCE`.
        language: The language that it takes.
        options: Its other arguments.
    """

    phonemizer: str
    language: str
    options: Mapping[str, Any]

    @classmethod
    def stated(cls, data: object) -> "TextReading | None":
        """What a file states; None where it states nothing, as before files did so.

        Args:
            data: `{phonemizer, language, options}` in plain types, or anything else.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("phonemizer"), str):
            return None
        return cls(data["phonemizer"], str(data.get("language", "")), dict(data.get("options") or {}))

    def agrees(self, other: "TextReading") -> bool:
        """Whether the other one reads every text alike."""
        return self._compared() == other._compared()

    def __str__(self) -> str:
        """The arguments of `aligner prepare`."""
        if self.phonemizer == REFERENCE:
            return "--phones-from-reference"
        words = [f"--phonemizer {self.phonemizer}"]
        if self.phonemizer not in _ANY_LANGUAGE:
            words.append(f"--language {self.language}")
        for name, value in sorted(self._given().items()):
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, list | tuple | set | frozenset):
                words += [option, *map(str, value)]
            else:
                words += [option] if value is True else [option, str(value)]
        return " ".join(words)

    def _given(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.options.items()
            if value not in (None, False, [], (), {}) and name not in _OF_ONE_CORPUS
        }

    def _compared(self) -> tuple[str, str, list[tuple[str, str]]]:
        """An option that is a list means a set of symbols, so its order does not matter."""
        options = [
            (name, str(sorted(map(str, value)) if isinstance(value, list | tuple) else value))
            for name, value in sorted(self._given().items())
        ]
        return self.phonemizer, "" if self.phonemizer in _ANY_LANGUAGE else self.language, options
