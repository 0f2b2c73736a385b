"""One module for each command: `arguments(parser)` declares its flags, `run(options)` returns the exit code.

`python -m nightbatch` finds them here by name; a module's docstring is the command's help.
"""
