"""Backends of the search. Each has the name of its file or folder, and is imported when it is first used.

Each has a function `durations(scores, text_lengths, speech_lengths, skippable=None)`. It gets scores
`[B, T, S]` of any float type and strides, int32 or int64 lengths `[B]` on the same device, and bool `[B, T]`
or None. It returns int64 durations `[B, T]`, with a row of -1 for an item without a path. It never raises
because of values in the tensors, and it never waits for the GPU. `reference.py` defines the right result.
All but `hopper` also take `added=`, an `Added` of bias and noise, which they add as they read the scores.

Each also has a function `state_durations(emissions, starts, states, text_lengths, speech_lengths,
skippable=None, most_frames=None)`: the same search where frame j of item b scores
`emissions[starts[b] + j, states[b, i]]` in token i, or `emissions[b, j, states[b, i]]`. It gets emissions
`[F, M]` with int64 or int32 starts `[B]`, or `[B, S, M]` with None (`packed_emissions.py` makes the one of
the other); they have any float type and strides and at least one element. It gets int32 or int64 states
`[B, T]`, and the rest as above. An item has no path either if its frames are not all among the F, or more
than `most_frames`, or if a state within its text length is not among the M. The result depends on nothing
else of the emissions than what a path of the item can visit, and `[B, T, S]` is never held.

The forward sum of a backend is in a file `NAME_forward.py` with the functions `log_sums`, `add_gradient`,
`state_log_sums`, `add_state_gradient` and `boundary_moments`, which `reference_forward.py` describes and
defines. They get what the functions above get; gradients are given as zeros.

B batch, T text tokens, S speech frames, F packed frames, M states.
"""
