"""The symbols an aligner knows, as indices."""

from collections.abc import Sequence

from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE


class Vocabulary:
    """Symbols and their indices.

    Args:
        symbols: All of them, the pause first.

    Raises:
        AlignerError: If they do not begin with the pause.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        if not symbols or symbols[0] != PAUSE:
            raise AlignerError(f"symbols must begin with {PAUSE!r}, not {list(symbols)[:1]}")
        self.symbols = tuple(symbols)
        self.index = {symbol: index for index, symbol in enumerate(symbols)}

    def __len__(self) -> int:
        return len(self.symbols)
