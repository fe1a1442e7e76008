"""Label tracks of Audacity, a sound editor."""

from aligner.alignment import Alignment
from aligner.formats.writer import Writer, label


class Audacity(Writer):
    """`{id}.phones.txt` and `{id}.words.txt`: label tracks, `start<TAB>end<TAB>label`."""

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        return [(f"{name}.phones.txt",), (f"{name}.words.txt",)]

    def write(self, alignment: Alignment, name: str) -> None:
        levels = (alignment.tokens, alignment.words)
        for intervals, path in zip(levels, self.paths(alignment, name), strict=True):
            lines = (f"{i.start_s:.6f}\t{i.end_s:.6f}\t{label(i.symbol)}\n" for i in intervals)
            self.folder.text("".join(lines), *path)
