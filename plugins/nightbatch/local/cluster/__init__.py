"""A cluster on this machine, as a production is: PostgreSQL, Valkey, two triggerers, two Celery workers.

`cluster` starts and stops it, `servers` knows PostgreSQL and Valkey, and `options` has the settings of Airflow.
"""
