"""The shards of one attempt of a run: `send` sends those without a batch, `land` lands those whose batch has ended, and
`own` tells which of all shards the run has claimed itself.
"""
