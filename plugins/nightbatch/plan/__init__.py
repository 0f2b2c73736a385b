"""What is pending becomes claimed shards: pending = asked - settled - in flight.

After caps and canary are checked, what is pending is cut into shards and claimed. `quote` and `offer` estimate what it
would cost, without claiming anything.
"""
