"""Damaged files end in a result or one line, whatever reads them; `scripts/fuzz.py` tries thousands."""

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from fuzz_cases import READERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligner.errors import AlignerError


@pytest.mark.filterwarnings("ignore")  # of the libraries, about what they are given
@pytest.mark.parametrize("reader", READERS)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(draw=st.randoms(use_true_random=False))
def test_damaged_input_is_a_result_or_one_line(
    reader: str, draw: Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with suppress(AlignerError):
        READERS[reader](draw, folder)
