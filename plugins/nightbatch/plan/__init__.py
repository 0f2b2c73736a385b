"""What is pending becomes claimed shards: pending = asked - settled - in flight.

What is pending is cut into shards and claimed, after caps and canary have had their say. `quote` and `offer` say what
it would cost without claiming anything.
"""
