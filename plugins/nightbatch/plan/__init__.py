"""What is pending becomes claimed shards: pending = asked - settled - in flight.

`difference` takes that difference, request by request (`pending`); `quote` estimates what it would cost. An `attempt`
chooses what of it to buy, after caps and canary are checked; `claims` cuts that into shards, and claims them. `plan`
does all of it; `offer` says what it would buy, without claiming anything.
"""
