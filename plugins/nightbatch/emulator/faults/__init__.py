"""The faults by name (`kinds`), and when one strikes (`rules`).

What each one does is in the module that it affects: `http/call_faults`, `http/result_faults`, `batches/batch_faults`,
`answers/row_faults`.
"""
