"""The emulated account: what comes in, waits, runs, ends and is kept."""
