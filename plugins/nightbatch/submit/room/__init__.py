"""Room in the account's queue: which shards may send next (`queue`), and one sender at a time (`turns`)."""
