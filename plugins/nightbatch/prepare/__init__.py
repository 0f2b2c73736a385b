"""Rows become requests: the partition is read once.

`source` reads the rows, `encoding` makes a request of each, and `snapshot` writes both; `prepare` does it all, and
names the snapshot by its content. `staged` reads what was staged; `stage` is the first step of a run.
"""
