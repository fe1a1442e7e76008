"""Odd and damaged texts, bytes and JSON data, drawn from a random number generator."""

from pathlib import Path
from random import Random
from typing import Any

# What finds faults in readers of numbers, texts and paths.
# fmt: off
ODD_TEXTS = (
    "", " ", "\0", "\ufeff", "\u200b", "\u202e", "\u2028", "\x85", "\x0b", "e\u0301", "ß", "İ", "𝕏", "👍🏽",
    "你好，世界。", "नमस्ते", "שלום", "مرحبا", "ไทย", "|", "||", "\t", ",", ";", '"', '""', "'",
    "nan", "inf", "-inf", "-0", "1e999", "1e-320", "0x1F", "1_000", "٣", "½", "²", "9" * 40, "3E40",
    "$5M", "5kg", "1/2", "1990s", "3:45", "No. 7", "St. Paul", "a.b.c", "A.B.", "x" * 3000, "[laughter]",
    "wavs/a.wav", "a.wav", "a", "id", "text", "None", "null", "true", "{}", "[]", "%s", "a b c", "../x",
    "\\", "/", "x" * 300 + ".wav", "..", "1,5", "-1", "sil", "<unk>", "~", "*", "C:\\x",
)
# fmt: on
PLAIN_TEXTS = ("hello there", "good day to you", "where is the dog", "one")
_NUMBERS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1\0\0\0")


def odd(draw: Random) -> str:
    return draw.choice(ODD_TEXTS)


def text(draw: Random) -> str:
    """Mostly ordinary, with odd pieces."""
    pieces = range(draw.randint(1, 3))
    return " ".join(odd(draw) if draw.random() < 0.2 else draw.choice(PLAIN_TEXTS) for _ in pieces)


def value(draw: Random) -> Any:
    """A value as JSON has it."""
    plain = (1.5, -1, 0, 1e300, float("nan"), None, True, [], {}, {"path": "a.wav"}, [[]], 10**400)
    return draw.choice((odd(draw), text(draw), *plain))


def damaged(content: bytes, draw: Random) -> bytes:
    """The content with up to a few changes of bytes, or as it was."""
    data = bytearray(content)
    for _ in range(draw.choice((0, 1, 1, 2, 5))):
        place = draw.randrange(len(data) + 1)
        kind = draw.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] = draw.randrange(256)
        elif kind == 1:
            data[place:place] = odd(draw).encode("utf-8", "surrogatepass")
        elif kind == 2:
            del data[place : place + draw.randint(1, 40)]
        elif kind == 3:
            del data[place:]
        elif kind == 4:
            data[place:place] = data[max(0, place - draw.randint(1, 80)) : place]
        elif data:
            place %= len(data)
            data[place : place + 4] = draw.choice(_NUMBERS)
    return bytes(data)


def mutated(data: Any, draw: Random) -> Any:
    """JSON data with one value somewhere in it replaced or taken out."""
    if isinstance(data, dict) and data and draw.random() < 0.85:
        key = draw.choice(list(data))
        if draw.random() < 0.15:
            return {name: value for name, value in data.items() if name != key}
        return {**data, key: mutated(data[key], draw)}
    if isinstance(data, list | tuple) and data and draw.random() < 0.85:
        place = draw.randrange(len(data))
        instead = [] if draw.random() < 0.15 else [mutated(data[place], draw)]
        return [*data[:place], *instead, *data[place + 1 :]]
    return value(draw)


def words_replaced(content: str, draw: Random) -> str:
    """The content with up to two of its words replaced by odd ones."""
    words = content.split(" ")
    for _ in range(draw.choice((0, 1, 2))):
        words[draw.randrange(len(words))] = odd(draw) + draw.choice(("", "\n"))
    return " ".join(words)


def written(path: Path, content: str | bytes, draw: Random) -> Path:
    """A file of the content, damaged now and then, in one of the encodings that people use."""
    if isinstance(content, str):
        encoding = draw.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1", "utf-16-le"))
        content = content.replace("\n", draw.choice(("\n", "\n", "\r\n"))).encode(encoding, "replace")
    path.write_bytes(damaged(content, draw) if draw.random() < 0.5 else content)
    return path
