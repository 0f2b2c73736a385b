"""What runs in the triggerer: one poller for all waiting batches."""
