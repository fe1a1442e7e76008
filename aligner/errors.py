"""What a person did wrong or met, said so that they can mend it. Anything else keeps its traceback."""


class AlignerError(Exception):
    """Shown by the command line as one line, without a traceback.

    Say what was wrong, where (utterance, file, argument), and what to do.
    """

    exit_status = 1
