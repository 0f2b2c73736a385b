"""A prompt template over the columns of a row.

`template` is the language, `values` what a template sees of a column, `media` images and documents. A template that may
grow without end (`growth`) is rendered by a child process with limits (`limited`, `child`).
"""
