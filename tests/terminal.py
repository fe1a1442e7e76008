"""A terminal for tests: command blocks of a text, run in bash as a reader pastes them, one after the other.

The programs that a block calls are stand-ins, scripts that hand their words to this process: `aligner` is
run here, without the seconds that a new process takes to start, and what would download, install or run
another project is a function of the test.
"""

import contextlib
import os
import re
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

Program = Callable[[list[str], Path], int]  # its words and its folder -> its exit status

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELL = frozenset({"sh", "bash", "console", "shell"})
_CLIENT = """#!/bin/bash
printf '%s\\0' "$#" "$PWD" "${0##*/}" "$@" > "$TERMINAL/request"
read -r status < "$TERMINAL/answer"
exit "$status"
"""
# What bash itself does well. Any other program must have a stand-in.
_PLAIN = frozenset({"basename", "cat", "cp", "cut", "ln", "mkdir", "mv", "rm", "sed", "wc"})


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The fenced command and Python blocks of a text in order: "sh" or "python", and what is in it."""
    for language, block in _FENCE.findall(text):
        if language in _SHELL:
            yield "sh", re.sub(r"^\$ ", "", block, flags=re.MULTILINE) if language == "console" else block
        elif language == "python":
            yield language, block


class Terminal:
    """Bash with stand-ins for all but a few programs. Folder and variables are kept from block to block.

    Args:
        folder: Where it begins.
        programs: The stand-ins by name.
    """

    def __init__(self, folder: Path, programs: dict[str, Program]) -> None:
        self.folder = folder
        self._programs = programs
        self._state = folder.parent / f"{folder.name}-terminal"
        bin = self._state / "bin"
        bin.mkdir(parents=True)
        for name in programs:
            (bin / name).write_text(_CLIENT)
            (bin / name).chmod(0o755)
        for name in _PLAIN:
            found = next(p for p in ("/usr/bin", "/bin") if Path(p, name).exists())
            (bin / name).symlink_to(Path(found, name))
        for name in ("request", "answer"):
            os.mkfifo(self._state / name)
        self._environment = {**os.environ, "PATH": str(bin), "TERMINAL": str(self._state)}

    def run(self, block: str) -> None:
        """Run a block.

        Raises:
            AssertionError: A command of it failed, or there is no stand-in for one.
        """
        kept = self._state / "folder"
        script = f"set -e\n{block}\npwd > {str(kept)!r}\n"
        # Both for reading and writing, so that neither opening waits and nothing ends between two programs.
        request, answer = (os.open(self._state / name, os.O_RDWR) for name in ("request", "answer"))
        try:
            with subprocess.Popen(
                ["/bin/bash", "-c", script], cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL
            ) as bash:
                try:
                    self._serve(bash, request, answer)
                except BaseException:
                    bash.kill()  # it waits for an answer
                    raise
        finally:
            os.close(request)
            os.close(answer)
        assert bash.returncode == 0, f"a command failed (exit status {bash.returncode}) in\n{block}"
        self.folder = Path(kept.read_text().rstrip("\n"))

    def _serve(self, bash: "subprocess.Popen[bytes]", request: int, answer: int) -> None:
        data = b""
        while bash.poll() is None:
            if select.select([request], [], [], 0.02)[0]:
                data += os.read(request, 65536)
            words = [os.fsdecode(word) for word in data.split(b"\0")[:-1]]
            if words and len(words) == int(words[0]) + 3:
                data = b""
                _, folder, name, *rest = words
                os.write(answer, f"{self._call(name, rest, Path(folder))}\n".encode())

    def _call(self, name: str, words: list[str], folder: Path) -> int:
        with contextlib.chdir(folder):
            return self._programs[name](words, folder)
