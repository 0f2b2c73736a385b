"""`python -m nightbatch.emulator`: a local Message Batches API on loopback."""

import asyncio
import os
import sys
from importlib.util import find_spec


def main() -> None:
    """Serve until a signal to stop."""
    if find_spec("aiohttp") is None:
        sys.exit("The local API needs aiohttp: pip install 'nightbatch[emulator]'")
    from nightbatch.emulator.flags import parse_flags
    from nightbatch.emulator.server import serve

    os.umask(0o077)  # bodies hold prompts, results hold answers
    asyncio.run(serve(parse_flags()))


if __name__ == "__main__":
    main()
