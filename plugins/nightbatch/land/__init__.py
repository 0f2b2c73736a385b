"""Turn results into rows, complete or not at all.

Plain answers are read a block at a time (`scan`, `plain`), all other results a line at a time (`judge`); both give the
same rows.
"""
