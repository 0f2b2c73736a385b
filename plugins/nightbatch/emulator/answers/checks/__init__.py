"""What the API refuses in a request. These checks run when a batch runs: an error becomes a row.

`params` has all but the messages, with `thinking`, `tools` and `output` for the larger ones; `messages` and `prompt`
have what every request has of its own. `schema_rules` are those of structured output.
"""
