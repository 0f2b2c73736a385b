"""`python -m nightbatch.local demo|up`: Airflow, S3 and the Message Batches API on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

NEEDED = ("aiohttp", "duckdb", "moto", "psutil", "rich")
"""What the extra `local` installs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if every run succeeded, 2 if the home may not be emptied, 1 for every other failure."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        print(f"The local stack needs {names}: pip install 'nightbatch[local]'")
        return 1
    from nightbatch.local import command_line

    return command_line.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
