"""From Airflow connections to ports."""
