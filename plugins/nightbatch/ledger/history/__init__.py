"""What was ever settled under a state, by request id: read from the landed shards (`history`) and from their indexes
(`index`).
"""
