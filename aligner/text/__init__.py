"""Text: what is written becomes words, phones and tokens.

In: the text of an utterance. Out: a `Transcript`, the words with all their pronunciations, and from it the
tokens that the search runs over. A phonemizer (`phonemizer.load_phonemizer`) makes the transcript.
"""
