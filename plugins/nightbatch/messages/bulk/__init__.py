"""Many answers of one schema read and checked at once, where Arrow has kernels for all its rules.

What is accepted here is what msgspec and jsonschema accept, and as the same value. What is not accepted here is not yet
wrong: msgspec and jsonschema check it.
"""
