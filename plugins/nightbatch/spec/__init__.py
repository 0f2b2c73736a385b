"""What is asked for.

An author writes an `Enrichment`; `prepare` turns it into a `Run`, which is written once; tasks hand each other a
`RunRef`. `locations` is the one home of URLs, partition paths and Hive columns. `policy` and `overriding` say what a
deployment and a DAG let a run change.
"""
