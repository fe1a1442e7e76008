"""Phone and word times for speech, learnt from recordings and texts alone.

README.md beside this file has the drawing: which room does what, and who may import whom.
"""

from typing import TYPE_CHECKING, Any

from aligner.caches import find_place

if TYPE_CHECKING:
    from aligner.aligner import Aligner
    from aligner.alignment import Alignment
    from aligner.text.transcript import Transcript

find_place()

__all__ = ["Aligner", "Alignment", "Transcript"]

_HOMES = {
    "Aligner": "aligner.aligner",
    "Alignment": "aligner.alignment",
    "Transcript": "aligner.text.transcript",
}


def __getattr__(name: str) -> Any:
    """Imported when first asked for: `aligner --help` must not wait for torch."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'aligner' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
