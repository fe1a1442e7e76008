"""What a person did wrong or met, said so that they can mend it. Anything else keeps its traceback."""

from collections.abc import Iterable


class AlignerError(Exception):
    """Shown by the command line as one line, without a traceback.

    Say what was wrong, where (utterance, file, argument), and what to do.
    """

    exit_status = 1


def reason(error: BaseException) -> str:
    """An error in one line, to be listed beside the utterance that it cost.

    Args:
        error: Whatever was raised. Where the message need not be a sentence, as that of a KeyError, its kind
            is told, too.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and isinstance(error, AlignerError | ValueError | OSError):
        return " ".join(lines)
    return ": ".join([type(error).__name__, *lines[:1]])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known names that are like one that is not known, as the end of an error; "" if none is.

    Args:
        name: As a person wrote it.
        known: Those there are.
    """
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3) or [other for other in names if other.startswith(name)]
    return f"; did you mean {' or '.join(near[:3])}?" if name and near else ""
