"""What the kernels in lockstep.cu are told; lockstep_items.cuh explains it."""

import ctypes


class Arguments(ctypes.Structure):
    """`struct Arguments` of lockstep_items.cuh."""

    _fields_ = [
        ("scores", ctypes.c_uint64),
        ("stride_b", ctypes.c_int64),
        ("stride_j", ctypes.c_int64),
        ("stride_slot", ctypes.c_int64),
        ("starts", ctypes.c_uint64),
        ("states", ctypes.c_uint64),
        ("skippable", ctypes.c_uint64),
        ("text_lengths", ctypes.c_uint64),
        ("speech_lengths", ctypes.c_uint64),
        ("durations", ctypes.c_uint64),
        ("words", ctypes.c_uint64),
        ("entries", ctypes.c_uint64),
        ("ends", ctypes.c_uint64),
        ("before", ctypes.c_uint64),
        ("needed", ctypes.c_uint64),
        ("column_in", ctypes.c_uint64),
        ("column_out", ctypes.c_uint64),
        ("row_in", ctypes.c_uint64),
        ("row_out", ctypes.c_uint64),
        ("T", ctypes.c_int32),
        ("S", ctypes.c_int32),
        ("M", ctypes.c_int32),
        ("most_columns", ctypes.c_int32),
        ("states_are_int64", ctypes.c_int32),
        ("text_lengths_are_int64", ctypes.c_int32),
        ("speech_lengths_are_int64", ctypes.c_int32),
        ("mode", ctypes.c_int32),
        ("slots", ctypes.c_int32),
        ("by_state", ctypes.c_int32),
        ("stages", ctypes.c_int32),
        ("first_column", ctypes.c_int32),
        ("n_columns", ctypes.c_int32),
        ("slices", ctypes.c_int32),
        ("slice_rows", ctypes.c_int32),
        ("slice_halo", ctypes.c_int32),
        ("pitch", ctypes.c_int32),
        ("n_blocks", ctypes.c_int32),
        ("n_segments", ctypes.c_int32),
    ]
