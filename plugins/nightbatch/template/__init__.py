"""A prompt template over the columns of a row.

`language` says what a template may say, `values` what it sees of a column, `media` images and documents; `rendering`
renders. A template that may grow without end (`growth`, `allowed`) is rendered by a child process with limits
(`limited`, `child`).
"""
