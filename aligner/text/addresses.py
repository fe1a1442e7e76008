"""Addresses of the internet and of mail, as they are said."""

import re

from aligner.errors import AlignerError

_SUFFIXES = (
    "com|org|net|edu|gov|int|info|biz|io|ai|app|dev|co|eu|uk|de|fr|es|it|nl|cz|pl|ru|ch|at|us|ca|au|jp|cn|in"
)
ADDRESS = re.compile(
    r"(?<![\w@.])(?:https?://)?((?:[\w.+-]+@)?(?:[a-z0-9-]+\.)+"
    rf"(?:{_SUFFIXES})(?![\w-])(?!\.[a-z])(?:/[\w./?=&%#~+-]*[\w/])?)"
)


def say_address(names: dict[str, str], found: re.Match[str]) -> str:
    """An address without its scheme, which nobody says.

    Args:
        names: What the signs are called.
        found: By `ADDRESS`.

    Raises:
        AlignerError: For a sign without a name.
    """
    address = re.sub(r"\.[a-z]{2}(?=/|$)", lambda country: country[0].upper(), found[1])
    words = []
    for part in re.findall(r"[^\W_]+|.", address):
        if not part.isalnum() and part not in names:
            raise AlignerError(f"{part!r} in {found[0]!r} is not read: write the address out in words")
        words.append(part.upper() if part == "www" else names.get(part, part))
    return " ".join(words)
