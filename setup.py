"""The README as a package page shows it: no repository is around it, so what leads there is plain text."""

import re
from pathlib import Path

from setuptools import setup

ELSEWHERE = r"(?!https?://|mailto:|#)[^)\s]+"  # the target of a link into the repository


def package_page(readme: str) -> str:
    """The README without its own pictures and without links to its own files."""
    without_pictures = re.sub(rf"^!\[[^\]]*\]\({ELSEWHERE}\)\n\n", "", readme, flags=re.MULTILINE)
    return re.sub(rf"\[([^\]]+)\]\({ELSEWHERE}\)", r"\1", without_pictures)


setup(
    long_description=package_page(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
