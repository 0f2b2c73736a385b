"""Arrow, NumPy and Parquet in bulk.

The tests compare every function here with a slow implementation of the same. Nothing here knows a row, a claim or a
price.
"""
