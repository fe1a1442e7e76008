"""Is a voice better for better durations? FastSpeech2 or Matcha-TTS trained on those of several aligners.

    python scripts/compare_durations --help

Everything but the durations is equal: recordings, tokens, seeds, order of batches, steps. The steps are in
recipes/fastspeech2/COMPARISON.md and recipes/matcha/COMPARISON.md.
"""

import argparse
import sys

import boundaries
import features
import measures
import table
import texts
import training

from aligner.errors import AlignerError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="compare_durations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="STEP")
    for step in (texts, features, training, measures, table, boundaries):
        step.add_commands(commands)
    args = parser.parse_args()
    try:
        args.run(args)
    except AlignerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
