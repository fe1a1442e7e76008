"""What the search found in a batch of utterances.

B batch, N packed tokens, F packed frames, M states, V symbols.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.alignment import Alignment, Gap, Interval
from aligner.confidence import goodness_of_pronunciation
from aligner.encoders import Encoder
from aligner.encoders.base import Emissions
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import starts_of
from aligner.search import (
    CommonWords,
    Gaps,
    TokenDurations,
    align_with_gaps,
    find_gaps,
)
from aligner.text.packed import PackedTexts, PackedTokens
from aligner.text.transcript import GAP, Transcript

_NOTHING = -1e6  # goodness of speech that the text lacks: none of its phones is there


@dataclass(frozen=True)
class Decoded:
    """What the search found in a batch of utterances; N tokens, one utterance after the other.

    Args:
        texts: Their words with all pronunciations.
        tokens: With the pronunciations that were chosen.
        durations: The frames of each token.
        goodness: `[N]`, the goodness of pronunciation of each token.
        evidence: `[B, 3]`, `utterance_evidence` of the whole texts.
        gaps: Where text and audio of an utterance differ, by its place in the batch.
    """

    texts: PackedTexts
    tokens: PackedTokens
    durations: TokenDurations
    goodness: NDArray[np.float64]
    evidence: NDArray[np.float64]
    gaps: Mapping[int, Gaps] = field(default_factory=dict)

    def with_gaps(
        self,
        encoder: Encoder,
        emissions: Emissions,
        features: PackedFeatures,
        log_posteriors: Tensor,
        wanted: Mapping[int, Transcript],
        common_words: CommonWords,
    ) -> "Decoded":
        """This, with gaps looked for in some utterances, which are aligned anew around these.

        All else is as it was.

        Args:
            encoder: A context-free one.
            emissions: `[F, M]` for each feature stream.
            features: The packed features of the utterances.
            log_posteriors: `[F, V]`.
            wanted: The transcripts of those that are looked at, by their place in the batch.
            common_words: Of which one may be missing from a text.
        """
        gap_id = n_symbols = log_posteriors.shape[1]
        gaps = find_gaps(
            encoder,
            emissions.joint,
            features,
            self.texts,
            self.tokens,
            self.durations,
            wanted,
            n_symbols,
            common_words,
        )
        if not gaps:
            return self
        tokens, durations = align_with_gaps(
            encoder, emissions, features, self.tokens, self.durations, gaps, gap_id
        )
        has_gaps = np.isin(np.arange(len(tokens.ids)), list(gaps))
        anew, as_it_was = has_gaps.repeat(tokens.lengths), ~has_gaps.repeat(self.tokens.lengths)
        own, is_gap = tokens.only(list(gaps)), tokens.token_ids == gap_id
        goodness = np.empty(len(tokens))
        goodness[~anew] = self.goodness[as_it_was]
        goodness[anew] = goodness_of_pronunciation(
            log_posteriors,
            starts_of(features.n_frames)[has_gaps],
            durations.joint[anew],
            replace(own, token_ids=np.where(is_gap[anew], 0, own.token_ids)),
        )
        goodness[is_gap] = _NOTHING
        return Decoded(self.texts, tokens, durations, goodness, self.evidence, gaps)


def marked(alignment: Alignment, words: Sequence[str], gaps: Gaps) -> Alignment:
    """The alignment with its gaps marked.

    Args:
        alignment: With the words that are said.
        words: All words of its text.
        gaps: Where text and audio differ.
    """
    marks, speech = [], (token for token in alignment.tokens if token.symbol == GAP and token.word < 0)
    for place in gaps.places(len(words)):
        before_s = alignment.words[place.before - 1].end_s if place.before else 0.0
        none = Interval(GAP, before_s, before_s)
        own = next(speech, none) if place.extra else none
        marks.append(Gap(own.start_s, own.end_s, tuple(words[word] for word in place.unsaid)))
    return replace(alignment, gaps=tuple(marks))
