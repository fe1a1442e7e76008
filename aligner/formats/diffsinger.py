"""Transcriptions of DiffSinger, a singing voice synthesiser, and of SOFA, its aligner."""

import csv
import io

from aligner.alignment import Alignment, is_pause
from aligner.formats.whole_units import in_whole_units
from aligner.formats.writer import NotExportable, Writer, label, safe_name
from aligner.text.sounds import is_vowel

_UNITS_A_SECOND = 1_000_000  # six decimals, as MakeDiffSinger's build_dataset.py writes them
_PAUSE = "SP"
_FILE = "transcriptions.csv"


class DiffSinger(Writer):
    """`transcriptions.csv`: name, ph_seq, ph_dur, ph_num for DiffSinger and SOFA, to lie beside its `wavs`.

    In a folder of the speaker, if there is one: both read a folder for each. `ph_dur` is in seconds, one for
    each phone, and its sums are those of the times; pauses are called SP. `ph_num` counts the phones from
    each vowel or pause to the next, as MakeDiffSinger's `add_ph_num.py` does, so which phones are vowels must
    be known: ARPAbet and IPA are, and with --any-symbols all others count as vowels.
    """

    def begin(self) -> None:
        self._rows: dict[tuple[str, ...], list[str]] = {}

    def name(self, alignment: Alignment) -> str:
        return self.folder.name(alignment.id, safe_name(alignment.speaker) if alignment.speaker else "")

    def paths(self, alignment: Alignment, name: str) -> list[tuple[str, ...]]:
        parts = [self.folder.name_of(alignment.speaker)] if alignment.speaker else []
        return [(*parts, _FILE)]

    def write(self, alignment: Alignment, name: str) -> None:
        tokens, _ = in_whole_units(alignment, _UNITS_A_SECOND)
        phones = [_PAUSE if is_pause(symbol) else label(symbol, "_") for symbol, _, _ in tokens]
        durations = [f"{(end - start) / _UNITS_A_SECOND:.6f}" for _, start, end in tokens]
        (path,) = self.paths(alignment, name)
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow(
            [name, *(" ".join(column) for column in (phones, durations, self._groups(alignment.id, phones)))]
        )
        row.getvalue().encode()  # what cannot be written is refused here, and costs no other
        self._rows.setdefault(path, []).append(row.getvalue())

    def finish(self) -> None:
        for path, rows in self._rows.items():
            self.folder.text("name,ph_seq,ph_dur,ph_num\n" + "".join(rows), *path)

    def _groups(self, id: str, phones: list[str]) -> list[str]:
        """How many phones there are from each vowel or pause to the next, and before the first."""
        groups: list[int] = []
        for phone in phones:
            vowel = phone in (_PAUSE, "AP", "spn") or is_vowel(phone)
            if vowel is None and not self.settings.any_symbols:
                raise NotExportable(
                    f"{id}: DiffSinger's ph_num asks which phones are vowels, and {phone!r} is neither "
                    "ARPAbet nor IPA; rename it with --rename, or let it pass as a vowel with --any-symbols"
                )
            if vowel is not False or not groups:
                groups.append(0)
            groups[-1] += 1
        return [str(count) for count in groups]
