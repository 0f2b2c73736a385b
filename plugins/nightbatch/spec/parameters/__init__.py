"""The parameters of an `Enrichment`: what each of them means, and what is refused when one is made.

`descriptions` is the table of all parameters; `parameter` adds the type and default that the class has. From both come
the docstring and docs/parameters.md (`reference`), the trigger form (`form`), the help of the commands, and the types
and bounds that `values` checks. `places`, `prompts`, `answers` and `combinations` check what no table says. `making`
calls them all: a mistake is an import error of the DAG file. So nothing here imports Arrow or an SDK.
"""
