"""Rows and answers become a partition.

`winners` says which landed row answers each request; they are joined to the rows, checked, and put in the place of the
old partition, `_SUCCESS` last.
"""
