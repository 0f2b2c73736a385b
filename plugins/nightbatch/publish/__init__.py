"""Join rows with their answers and publish them as a partition.

`winners` finds the landed row that answers each request; these are joined to the rows, checked, and replace the old
partition, `_SUCCESS` last.
"""
