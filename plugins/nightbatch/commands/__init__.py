"""One command a module: `arguments(parser)` declares its flags, `run(given)` does it and returns the exit code.

`python -m nightbatch` finds them here by name; a module's docstring is the command's help.
"""
