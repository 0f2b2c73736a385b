"""Rows become requests: the partition is read once.

Each row is rendered and gets a request id; rows and requests are staged as a snapshot. Entry points: `prepare.prepare`,
and `staged` to read what was staged.
"""
