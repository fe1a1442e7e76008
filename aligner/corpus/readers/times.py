"""Where in its recording an utterance of a list is: its start, and its end or its length."""

import math
from collections.abc import Mapping
from typing import Any

_ROUNDED_S = 0.1  # start, end and duration of one line differ by less where they are rounded


def listed_times(values: Mapping[str, Any], where: str) -> tuple[float, float | None, str]:
    """Start and length in seconds (None if they are not given), and what is wrong with them.

    The length of a whole file is only compared with it: one that is no number is not a number here, too.

    Args:
        values: The line's, by the names of their columns.
        where: The line, for what is wrong.
    """
    if "start" not in values:
        if values.get("end") not in (None, ""):
            return 0.0, None, f"{where}: an end, and no start: a column start is needed beside it"
        try:
            listed = str(values.get("duration") or "").strip().replace(",", ".")
            return 0.0, float(listed) if listed else None, ""
        except ValueError:
            return 0.0, math.nan, ""
    times: list[float | None] = []
    for name in ("start", "end", "duration"):
        value = values.get(name)
        try:
            times.append(None if value in (None, "") else float(str(value).replace(",", ".")))
        except ValueError:
            return 0.0, None, f"{where}: its {name} {str(value)[:20]!r} is no number"
    start_s, end_s, duration_s = times
    if end_s is not None:
        if start_s is None:
            return 0.0, None, f"{where}: it ends at {end_s:g} s, and its start is empty"
        length_s = end_s - start_s
        if duration_s is not None and not abs(duration_s - length_s) < _ROUNDED_S:
            what = f"{start_s:g} to {end_s:g} s are not its duration, {duration_s:g} s"
            return 0.0, None, f"{where}: {what}; name one of the columns ignore with --columns"
        duration_s = duration_s or length_s
    if not 0 <= (start_s or 0.0) < 1e6 or not (duration_s is None or 0 < duration_s < 1e6):
        ends = "" if end_s is None else f", ends at {end_s:g} s"
        return 0.0, None, f"{where}: no part of a recording ({start_s}, {duration_s} s{ends})"
    return start_s or 0.0, duration_s, ""
