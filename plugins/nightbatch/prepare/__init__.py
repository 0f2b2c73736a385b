"""Rows become requests: the partition is read once.

Each row is rendered and named; rows and requests are staged as a snapshot. Ways in: `prepare.prepare`, and
`staged` for what was staged.
"""
