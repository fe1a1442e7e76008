"""What the tests of phonemizers look at."""

from aligner.text.phonemizer import Phonemizer
from aligner.text.transcript import Transcript


def words(transcript: Transcript) -> list[str]:
    """The words as written."""
    return [word.text for word in transcript.words]


def variants(phonemizer: Phonemizer, word: str) -> set[str]:
    """All pronunciations of one word, their phones separated by spaces."""
    (spoken,) = phonemizer(word).words
    return {" ".join(variant) for variant in spoken.variants}
