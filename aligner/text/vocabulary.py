"""The symbols an aligner knows, as indices.

T text tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE, Tokens, Transcript


@dataclass(frozen=True)
class Reading:
    """One utterance's tokens, with one pronunciation chosen for each word, ready for a search.

    Args:
        id: Of the utterance, for errors.
        tokens: T tokens.
        token_ids: Each one's index in the vocabulary.
    """

    id: str
    tokens: Tokens
    token_ids: list[int]


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

    def readings(
        self,
        ids: Sequence[str],
        transcripts: Sequence[Transcript],
        chosen: Sequence[tuple[int, ...]] | None = None,
    ) -> list[Reading]:
        """The readings of several utterances.

        Args:
            ids: Their names.
            transcripts: Their words with all pronunciations.
            chosen: The pronunciation of each word, as `Transcript.tokens` takes them; None: the first.

        Raises:
            AlignerError: As `reading`.
        """
        choices = [None] * len(ids) if chosen is None else chosen
        return [
            self.reading(id, transcript.tokens(choice))
            for id, transcript, choice in zip(ids, transcripts, choices, strict=True)
        ]

    def reading(self, id: str, tokens: Tokens) -> Reading:
        """The tokens with their indices.

        Raises:
            AlignerError: For symbols that are not in the vocabulary, naming the utterance.
        """
        unknown = sorted(set(tokens.symbols) - set(self.index))
        if unknown:
            raise AlignerError(
                f"{id}: the aligner has not learnt {', '.join(unknown)}; it knows {', '.join(self.symbols)}"
            )
        return Reading(id, tokens, [self.index[symbol] for symbol in tokens.symbols])
