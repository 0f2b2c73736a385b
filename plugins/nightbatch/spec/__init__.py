"""The settings of a run.

An author writes an `Enrichment`; `prepare` turns it into a `Run`, which is written once; tasks pass each other a
`RunRef`. All URLs and partition paths are parsed in `locations`. `policy` and `overriding` say what a deployment and a
DAG let a run change.
"""
