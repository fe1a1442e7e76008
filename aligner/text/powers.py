"""Powers: "10⁶", and those of ten in "1.5e-3"."""

import re
from collections.abc import Callable

from aligner.errors import AlignerError
from aligner.text.numbers import Numbers

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_RAISED + "⁻", "0123456789-")


def power_rules(numbers: Numbers, start: str) -> list[tuple[str, Callable[[re.Match[str]], str]]]:
    """Regular expressions, and what gives the words of what they find.

    Args:
        numbers: Of the language.
        start: A regular expression of where a number may begin.
    """

    def words(found: re.Match[str]) -> str:
        parts = found.groupdict()
        power = found["power"].translate(_PLAIN).lstrip("+⁺")
        if not numbers.table.power:
            raise AlignerError(f"{found[0]!r} is a power, which is not read: write it out in words")
        base = numbers.read(parts.get("base") or "10")
        if parts.get("base") and power in numbers.table.powers:
            return f"{base} {numbers.table.powers[power]} "
        times = f"{numbers.read(parts['times'])} {numbers.sign('×')} " if parts.get("times") else ""
        minus = f"{numbers.table.minus} " if power.startswith("-") else ""
        return f"{times}{base} {numbers.table.power} {minus}{numbers.cardinal(power.lstrip('-'))} "

    # "3e40" may name a room: without a sign or a fraction it is none.
    return [
        (rf"{start}(?P<times>\d+(?:[.,]\d+)?)e(?P<power>[+-]\d+)(?!\w)", words),
        (rf"{start}(?P<times>\d+[.,]\d+)[eE](?P<power>[+-]?\d+)(?!\w)", words),
        (rf"{start}(?P<base>{numbers.pattern})(?P<power>[⁺⁻]?[{_RAISED}]+)(?!\w)", words),
    ]
