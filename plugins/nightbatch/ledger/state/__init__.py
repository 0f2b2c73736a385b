"""A folder that holds a ledger: where a run's is (`state`), and the mark by which it is known (`mark`)."""
