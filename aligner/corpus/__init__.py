"""Corpus: recordings and texts come in, are checked, and are stored as a prepared corpus.

In: a folder, list or manifest as people have them (`readers`, one file a layout). Out: a list of
`Utterance`s (`checks`, `prepared`), the audio of each (`audio`), and its hand-made times where there are any
(`reference`). What looks wrong about the corpus as a whole is said by `plausibility`.
`synthetic` makes a corpus of its own.
"""
