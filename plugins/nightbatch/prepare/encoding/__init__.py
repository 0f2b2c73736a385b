"""How rows become requests.

`prompts` renders the rows that can be read; `stager` encodes the content of each one's request, which `encoded` holds,
and `numbering` gives it its number. `schemas` says how both are stored.
"""
