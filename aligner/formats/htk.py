"""Labels of HTK and HTS."""

from aligner.alignment import Alignment
from aligner.formats.whole_units import in_whole_units
from aligner.formats.writer import Writer, label

_UNITS_A_SECOND = 10_000_000  # 100 nanoseconds


class Htk(Writer):
    """`{id}.lab`: lines of `start end phone` in 100 ns, as HTK, HTS and Merlin have them.

    Each line begins where the one before it ends, and a label has no white space: nnmnkwii and Merlin split
    lines at it.
    """

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.lab",)]

    def write(self, alignment: Alignment, name: str) -> None:
        tokens, _ = in_whole_units(alignment, _UNITS_A_SECOND)
        (path,) = self.paths(alignment, name)
        self.folder.text("".join(f"{start} {end} {label(s, '_')}\n" for s, start, end in tokens), *path)
