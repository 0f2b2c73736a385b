"""Where a partition is published to: a folder of files, or an Iceberg table.

Both replace what was published before as a whole, and report what it was.
"""
