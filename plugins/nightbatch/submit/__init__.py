"""A claim becomes a batch, once.

`decide` derives the next step from facts and the clock; `submit` does it for one claim, and `purchase` for a whole run,
attempt after attempt. A claim that is given up lands as lost, so this folder imports `land`, although landing comes
later in the flow.
"""
