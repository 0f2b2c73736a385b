"""Arrow, NumPy and Parquet in bulk.

Every function here has a slow twin in the tests that says what it must return. Nothing here knows a row, a claim or a
price.
"""
