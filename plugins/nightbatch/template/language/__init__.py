"""What a template may say: Jinja, and the few things in which prompts differ from it.

`environment` is the sandbox, `filters` and `printing` say how values become text, `code` compiles, `syntax` and `rules`
read and check a template without any row, `failures` and `places` put errors into words. Nothing here imports Arrow:
DAG files check their templates.
"""
