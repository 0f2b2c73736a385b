"""Results become rows, complete or not at all.

Plain answers go a block at a time (`plain`), all else a line at a time (`judge`); both give the same row.
"""
