"""Label tracks of Audacity, a sound editor."""

from aligner.alignment import Alignment
from aligner.formats.writer import Writer, label


class Audacity(Writer):
    """`{id}.phones.txt` and `{id}.words.txt`: label tracks, `start<TAB>end<TAB>label`."""

    def write(self, alignment: Alignment) -> None:
        name = self.folder.name(alignment.id)
        for level, intervals in (("phones", alignment.tokens), ("words", alignment.words)):
            lines = (f"{i.start_s:.6f}\t{i.end_s:.6f}\t{label(i.symbol)}\n" for i in intervals)
            self.folder.text("".join(lines), f"{name}.{level}.txt")
