"""What requests will cost (`estimate`), may cost (`caps`), did cost (`billing`, `cost_table`), and what a person
should be told of it.
"""
