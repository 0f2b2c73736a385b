"""The facts below one state URL, each created once; every status follows from them.

`keys` names every object, `facts` says what each holds, `ledger` reads and creates them. Also who may plan (`lease`),
what was ever settled (`history`, `index`), where the state is (`state`), and removing old texts (`expire`).
"""
