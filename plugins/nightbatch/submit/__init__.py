"""A claim becomes a batch, once.

`decide` derives the next step from facts and the clock; `submit` does it for one claim: `bought` records its batch,
`refused` says what follows where none was bought, and `orphans` searches where that is not known. `purchase` buys for a
whole run, one `attempt` after another. A claim that is given up (`release`) lands as lost, so this folder imports
`land`, although landing comes later in the flow.
"""
