"""`python -m nightbatch.emulator`: a local Message Batches API on loopback."""

import asyncio
import os

from nightbatch.emulator.flags import parse_flags
from nightbatch.emulator.server import serve


def main() -> None:
    """Serve until a signal to stop."""
    os.umask(0o077)  # bodies hold prompts, results hold answers
    asyncio.run(serve(parse_flags()))


if __name__ == "__main__":
    main()
