"""What may go wrong, by name (`kinds`), and when a fault strikes (`rules`).

How one strikes stands where it strikes: `http/call_faults`, `http/result_faults`, `batches/batch_faults`,
`answers/row_faults`.
"""
