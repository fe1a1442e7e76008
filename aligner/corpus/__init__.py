"""Corpus: recordings and texts come in, are checked, and are stored as a prepared corpus.

In: a folder, file list or manifest as people have them (`readers`). Out: a list of `Utterance`s (`checks`,
`prepared`), the audio of each (`audio`), and its hand-made times where there are any (`reference`).
`synthetic` makes a corpus of its own.
"""
