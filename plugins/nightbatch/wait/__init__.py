"""A batch runs until it has ended.

One poller looks at all batches of a connection (`poller`); `pace` decides when the next look is due, `line` who may
send next if the account's queue is full, and `follow` waits for all batches of a run. Nothing here imports Airflow.
"""
