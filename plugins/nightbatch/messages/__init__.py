"""What the Message Batches API is told, and what it tells.

A request is canonical bytes, and the hash of them is its name. A result line is judged by one table of outcomes; a
model's text becomes typed columns. What the API says in words goes no further than `safe_words` lets it.
"""
