"""A published partition becomes rows of a table, in one transaction, counted against `_SUCCESS`.

To add a warehouse: one file in `io/`, one line in `airflow/warehouses.py`, its types in `sql_types.py`.
"""
