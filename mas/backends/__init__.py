"""Backends of the search. Each has the name of its file or folder, and is imported when it is first used.

Each has a function `durations(scores, text_lengths, speech_lengths, skippable=None)`. It gets scores
`[B, T, S]` of any float type and strides, int32 or int64 lengths `[B]` on the same device, and bool `[B, T]`
or None. It returns int64 durations `[B, T]`, with a row of -1 for an item without a path. It never raises
because of values in the tensors, and it never waits for the GPU. `reference.py` defines the right result.

B batch, T text tokens, S speech frames.
"""
