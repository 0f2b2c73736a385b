"""What requests will cost (`estimate`), may cost (`caps`) and did cost (`billing`, `cost_table`), and the warnings
about it.
"""
