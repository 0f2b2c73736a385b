"""Airflow operators: templates in, one step called, a small value out."""
