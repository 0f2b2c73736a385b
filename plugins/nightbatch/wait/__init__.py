"""A batch runs until it has ended.

One poller looks at all batches of a connection (`poller`); `pace` says when a look is worth it, `line` who may send
next where the account's queue is full, and `follow` waits for all batches of a run. Nothing here knows Airflow.
"""
