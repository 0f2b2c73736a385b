"""The facts below one state URL, each created once; every status follows from them.

`keys` names every object, `facts` says what each holds, `ledger` reads and creates them (`sendings`: the POSTs of a
claim; `view`: what is claimed and what has landed; `shard_facts`: all about one shard). Also who may plan (`lease`),
whether a run was canceled (`cancellation`), what was ever settled (`history`), where the state is (`state`), and
removing old texts (`expire`).
"""
