"""The shards of one attempt of a run: `plan` claims them, `send` sends those without a batch, and `land` lands those
whose batch has ended. `own` tells which of all shards the run has claimed itself.
"""
