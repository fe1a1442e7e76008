"""Drop-in replacements for the searches of existing trainers: only the import changes.

- Glow-TTS, Grad-TTS, Matcha-TTS, Coqui, the package `monotonic-alignment-search`, `[B, T, S]`:
  `from mas.compat import glow_tts as monotonic_align`, or `from mas.compat.glow_tts import maximum_path`
- VITS, VITS2, PITS, piper, Bert-VITS2, NeMo's VITS, ESPnet's VITS, `[B, S, T]`:
  `from mas.compat import vits as monotonic_align`, or `from mas.compat.vits import maximum_path`
- StyleTTS, StyleTTS2, resemble-ai's package `monotonic_align`, `[B, T, S]`:
  `from mas.compat.monotonic_align import mask_from_lens, maximum_path, maximum_path_c`
- Super-MAS, `[B, T, S]`: `from mas.compat import super_mas as super_monotonic_align`
- NeMo's aligner, FastPitch, numpy `[B, 1, S, T]`: `from mas.compat import b_mas`
- torchaudio, `[B, S, V]`: `from mas.compat import forced_align`
- the loss of NeMo, RAD-TTS, FastPitch, `[B, 1, S, T]`: `from mas.compat import ForwardSumLoss`

Of the searches of trainers, three things always differ from theirs. No input is written to. Sums are float32
for every type of the scores, and stay right below -1e9. What shows in the lengths raises ValueError instead
of giving a wrong path: more tokens than frames, axes in the wrong order, a mask padded at its start. All else
is equal: ties, the type of the result, and the path where the scores are NaN or +inf, or -inf on every path,
which they find by rules of their own.

`check` says what becomes of such items. The default, "lengths", is for training: in mixed precision a NaN is
a step that the trainer's scaler throws away, not the end of a run; the item gets the path that the replaced
code finds, and a warning. `check=True` raises an error for NaN and +inf, too. `check=False` never waits for
the GPU, and gives a path of zeros.
"""

from mas.compat import glow_tts, monotonic_align, super_mas, vits
from mas.compat.ctc import forced_align
from mas.compat.nemo import b_mas
from mas.compat.paths import maximum_path
from mas.forward_sum_loss import ForwardSumLoss

__all__ = [
    "ForwardSumLoss",
    "b_mas",
    "forced_align",
    "glow_tts",
    "maximum_path",
    "monotonic_align",
    "super_mas",
    "vits",
]
