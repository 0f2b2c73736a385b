"""The last resort against orphan processes: it outlives its stack briefly and kills what the stack left behind.

Its standard input is a pipe that only the stack's owner holds open. However the owner ends, kill -9 included, the pipe
closes; then every process that still has the stack's mark is killed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nightbatch.local.stack.processes import sweep


class Reaper:
    """The owner's end of the pipe."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "nightbatch.local.stack.reaper", str(home)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, start_new_session=True
        )

    def dismiss(self) -> None:
        """Close the pipe and wait until the reaper has looked for leftovers."""
        self._process.communicate()


def main() -> None:
    """Wait for the owner's end, then sweep its home."""
    sys.stdin.read()
    sweep(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
