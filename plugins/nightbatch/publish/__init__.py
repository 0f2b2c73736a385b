"""Join rows with their answers and publish them as a partition.

`find_publication` finds the landed row that answers each request (`winners`); these are joined to the rows, checked,
and replace the old partition in one of the `targets`, `_SUCCESS` last.
"""
