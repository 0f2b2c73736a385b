"""A claim becomes a batch, once.

`decide` says from facts and the clock what must happen next; `submit` does it for one claim, and `purchase` for a whole
run, attempt after attempt. Since a claim that is given up lands as lost, `land` stands before this folder in the order
of imports, though not in the story.
"""
