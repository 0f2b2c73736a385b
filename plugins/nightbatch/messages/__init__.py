"""What is sent to the Message Batches API, and what it returns.

A request is canonical bytes, and the hash of them is its name. A result line is judged by one table of outcomes; a
model's text becomes typed columns, many texts at once in `bulk`. What the API says in words goes no further than
`safe_words` lets it.
"""
